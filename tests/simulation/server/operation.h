/* Connections of the model server and the commands that run on them. */
#ifndef SIMULATION_SERVER_OPERATION_H
#define SIMULATION_SERVER_OPERATION_H

#include "server/server.h"

enum { WIRE_CHECKSUM = 1 << 0, WIRE_MORE_TO_COME = 1 << 1, WIRE_EXHAUST_ALLOWED = 1 << 16 };

/* --- server_connection.c --- */

struct connection {
    struct front *front;
    struct end *end; /* NULL: the client is gone */
    struct connection *next, *before;
    struct stream stream;
    int id;
    unsigned user; /* as logged in: see server_connection_user */
    unsigned incarnation;
    struct scram *scram; /* a conversation under way */
    bool says_backpressure;
    bool has_metadata;
    uint8_t *in; /* received, not yet taken */
    size_t in_start, in_end, in_capacity;
    struct operation *running;
    struct timer *sending; /* the rest of a reply waits, or the connection is silent */
    uint8_t *rest;
    size_t rest_len;
    int32_t request_id; /* of the server's messages */
};

/* The user that the server takes the connection for; 0: nobody. */
unsigned server_connection_user(const struct connection *connection);
/* Sends one message: OP_MSG, or OP_REPLY to an OP_QUERY. Returns its requestID. */
int32_t server_connection_send(struct connection *connection, bool is_query, uint32_t flags,
                               int32_t response_to, const bson_t *document);
/* The operation under way has ended: takes the next request. */
void server_connection_next(struct connection *connection);
void server_connection_close(struct connection *connection, bool reset);
/* Takes no request and sends nothing for this time; is reset then. No reply may be under way. */
void server_connection_fall_silent(struct connection *connection, int64_t lasts_us);
void front_close_connections(struct front *front, bool reset);

/* --- operation.c --- */

enum step {
    STEP_DONE,   /* the reply is built: the write concern may have to be waited for */
    STEP_AGAIN,  /* run again after `again_us` */
    STEP_PARKED, /* run again when `is_ready` says so, or at the deadline */
    STEP_GO_ON   /* of a part of a command */
};

enum command_flags {
    COMMAND_NO_LOGIN = 1, /* works without a login */
    COMMAND_WRITES = 2,   /* on primaries only; has a write concern */
    COMMAND_READS = 4,    /* on secondaries only with a read preference */
    COMMAND_ADMIN = 8,    /* on the database "admin" only */
    COMMAND_RETRYABLE = 16,
    COMMAND_SET = 32,    /* not on a standalone */
    COMMAND_CURRENT = 64 /* not on 4.4 */
};

struct command {
    const char *name;
    unsigned flags;
    enum step (*run)(struct operation *operation);
    const char *fields; /* own fields, separated by spaces; NULL: any */
};

struct sequence {
    const char *name;
    const uint8_t *data;
    size_t len;
};

struct operation {
    struct connection *connection;
    struct cluster *cluster;
    struct front *front;
    struct member *member; /* where it runs: the front's, or the primary that the mongos chose */
    const struct command *command;
    struct timer *timer;
    bool started;

    uint8_t *message;
    uint32_t message_len;
    int32_t request_id;
    uint32_t flags;
    bool is_query;
    bson_t body;
    struct sequence sequences[SERVER_SEQUENCES_MAX];
    unsigned sequence_count;

    char database[SERVER_NAMESPACE_BYTES];
    unsigned user;
    bool has_lsid;
    uint8_t lsid[16];
    int session; /* -1: none */
    int64_t number;
    bool has_number, in_transaction, starts_transaction;
    bool reads_secondaries;
    bool has_concern, is_majority, is_journaled;
    int concern_members; /* w as a number; -1: not given */
    int64_t concern_timeout_ms;
    int64_t max_time_ms; /* 0: none */
    int64_t began_us;
    uint32_t after_seconds, after_increment; /* readConcern.afterClusterTime */
    bool reads_committed;                    /* readConcern.level is majority or snapshot */

    int64_t again_us;
    bool holds_session;
    unsigned attempts;

    /* parked */
    bool is_parked;
    struct operation *parked_next, *parked_before;
    bool (*is_ready)(struct operation *operation);
    int64_t park_deadline_us; /* 0: none */
    bool is_late;             /* the deadline came */
    int killed;               /* an error code: it must end */

    /* the write concern */
    bool waits_concern;
    int64_t concern_index;
    int concern_code;
    const char *concern_text;

