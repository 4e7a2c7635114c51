/* What the main thread does while it waits for signals: it follows changed certificates, logs when
 * the proxy becomes ready, and keeps the service manager informed. */
#ifndef SLUICE_MAIN_UPKEEP_H
#define SLUICE_MAIN_UPKEEP_H

struct proxy;

/* Returns the time until the next call, in milliseconds; -1 if the start has failed after all: the
 * upstream leads back to the proxy, and no other server answers. */
int upkeep_tick(struct proxy *proxy);

#endif
