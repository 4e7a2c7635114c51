/* The whole proxy: workers, listeners, topology, settings. Made and ended by one thread. */
#ifndef SLUICE_MAIN_PROXY_H
#define SLUICE_MAIN_PROXY_H

#include "config/config.h"

struct proxy;

/* Takes one reference of config. Returns with the first port listening; NULL and the reason. */
struct proxy *proxy_start(struct config *config, struct error *err);

/* Reads the configuration and the certificates again. On error nothing changes. Logs the outcome.
 */
void proxy_reload(struct proxy *proxy);

/* No new connections; sessions end as soon as nothing of theirs is under way. */
void proxy_drain(struct proxy *proxy);
/* New commands wait, until they are resumed. Any thread. */
void proxy_pause(struct proxy *proxy);
void proxy_resume(struct proxy *proxy);
/* Connections that are left. */
unsigned proxy_clients(const struct proxy *proxy);
int64_t proxy_drain_timeout_ms(const struct proxy *proxy);

/* Ends what is left and frees. */
void proxy_stop(struct proxy *proxy);

#endif
