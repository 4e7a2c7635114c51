/* Resolving a name and connecting to it, without blocking the loop. Tries the
 * addresses of a name in turn, and beside one that hangs. How long that may take is the caller's to
 * say: it cancels. A worker's own thread only.
 */
#ifndef SLUICE_NET_CONNECTOR_H
#define SLUICE_NET_CONNECTOR_H

#include "base/error.h"
#include "net/worker.h"

struct connector;

/* Called once: with a connected, non-blocking descriptor that is the callee's from then on, or
 * with -1 and the cause. The connector is gone when it is called. */
typedef void (*connector_done)(void *arg, int fd, const char *cause);

/* `address`: "host:port", "[v6]:port", or a path of a Unix socket. `done` may be called before this
 * returns, and then the answer is NULL; also NULL, with `done` called, when memory is out. */
struct connector *connector_start(struct worker *worker, const char *address, connector_done done,
                                  void *arg);

/* `done` is not called any more. */
void connector_cancel(struct connector *connector);

/* Options every stream between machines gets: no delay, and keep-alive that finds a dead peer
 * within three and a half minutes (idle 120 s, 9 probes 10 s apart: what drivers set, too). A
 * connection that connector_start makes also ends when what was sent on it is not acknowledged for
 * as long (TCP_USER_TIMEOUT), where the kernel alone would try for a quarter of an hour. Fails
 * silently on a Unix socket. */
void connector_tune_socket(int fd);

/* Splits "host:port" and "[v6]:port"; a missing port is 27017. False for what is neither. */
bool connector_split_address(const char *address, char host[256], char port[8]);

#endif
