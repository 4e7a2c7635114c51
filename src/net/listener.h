/* Listening sockets. */
#ifndef SLUICE_NET_LISTENER_H
#define SLUICE_NET_LISTENER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct event_base;
struct listener;

/* Returns a bound, listening, non-blocking descriptor, or -1 with the reason. `port` 0 takes a free
 * port; *bound_port is the port in use. `option` names the option with the address, for the error.
 * `host` is a numeric address or a name. Any thread. */
int listener_bind(const char *host, uint16_t port, int backlog, const char *option,
                  uint16_t *bound_port, struct error *err);

/* Identifies the file of a Unix socket: another process may create a file of the same name later.
 */
struct listener_file {
    dev_t device;
    ino_t inode;
};

/* Does the same for a Unix socket at the absolute path `path`, with the permissions `mode`.
 * Replaces a leftover socket without a listener; any other file stays and causes an error. May wait
 * half a second for another process that works in the folder. */
int listener_bind_unix(const char *path, unsigned mode, int backlog, const char *option,
                       struct listener_file *file, struct error *err);
/* Call it before closing the descriptor: until then no other file can have this inode. */
void listener_remove_file(const char *path, const struct listener_file *file);

/* Accepts on `fd` (owned from now on) and passes each non-blocking, close-on-exec descriptor on.
 * Without free descriptors it logs, waits a moment and continues. For the loop's own thread. */
struct listener *listener_start(struct event_base *base, int fd,
                                void (*accepted)(void *arg, int client_fd), void *arg,
                                struct error *err);
void listener_stop(struct listener *listener);

#endif
