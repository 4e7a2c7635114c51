/* What the follower of the schema registry says of itself: in /readyz, /status and the metrics. */
#ifndef SLUICE_ADMIN_REGISTRY_STATE_H
#define SLUICE_ADMIN_REGISTRY_STATE_H

#include "base/error.h"
#include "base/json.h"

struct admin;

/* False while a registry is to be followed of which nothing is known yet, err says why. */
bool registry_is_loaded(const struct admin *admin, struct error *err);
/* An object; nothing where no registry is followed. */
void registry_write(const struct admin *admin, const char *name, struct json *json);
void registry_write_metrics(const struct admin *admin, struct text *out);

#endif
