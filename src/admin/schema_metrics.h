/* The part of /metrics about schemas, their registry and their versions. */
#ifndef SLUICE_ADMIN_SCHEMA_METRICS_H
#define SLUICE_ADMIN_SCHEMA_METRICS_H

#include "admin/context.h"
#include "base/text.h"

void schema_metrics_write(const struct admin *admin, struct text *out);

#endif
