/* Sessions: a client connection and its upstream connection, from accept to end. Each lives on one
 * worker; what they share stands here. */
#ifndef SLUICE_SESSION_SESSION_H
#define SLUICE_SESSION_SESSION_H

#include "merge/merge_counters.h"
#include "metrics/counters.h"
#include "session/session_settings.h"
#include "session/session_shared.h"

struct registry;
struct tally;
struct session_worker;

/* A worker thread with its sessions. Takes a reference of settings. */
struct session_worker *session_worker_start(unsigned index, struct session_shared *shared,
                                            struct session_settings *settings, struct error *err);

/* Any thread. The descriptor changes hands (closed on failure). `server`: "host:port" or a Unix
 * socket's path, copied; "" when none is known yet. */
void session_worker_accept(struct session_worker *worker, int client_fd, const char *server);
void session_worker_set_settings(struct session_worker *worker, struct session_settings *settings);
/* Other schemas are in force (session_shared.in_force): the worker lets go of the older ones. */
void session_worker_refresh(struct session_worker *worker);
/* From now on sessions end as soon as nothing of theirs is under way. */
void session_worker_drain(struct session_worker *worker);
/* New commands wait, those that run and open transactions go on; then, those that waited go on.
 * Draining resumes. False when memory is out. */
bool session_worker_pause(struct session_worker *worker);
bool session_worker_resume(struct session_worker *worker);
/* Ends what is left, joins the thread. */
void session_worker_stop(struct session_worker *worker);

/* Any thread. */
unsigned session_worker_clients(const struct session_worker *worker);
const struct counters *session_worker_counters(const struct session_worker *worker);
const struct merger_counters *session_worker_merge_counters(const struct session_worker *worker);
/* To be read only: see enforce/tally.h. */
struct tally *session_worker_tally(const struct session_worker *worker);

#endif
