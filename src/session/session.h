/* Sessions: a client connection and its upstream connection, from accept to end. Each lives on one
 * worker; this header declares their common functions. */
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

/* Any thread. Takes over the descriptor (and closes it on failure). `server` is "host:port" or a
 * Unix socket's path, copied; "" if none is known yet. */
void session_worker_accept(struct session_worker *worker, int client_fd, const char *server);
void session_worker_set_settings(struct session_worker *worker, struct session_settings *settings);
/* The enforced schemas changed (session_shared.in_force): the worker releases the older ones. */
void session_worker_refresh(struct session_worker *worker);
/* The hello of a server changed (session_shared.hello_board). */
void session_worker_look_at_hellos(struct session_worker *worker);
/* From now on sessions end as soon as none of their commands is under way. */
void session_worker_drain(struct session_worker *worker);
/* Pauses or resumes: new commands wait, while running ones and open transactions continue. A drain
 * resumes. */
void session_worker_pause(struct session_worker *worker);
void session_worker_resume(struct session_worker *worker);
/* The source of verifiers has answered: waiting logins continue. */
void session_worker_take_verifiers(struct session_worker *worker);
/* Ends the remaining sessions and joins the thread. */
void session_worker_stop(struct session_worker *worker);

/* Any thread. */
unsigned session_worker_clients(const struct session_worker *worker);
const struct counters *session_worker_counters(const struct session_worker *worker);
const struct merger_counters *session_worker_merge_counters(const struct session_worker *worker);
/* For reading only: see enforce/tally.h. */
struct tally *session_worker_tally(const struct session_worker *worker);

#endif
