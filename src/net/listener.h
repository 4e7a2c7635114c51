/* Listening sockets. */
#ifndef SLUICE_NET_LISTENER_H
#define SLUICE_NET_LISTENER_H

#include <stdint.h>

#include "base/error.h"

struct event_base;
struct listener;

/* A bound and listening, non-blocking descriptor, or -1 and the reason. `port` 0 takes any free
 * one; *bound_port is the one it has. `option`: where the address stands, for the error. `host`: a
 * numeric address or a name. Any thread. */
int listener_bind(const char *host, uint16_t port, int backlog, const char *option,
                  uint16_t *bound_port, struct error *err);

/* The same for a Unix socket at `path`, whose file gets the permissions `mode`. A socket that is
 * left there and that nobody listens on gives way; any other file stays, and is an error. Who stops
 * listening removes the file. */
int listener_bind_unix(const char *path, unsigned mode, int backlog, const char *option,
                       struct error *err);

/* Accepts on `fd` (owned from now on) and hands each non-blocking, close-on-exec descriptor over.
 * Out of descriptors it logs, waits a moment and goes on. The loop's own thread. */
struct listener *listener_start(struct event_base *base, int fd,
                                void (*accepted)(void *arg, int client_fd), void *arg,
                                struct error *err);
void listener_stop(struct listener *listener);

#endif
