/* The rules of option pool.rules: "MODE application=NAME,user=NAME@DATABASE; …". Private to this
 * room; config_pool_mode_of reads them. */
#ifndef SLUICE_CONFIG_POOL_RULES_H
#define SLUICE_CONFIG_POOL_RULES_H

#include <stdbool.h>

bool pool_rules_are_valid(const char *text);

#endif