    /* the answer */
    bson_t reply;
    int code; /* 0: ok */
    char text[256];
    bson_t extra; /* fields of an error, after codeName */
    bool is_overloaded;
    bool has_written;
    bool answers_set; /* opTime and electionId */
    bool is_over;     /* no (further) reply */

    struct write_list *writes;
    void *own; /* of the command; freed with free() */
};

/* Begins the request in `message`, which the operation owns from now on. False: it is malformed,
 * and the connection must be closed. */
bool operation_begin(struct connection *connection, uint8_t *message, uint32_t len);
/* Its client is gone. */
void operation_orphan(struct operation *operation, bool reset);
void operation_resume(struct operation *operation);
/* Ends operations on a member that is no primary any more. */
void member_kill_operations(struct member *member, int code);

/* Sends the answer and ends the operation. */
void operation_answer(struct operation *operation);
/* Ends it without an answer. */
void operation_end(struct operation *operation);
/* commitTransaction, abortTransaction. */
bool operation_ends_transaction(const struct operation *operation);
bool operation_writes(const struct operation *operation);
/* When maxTimeMS is over; 0: never. */
int64_t operation_deadline(const struct operation *operation);

/* write_concern.c: true if the answer has to wait for a write concern. */
bool concern_counts(const struct operation *operation);
/* Answers, or parks the operation until its write concern is met. */
void concern_wait(struct operation *operation);
/* It is met, or late: answers. */
void concern_end(struct operation *operation);

