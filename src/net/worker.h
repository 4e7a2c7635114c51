/* A worker thread: an event loop of its own, a mailbox through which others hand it work, and a
 * scratch area for reads, so that an idle connection holds no buffer. Workers share nothing on the
 * data path. */
#ifndef SLUICE_NET_WORKER_H
#define SLUICE_NET_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/turn.h"

struct event_base;
struct evdns_base;
struct worker;

/* A message up to that size takes one read and one write. One area a worker; half of it costs a
 * 190 kB message a fifth more CPU (tests/bench), twice of it gains under a tenth. */
enum { WORKER_SCRATCH_BYTES = 256 * 1024 };

/* Runs on the worker's own thread. `context` is what worker_start was given, `arg` the sender's. */
typedef void (*worker_job)(void *context, void *arg);

/* `tick` runs on it every tick_ms; `turned` (NULL: nobody wants to know) when a turn of the loop is
 * over, with what it took; `stop` last, before the loop's end. */
struct worker_settings {
    const char *name;
    void *context;
    unsigned tick_ms;
    void (*tick)(void *context);
    void (*turned)(void *context, int64_t us);
    void (*stop)(void *context);
};
bool worker_create(const struct worker_settings *settings, struct worker **out, struct error *err);

/* Until then the loop may be prepared by the creating thread. On failure it is still to be
 * destroyed. */
bool worker_run(struct worker *worker, struct error *err);

/* Of a worker that never ran. */
void worker_destroy(struct worker *worker);

/* Any thread. False when memory is out (the job did not go). */
bool worker_post(struct worker *worker, worker_job job, void *arg);

/* Ends the loop, joins the thread, frees. Jobs posted before still run; those posted while
 * `stop` runs do not. Any other thread. */
void worker_stop(struct worker *worker);

/* The worker's own thread only. */
struct event_base *worker_base(struct worker *worker);
struct evdns_base *worker_dns(struct worker *worker);
struct turn *worker_turn(struct worker *worker);
uint8_t *worker_scratch(struct worker *worker);

#endif
