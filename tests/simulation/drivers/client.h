/* One model driver: what its files share. Follows the driver specifications: server discovery and
 * monitoring, connection pooling, sessions, retryable reads and writes, client backpressure. */
#ifndef SIMULATION_CLIENT_H
#define SIMULATION_CLIENT_H

#include <bson/bson.h>

#include "fiber.h"
#include "frame.h"
#include "model.h"
#include "record.h"

enum {
    CLIENT_SERVERS_MAX = 2 * PLAN_MEMBERS_MAX, /* seeds and members */
    CLIENT_WAITERS_MAX = 32
};

/* Limits of drivers; connectTimeoutMS and the like. */
static const int64_t client_connect_timeout_us = 10000000;
static const int64_t client_socket_timeout_us = 20000000;
static const int64_t client_selection_timeout_us = 30000000;
static const int64_t client_heartbeat_us = 10000000;
static const int64_t client_least_heartbeat_us = 500000;

struct client;
struct connection;
struct server;

/* --- connections (connection.c) --- */

enum call_result { CALL_ANSWERED, CALL_LOST, CALL_TIMED_OUT, CALL_CANCELLED };

struct connection {
    struct connection *next_of_client;
    struct connection *next_idle;
    struct client *client;
    struct server *server;
    struct end *end; /* NULL: it ended */
    unsigned number; /* as end_connection */
    unsigned generation;
    int64_t opened_us;
    bool opened, monitors, idle;
    bool is_standalone, has_sessions; /* as its own hello says */
    struct frame_bytes in;
    struct fiber *waiter; /* for `opened` or for a reply */
    bool awaits;          /* a reply to `awaited` */
    int32_t awaited;
    const char *command; /* under way, for messages */
    bson_t *reply;       /* arrived, not yet taken */
    bool more;           /* of this reply: another one follows by itself */
    /* Unacknowledged writes since the last reply, for the check of order. */
    int64_t unacknowledged[8];
    unsigned unacknowledged_count;
};

/* Dials and waits until it is open. NULL: it failed, or the fiber is cancelled. */
struct connection *client_connection_open(struct server *server, bool monitors);
/* Ends it under its waiter, for which it is lost. */
void client_connection_break(struct connection *connection);
/* In order, or by a reset. NULL is allowed. */
void client_connection_close(struct connection *connection, bool reset);
/* The next request's number. */
int32_t client_connection_next_id(struct connection *connection);
/* Sends without waiting for a reply. False: the connection ended. */
bool client_connection_send(struct connection *connection, const struct frame_bytes *bytes);
/* Sends, and waits for the reply, which the caller then owns. */
enum call_result client_connection_call(struct connection *connection,
                                        const struct frame_bytes *bytes, int32_t id,
                                        const char *command, int64_t timeout_us, bson_t **reply);
/* The next reply of a stream, after a reply with `more`. */
enum call_result client_connection_next(struct connection *connection, int64_t timeout_us,
                                        bson_t **reply);

/* --- login (login.c) --- */

enum login_result { LOGIN_DONE, LOGIN_LOST, LOGIN_TIMED_OUT, LOGIN_REFUSED, LOGIN_CANCELLED };

/* hello with the client's metadata, then SCRAM. *code is the server's with LOGIN_REFUSED. */
enum login_result login_handshake(struct connection *connection, int *code);
/* The hello of a monitor's new connection; *reply is owned by the caller. */
enum call_result login_hello(struct connection *connection, bson_t **reply);
/* A document for `client` in hello. */
void login_append_metadata(const struct client *client, bson_t *hello);

/* --- servers (topology.c, monitor.c) --- */

enum server_type {
    SERVER_UNKNOWN,
    SERVER_STANDALONE,
    SERVER_PRIMARY,
    SERVER_SECONDARY,
    SERVER_MONGOS,
    SERVER_OTHER
};

struct server_version {
    bool known;
    bson_oid_t process;
    int64_t counter;
};

struct server {
    struct client *client;
    char address[32];
    enum server_type type;
    bool says_hello; /* helloOk was seen */
    struct server_version version;
    /* its pool (pool.c) */
    unsigned generation;
    bool ready; /* false: paused until the monitor reaches the server */
    struct connection *idle;
    unsigned connections;
    /* its monitor */
    struct fiber *monitor;
    struct connection *monitor_connection;
    bool sleeps, wanted, cancelled;
};

void topology_begin(struct client *client);
enum server_type topology_read_type(const bson_t *hello_reply);
/* True if the reply is newer than the known description, or not comparable. */
void topology_take_hello(struct server *server, const bson_t *reply);
void topology_lose(struct server *server, const char *why);
/* An error of the server that says it is no primary any more, or shuts down. */
void topology_take_error(struct server *server, unsigned generation, const bson_t *reply, int code);
/* A network error of an application's connection. */
void topology_take_loss(struct server *server, unsigned generation, bool handshake);
bool topology_is_state_change(int code);
/* The server for writes and for reads of the primary; NULL: none in time, or cancelled. */
struct server *topology_select(struct client *client);

