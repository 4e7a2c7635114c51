/* Pools of shared connections on the pages: /pools, and parts of /metrics and /status. */
#ifndef SLUICE_ADMIN_POOL_PAGES_H
#define SLUICE_ADMIN_POOL_PAGES_H

#include "admin/pages.h"
#include "base/json.h"
#include "metrics/counters.h"

void admin_get_pools(struct admin *admin, const struct admin_request *request);
/* The part of /metrics. */
void pool_metrics_write(const struct admin *admin, const uint64_t counters[COUNTER_COUNT],
                        struct text *out);
/* The member "pools" of /status: sums over all pools. */
void pool_status_write(const struct admin *admin, struct json *json);

#endif
