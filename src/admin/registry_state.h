/* The state of the schema registry's follower, in /readyz, /status and the metrics. */
#ifndef SLUICE_ADMIN_REGISTRY_STATE_H
#define SLUICE_ADMIN_REGISTRY_STATE_H

#include "base/error.h"
#include "base/json.h"

struct admin;

/* False while the proxy should follow a registry and knows nothing of it yet; err has the reason.
 */
bool registry_is_loaded(const struct admin *admin, struct error *err);
/* Writes an object; nothing without a registry. */
void registry_write(const struct admin *admin, const char *name, struct json *json);
void registry_write_metrics(const struct admin *admin, struct text *out);

#endif