void monitor_start(struct server *server);
/* Asks for a check soon. */
void monitor_want(struct server *server);

/* --- pool (pool.c) --- */

enum checkout_result {
    CHECKOUT_DONE,
    CHECKOUT_CLEARED, /* the pool is or was cleared */
    CHECKOUT_LOST,    /* a network error of a handshake */
    CHECKOUT_REFUSED, /* the login is */
    CHECKOUT_CANCELLED
};

enum checkout_result pool_check_out(struct server *server, struct connection **out, int *code);
/* Closes it if it ended or is older than the pool's last clearing. */
void pool_check_in(struct connection *connection);
/* Closes it. */
void pool_forget(struct connection *connection, bool reset);
void pool_clear(struct server *server);

/* --- sessions (session.c) --- */

struct session {
    struct session *next;
    bson_t *lsid;
    int64_t number; /* the last transaction number */
    bool dirty;
};

struct session *session_check_out(struct client *client);
void session_check_in(struct client *client, struct session *session);
/* Forgets all idle ones; appends {endSessions: [...]}. The number of them. */
unsigned session_end_all(struct client *client, bson_t *command);
void session_free_all(struct client *client);
void session_take_cluster_time(struct client *client, const bson_t *reply);

/* --- commands (command.c) --- */

struct command {
    const char *name;
    const char *database;
    bson_t *body; /* without lsid, txnNumber, $clusterTime and $db */
    struct frame_sequence sequences[2];
    unsigned sequence_count;
    bool writes;    /* a write that may be retried has a transaction number */
    bool retryable; /* by its kind; the client's option decides too */
    bool sessionless;
    bool keeps_session;      /* the implicit session goes to the result's owner: a cursor's */
    struct session *session; /* given: a transaction's or a cursor's; else an implicit one */
    struct server *server;   /* given: a cursor's */
    int64_t awaits_us;       /* the server may take this time on purpose */
};

enum result_kind {
    RESULT_DONE,    /* ok: 1 */
    RESULT_REFUSED, /* ok: 0, or a refused login */
    RESULT_LOST,    /* a network error */
    RESULT_UNSENT,  /* no server or connection in time */
    RESULT_DIED     /* the client vanished */
};

struct result {
    enum result_kind kind;
    bson_t *reply; /* NULL without one */
    int code;      /* of RESULT_REFUSED */
    bool maybe;    /* some attempt may have run without its answer */
    unsigned attempts;
    int64_t begun_us;        /* when the first attempt was sent */
    struct server *server;   /* the last one */
    struct session *session; /* with keeps_session; check it in */
};

/* Runs the command with retries. Release the result. */
struct result command_run(struct client *client, const struct command *command);
/* One attempt on a connection that the caller holds. */
enum call_result command_call(struct connection *connection, const struct command *command,
                              struct session *session, int64_t number, bson_t **reply);
/* Sends the command with moreToCome. */
bool command_send(struct connection *connection, const struct command *command);
void result_release(struct result *result);

bool reply_is_ok(const bson_t *reply);
int reply_code(const bson_t *reply);
bool reply_has_label(const bson_t *reply, const char *label);
/* An integer of any type; `missing` if there is none. */
int64_t reply_integer(const bson_t *reply, const char *dotted, int64_t missing);

/* --- operations (operations.c) --- */

struct operation {
    struct client *client;
    const struct plan_step *step;
    struct stream stream; /* its own */
    unsigned next_index;  /* of its documents */
};

void step_run(struct operation *operation);

/* --- the client itself (client.c) --- */

struct thread {
    struct client *client;
    unsigned index;
    unsigned next; /* of the plan's steps */
    struct fiber *fiber;
    bool ended;
    const struct plan_step *step; /* under way */
    int64_t step_begun_us;
};

struct client {
    struct drivers *drivers;
    struct world *world;
    const struct plan *plan;
    const struct plan_client *what;
    unsigned index;
    char host[8];
    char actor[16];
    struct stream stream;                                    /* for what belongs to no operation */
    bool speculates, legacy_first, absent_concern, exhausts; /* its habits */
    struct server servers[CLIENT_SERVERS_MAX];
    unsigned server_count;
    bool has_election;
    int64_t election_set_version;
    bson_oid_t election_id;
    struct connection *connections;
    struct session *sessions; /* idle ones */
    bson_t *cluster_time;
    struct fiber *waiters[CLIENT_WAITERS_MAX]; /* for a change of servers or pools */
    unsigned waiter_count;
    struct thread *threads; /* what->connections */
    struct timer *revival;
    bool alive, ended, wants_death;
    int32_t next_id;
    struct record record;
    uint64_t moment; /* counts the ends of operations and the beginnings of reads */
};

/* Wakes all that wait for servers or connections. */
void client_changed(struct client *client);
/* Waits for a change. False: the time is up (*late) or the fiber is cancelled. */
bool client_wait(struct client *client, int64_t until_us, bool *late);
/* The client vanishes after this event, and comes back. */
void client_die_soon(struct client *client);
void client_trace(const struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