/* Sets the error of the answer; returns STEP_DONE. */
enum step operation_fail(struct operation *operation, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum step operation_park(struct operation *operation, bool (*is_ready)(struct operation *),
                         int64_t deadline_us);
bool operation_field(const struct operation *operation, const char *field, bson_iter_t *out);
int64_t operation_int(const struct operation *operation, const char *field, int64_t absent);
const struct sequence *operation_sequence(const struct operation *operation, const char *name);
/* "db.collection" of the command's first field; false if it is no text. */
bool operation_namespace(struct operation *operation, char out[SERVER_NAMESPACE_BYTES]);

/* --- request.c (and the fields of a command, above) --- */

/* Reads header and sections. */
bool request_read(struct operation *operation);
/* Reads the fields that all commands share. False: operation_fail was called. */
bool request_read_fields(struct operation *operation);

/* --- replies.c --- */

const char *code_name(const struct operation *operation, int code);
/* The whole answer: the reply's fields, ok, labels, times. */
void reply_finish(struct operation *operation, bson_t *out);
void reply_times(const struct operation *operation, bson_t *out);
bool code_is_retryable(int code);
void append_time(bson_t *out, const char *name, uint32_t seconds, uint32_t increment);
void append_topology_version(const struct front *front, bson_t *out);
void append_election_id(const struct member *member, bson_t *out);
void append_op_time(bson_t *out, const char *name, const struct entry *entry);
/* {hash, keyId} of a cluster time. */
void cluster_sign(const struct cluster *cluster, uint32_t seconds, uint32_t increment,
                  uint8_t hash[20]);
enum { REPLY_PARTS_MAX = 64 };

/* --- commands --- */

extern const struct command server_commands[];

/* --- writes (write_commands.c, statements.c) --- */

enum write_kind { WRITE_INSERT, WRITE_UPDATE, WRITE_DELETE };

/* A document in the message. A bson_t must not be copied or moved. */
struct raw {
    const uint8_t *data;
    uint32_t len;
};

struct write {
    enum write_kind kind;
    unsigned collection;
    struct raw document; /* insert: the document; else the filter */
    struct raw update;
    bool many, upsert, is_null;
    int32_t statement;
};

struct write_result {
    unsigned index; /* of the statement */
    int code;       /* 0: it ran */
    int64_t n;
    int64_t modified;
    bool upserted;
    int64_t upserted_key;
    bool is_known; /* a statement that ran before */
    unsigned collection;
    int64_t key;      /* of a duplicate */
    bson_t *err_info; /* of 121 */
    char text[160];
};

struct write_list {
    struct write *all;
    size_t count, capacity;
    struct write_result *results;
    size_t result_count, result_capacity;
    size_t next;   /* the first statement that nobody looked at */
    size_t *batch; /* 4.4's inserts: statements that are put off */
    size_t batch_count, batch_capacity, batch_next;
    bool ordered, stops;
};

void write_list_free(struct write_list *list);
enum write_step { WRITE_STEP_DONE, WRITE_STEP_WAIT };
/* Runs one statement; WRITE_STEP_WAIT: an open transaction holds its document. */
enum write_step statement_run(struct operation *operation, size_t index);
struct write_result *write_result_add(struct write_list *list, size_t index);
/* Runs statements until all have results: STEP_GO_ON then, or STEP_DONE after an error. */
enum step writes_run(struct operation *operation);
/* Applies operators ($inc, $set, $setOnInsert, $unset of plain fields) or a replacement; for an
 * upsert, `before` is the filter. False: it cannot be applied. */
bool update_apply(const bson_t *before, const bson_t *update, bool is_upsert, bson_t *out);
/* Checks session, number and transaction, and keeps other commands out of the session. */
enum step operation_check_out(struct operation *operation);
void operation_check_in(struct operation *operation);
struct transaction *operation_open_transaction(const struct operation *operation);
/* The state that this operation sees. */
struct version *operation_version(const struct operation *operation, uint32_t slot);

/* --- reads (cursors.c, match.c) --- */

bool match_document(const bson_t *filter, const uint8_t *document, uint32_t len);
/* Calls each(arg, version) for matching documents in the order of their keys' first use; it returns
 * false to stop. */
void find_each(struct operation *operation, unsigned collection, const bson_t *filter,
               bool (*each)(void *arg, struct version *version), void *arg);
/* 0, or the code of the filter's error. */
int match_check(const bson_t *filter);

struct cursor {
    struct cursor *next;
    int64_t id;
    char name[SERVER_NAMESPACE_BYTES];
    unsigned collection;
    unsigned user;
    bool has_lsid;
    uint8_t lsid[16];
    struct version **found;
    size_t count, at;
    bool is_stream;
    bool is_of_all;   /* a change stream of the database, or of all */
    int64_t position; /* a change stream's: the entry that it shows next */
    unsigned part;    /* the version in that entry */
};

struct cursor *cursor_add(struct operation *operation, const char *name);
struct cursor *cursor_find(struct front *front, int64_t id);
void cursor_free(struct front *front, struct cursor *cursor);
void cursors_free_all(struct front *front);
/* Those of an ended session. */
void cursors_end_session(struct front *front, const uint8_t lsid[16], unsigned user);
/* {firstBatch or nextBatch, id, ns}: frees a cursor that is at its end. */
void cursor_append_batch(struct operation *operation, struct cursor *cursor, bool is_first,
                         int64_t limit, bool keeps);
/* Begins and ends the document `cursor` of a reply. */
struct batch {
    bson_t cursor, list;
    uint32_t count;
};
void answer_batch_begin(struct operation *operation, struct batch *batch, bool is_first);
void answer_batch_add(struct batch *batch, const bson_t *document);
void answer_batch_end(struct operation *operation, struct batch *batch, int64_t id,
                      const char *name, const char *token);

/* change_streams.c */
enum step change_stream_open(struct operation *operation, const bson_iter_t *stage);
enum step change_stream_more(struct operation *operation, struct cursor *cursor);

/* --- login (scram.c, users.c) --- */

struct scram;
void scram_free(struct scram *scram);
/* 0: none of this name exists. With a database: "admin.user1". */
unsigned user_of_name(const struct cluster *cluster, const char *name, bool has_database);

/* Answers saslStart and speculativeAuthenticate. False: refused. */
bool scram_begin(struct connection *connection, const bson_t *start, bson_t *reply);

enum step run_hello(struct operation *operation);
enum step run_sasl_start(struct operation *operation);
enum step run_sasl_continue(struct operation *operation);
enum step run_logout(struct operation *operation);
enum step run_connection_status(struct operation *operation);
enum step run_users_info(struct operation *operation);
enum step run_insert(struct operation *operation);
enum step run_update(struct operation *operation);
enum step run_delete(struct operation *operation);
enum step run_bulk_write(struct operation *operation);
enum step run_find(struct operation *operation);
enum step run_get_more(struct operation *operation);
enum step run_kill_cursors(struct operation *operation);
enum step run_aggregate(struct operation *operation);
enum step run_count(struct operation *operation);
enum step run_commit(struct operation *operation);
enum step run_abort(struct operation *operation);
enum step run_end_sessions(struct operation *operation);
enum step run_ping(struct operation *operation);
enum step run_build_info(struct operation *operation);
enum step run_list_collections(struct operation *operation);
enum step run_list_databases(struct operation *operation);
enum step run_create(struct operation *operation);
enum step run_start_session(struct operation *operation);

#endif
