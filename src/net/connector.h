/* Resolves a name and connects to it without blocking the loop. Tries the addresses of the name in
 * turn, and the next one beside an attempt that hangs. The caller cancels when the time is up. For
 * the worker's own thread only. */
#ifndef SLUICE_NET_CONNECTOR_H
#define SLUICE_NET_CONNECTOR_H

#include "base/error.h"
#include "net/worker.h"

struct connector;

/* Called once: with a connected, non-blocking descriptor that the callee then owns, or with -1 and
 * the cause. The connector no longer exists at that time. */
typedef void (*connector_done)(void *arg, int fd, const char *cause);

/* `address` is "host:port", "[v6]:port", or the path of a Unix socket. If `done` is called before
 * this function returns, it returns NULL; so it does without memory, after a call of `done`. */
struct connector *connector_start(struct worker *worker, const char *address, connector_done done,
                                  void *arg);

/* `done` will not be called. */
void connector_cancel(struct connector *connector);

/* Sets the options of every stream between machines: no delay, and keep-alive that finds a dead
 * peer within three and a half minutes (idle 120 s, 9 probes 10 s apart, as drivers set). A
 * connection from connector_start also ends if its data is not acknowledged for the same time
 * (TCP_USER_TIMEOUT); the kernel alone would try for a quarter of an hour. Fails silently on a Unix
 * socket. */
void connector_tune_socket(int fd);

/* Splits "host:port" and "[v6]:port"; a missing port means 27017. False for other forms. */
bool connector_split_address(const char *address, char host[256], char port[8]);

#endif
