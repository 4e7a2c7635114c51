/* The metrics of tracing. */
#ifndef SLUICE_ADMIN_TRACING_METRICS_H
#define SLUICE_ADMIN_TRACING_METRICS_H

#include "admin/context.h"
#include "base/text.h"

void tracing_metrics_write(const struct admin *admin, struct text *out);

#endif
