/* Serves the clients that wait for a connection of a pool, and opens connections. */
#ifndef SLUICE_SESSION_POOL_PUMP_H
#define SLUICE_SESSION_POOL_PUMP_H

#include "session/session_worker.h"

bool pool_pump_start(struct session_worker *worker);
/* Applies the options. */
void pool_pump_configure(struct session_worker *worker);
void pool_pump_tick(struct session_worker *worker, int64_t now_ms);
/* All clients have ended. */
void pool_pump_stop(struct session_worker *worker);

#endif
