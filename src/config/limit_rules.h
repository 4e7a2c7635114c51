/* The rules of option limits.rules: "LIMIT=NUMBER,… CONDITION,…; …". Private to this room;
 * config_each_limit reads them. */
#ifndef SLUICE_CONFIG_LIMIT_RULES_H
#define SLUICE_CONFIG_LIMIT_RULES_H

#include <stdbool.h>

bool limit_rules_are_valid(const char *text);

#endif
