/* Converts texts to typed values and back. Private to this room. */
#ifndef SLUICE_CONFIG_VALUE_H
#define SLUICE_CONFIG_VALUE_H

#include "base/json.h"
#include "config/options.h"

/* Stores the value of `text` in the option's field of *config; false if it is not allowed. Borrows
 * strings: the field points into `text`. */
bool value_parse(const struct option *option, char *text, struct config *config);

/* The value in *config as JSON: a number or a string; a secret is redacted. */
void value_add_json(const struct option *option, const struct config *config, const char *name,
                    struct json *json);

bool value_equals(const struct option *option, const struct config *a, const struct config *b);

#endif
