/* The operators' view of sessions: figures of each worker, and a list of connections on request. */
#ifndef SLUICE_SESSION_OBSERVE_H
#define SLUICE_SESSION_OBSERVE_H

#include "net/address.h"
#include "session/session_metrics.h"

struct session_worker;

/* Worker's thread, at each tick: updates the figures of its clients. */
void session_observe_all(struct session_worker *worker);

/* Any thread, as long as the worker lives. */
const struct session_metrics *session_worker_metrics(const struct session_worker *worker);
const char *session_phase_name(enum session_phase phase);
/* The label for session_metrics.commands: "other" for COMMAND_UNKNOWN, NULL for a command that is
 * not counted. */
const char *session_command_label(enum command_name command);

enum { SESSION_ROWS_MAX = 500, SESSION_APPLICATION_BYTES = 160 };

/* A connection at the time of the listing. */
struct session_row {
    uint64_t id; /* as logged: conn17 */
    char remote[ADDRESS_TEXT_BYTES];
    char server[SESSION_SERVER_BYTES];
    char identity[SESSION_IDENTITY_BYTES]; /* from the server; otherwise the claim; "" without a
                                              user */
    char application[SESSION_APPLICATION_BYTES];
    const char *command; /* the oldest running command, "" without one; static */
    enum session_phase phase;
    bool tls;
    bool shared; /* it uses connections of pools */
    bool in_transaction;
    int64_t connected_ms; /* since it was accepted */
    int64_t phase_ms;     /* since the last exchange, or since its command started to wait or run */
};

struct session_query {
    struct session_worker *const *workers;
    unsigned worker_count;
    uint64_t after;      /* the connections with higher ids */
    size_t limit;        /* at most SESSION_ROWS_MAX */
    unsigned timeout_ms; /* for the workers' answers */
};

struct session_rows {
    struct session_row *of; /* from memory_alloc; sorted by id */
    size_t count;
    bool complete; /* all workers answered in time */
};

/* Lists the connections of all workers. False without memory. For any thread except a worker's. */
bool session_list(const struct session_query *query, struct session_rows *out);

#endif
