/* The state of the schema registry's follower, in /readyz, /status and the metrics. */
#ifndef SLUICE_ADMIN_REGISTRY_STATE_H
#define SLUICE_ADMIN_REGISTRY_STATE_H

#include "base/json.h"

struct admin;

/* Writes an object; nothing without a registry. */
void registry_write(const struct admin *admin, const char *name, struct json *json);
void registry_write_metrics(const struct admin *admin, struct text *out);

#endif
