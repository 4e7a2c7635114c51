/* The whole proxy: workers, listeners, topology, settings. One thread creates and ends it. */
#ifndef SLUICE_MAIN_PROXY_H
#define SLUICE_MAIN_PROXY_H

#include "config/config.h"

struct proxy;

/* Takes a reference of config. On return the first port listens; NULL with the reason. */
struct proxy *proxy_start(struct config *config, struct error *err);

/* Reopens the log, and reloads the configuration and the certificates. On error nothing else
 * changes. Logs the outcome. */
void proxy_reload(struct proxy *proxy);

/* To be called from time to time. Returns the time until the next call, in milliseconds; -1 with
 * the reason if the start has failed after all. */
int proxy_tick(struct proxy *proxy, struct error *err);

/* Accepts no new connections; sessions end as soon as none of their commands is under way. */
void proxy_drain(struct proxy *proxy);
/* New commands wait until they are resumed. Any thread. */
void proxy_pause(struct proxy *proxy);
void proxy_resume(struct proxy *proxy);
/* The remaining connections. */
unsigned proxy_clients(const struct proxy *proxy);
int64_t proxy_drain_timeout_ms(const struct proxy *proxy);

/* Closes the remaining connections and frees everything. */
void proxy_stop(struct proxy *proxy);

#endif
