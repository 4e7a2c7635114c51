/* Options from variables of the environment. An empty variable counts as not set. Private to this
 * room. */
#ifndef SLUICE_CONFIG_ENVIRONMENT_H
#define SLUICE_CONFIG_ENVIRONMENT_H

#include "config/settings.h"

/* The file, like --config. */
#define ENVIRONMENT_CONFIG OPTIONS_VARIABLE_PREFIX "CONFIG"

/* The value of a variable in `variables` ("NAME=VALUE", ended by NULL); NULL if it is not set or
 * empty. */
const char *environment_find(char *const *variables, const char *name);

bool environment_read(char *const *variables, struct settings *out, struct error *err);

/* Reports each variable whose name starts with MONGOSLUICE_ and that nothing reads. Variables that
 * Kubernetes sets for a Service named mongosluice are not reported. */
void environment_each_unknown(char *const *variables,
                              void (*report)(void *arg, const char *problem), void *arg);

#endif
