/* A worker thread: its own event loop, a mailbox for work from other threads, and a scratch area
 * for reads, so that an idle connection holds no buffer. Workers share nothing on the data path. */
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

/* A message up to this size takes one read and one write. Each worker has one area. Half of it
 * costs a fifth more CPU for a 190 kB message (tests/bench); twice of it saves less than a tenth.
 */
enum { WORKER_SCRATCH_BYTES = 256 * 1024 };

/* Runs on the worker's own thread. `context` is the argument of worker_start, `arg` the sender's.
 */
typedef void (*worker_job)(void *context, void *arg);

/* On the worker's thread, `tick` runs every tick_ms; `turned` (may be NULL) runs after each turn of
 * the loop and gets its length; `stop` runs last, before the loop ends. */
struct worker_settings {
    const char *name;
    void *context;
    unsigned tick_ms;
    void (*tick)(void *context);
    void (*turned)(void *context, int64_t us);
    void (*stop)(void *context);
};
bool worker_create(const struct worker_settings *settings, struct worker **out, struct error *err);

/* Before this call the creating thread may prepare the loop. On failure the worker must still be
 * destroyed. */
bool worker_run(struct worker *worker, struct error *err);

/* For a worker that never ran. */
void worker_destroy(struct worker *worker);

/* Any thread. False without memory: the job is not posted. */
bool worker_post(struct worker *worker, worker_job job, void *arg);

/* Ends the loop, joins the thread and frees the worker. Jobs posted before still run; jobs posted
 * while `stop` runs do not. For any other thread. */
void worker_stop(struct worker *worker);

/* The worker's own thread only: without work, the loop polls for up to `us` before it sleeps
 * (net/poll_window.h). Default: 0. */
void worker_poll_for(struct worker *worker, int64_t us);

/* The worker's own thread only. */
struct event_base *worker_base(struct worker *worker);
struct evdns_base *worker_dns(struct worker *worker);
struct turn *worker_turn(struct worker *worker);
uint8_t *worker_scratch(struct worker *worker);

#endif
