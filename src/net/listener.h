/* Listening sockets. */
#ifndef SLUICE_NET_LISTENER_H
#define SLUICE_NET_LISTENER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct event_base;
struct listener;

/* A bound and listening, non-blocking descriptor, or -1 and the reason. `port` 0 takes any free
 * one; *bound_port is the one it has. `option`: where the address stands, for the error. `host`: a
 * numeric address or a name. Any thread. */
int listener_bind(const char *host, uint16_t port, int backlog, const char *option,
                  uint16_t *bound_port, struct error *err);

/* Which file a Unix socket made: by that name there may be another's later. */
struct listener_file {
    dev_t device;
    ino_t inode;
};

/* The same for a Unix socket at `path` (absolute), whose file gets the permissions `mode`. A socket
 * that is left there and that nobody listens on gives way; any other file stays, and is an error.
 * May wait for half a second for another process that is at work in the folder. */
int listener_bind_unix(const char *path, unsigned mode, int backlog, const char *option,
                       struct listener_file *file, struct error *err);
/* Before its descriptor is closed: until then nobody else can have a file with that inode. */
void listener_remove_file(const char *path, const struct listener_file *file);

/* Accepts on `fd` (owned from now on) and hands each non-blocking, close-on-exec descriptor over.
 * Out of descriptors it logs, waits a moment and goes on. The loop's own thread. */
struct listener *listener_start(struct event_base *base, int fd,
                                void (*accepted)(void *arg, int client_fd), void *arg,
                                struct error *err);
void listener_stop(struct listener *listener);

#endif
