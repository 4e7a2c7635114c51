/* What operators see of the sessions: figures that each worker keeps, and a list of its connections
 * when asked. */
#ifndef SLUICE_SESSION_OBSERVE_H
#define SLUICE_SESSION_OBSERVE_H

#include "net/address.h"
#include "session/session_metrics.h"

struct session_worker;

/* Worker's thread, at each tick: what the figures say of its clients. */
void session_observe_all(struct session_worker *worker);

/* Any thread, as long as the worker lives. */
const struct session_metrics *session_worker_metrics(const struct session_worker *worker);
const char *session_phase_name(enum session_phase phase);
/* What session_metrics.commands counts under that name: "other" for COMMAND_UNKNOWN, NULL where
 * nothing is. */
const char *session_command_label(enum command_name command);

enum { SESSION_ROWS_MAX = 500, SESSION_IDENTITY_BYTES = 256, SESSION_SERVER_BYTES = 264 };

/* A connection, as it was when its worker was asked. */
struct session_row {
    uint64_t id; /* as logged: conn17 */
    char remote[ADDRESS_TEXT_BYTES];
    char server[SESSION_SERVER_BYTES];
    char identity[SESSION_IDENTITY_BYTES]; /* as the server said; else as claimed; "" for nobody */
    const char *command;                   /* the oldest that runs, "" for none; static */
    enum session_phase phase;
    bool tls;
    bool in_transaction;
    int64_t connected_ms; /* since it was accepted */
    int64_t phase_ms;     /* since the last exchange, or since its command waits or runs */
};

struct session_query {
    struct session_worker *const *workers;
    unsigned worker_count;
    uint64_t after;      /* the connections with higher ids */
    size_t limit;        /* at most SESSION_ROWS_MAX */
    unsigned timeout_ms; /* for the answers of the workers */
};

struct session_rows {
    struct session_row *of; /* memory_alloc'd; in the order of their ids */
    size_t count;
    bool complete; /* all workers have answered in time */
};

/* The connections of all workers. False when memory is out. Any thread that is not a worker's. */
bool session_list(const struct session_query *query, struct session_rows *out);

#endif
