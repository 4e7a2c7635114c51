/* Whether the proxy can serve, and whether it lives: /readyz, /livez, the log and the service
 * manager ask the same questions. Any thread. */
#ifndef SLUICE_ADMIN_READINESS_H
#define SLUICE_ADMIN_READINESS_H

#include "admin/parts.h"
#include "config/config.h"

/* True if the proxy can serve; otherwise err holds the reason. */
bool readiness_check(const struct admin_parts *parts, const struct config *config,
                     struct error *err);

/* True if every worker still turns its loop. `started_ms`: the start of the process on the
 * monotonic clock, for workers that have not ticked yet. */
bool readiness_is_alive(const struct admin_parts *parts, int64_t started_ms, struct error *err);

/* The number of servers of the topology without a port of the proxy; `first` is the address of one
 * of them, which belongs to the topology, or NULL. */
size_t readiness_without_port(const struct admin_parts *parts,
                              const struct topology_snapshot *topology, const char **first);

#endif
