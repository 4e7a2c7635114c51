/* The model server, between the files of this folder. It reads and writes the wire by its own code,
 * so that it shares no error with the proxy. Everything runs in the world's single thread.
 *
 * A cluster has members with a log each. The state of a member (documents, retryable statements) is
 * what its log says: a rollback or a crash shortens the log and computes the state anew. Two logs
 * that hold the same entry hold the same entries before it. */
#ifndef SIMULATION_SERVER_H
#define SIMULATION_SERVER_H

#include <bson/bson.h>

#include "application.h"
#include "model.h"
#include "server/region.h"

enum {
    SERVER_USERS_MAX = 16,
    SERVER_NAMESPACE_BYTES = 72,
    SERVER_DOCUMENT_BYTES_MAX = 16 * 1024 * 1024,
    SERVER_MESSAGE_BYTES_MAX = 48000000,
    SERVER_BATCH_DOCUMENTS_MAX = 100000,
    SERVER_SEQUENCES_MAX = 3
};

/* Seconds since 1970 at the start of a history. */
#define SERVER_EPOCH_SECONDS 1764500000LL

/* --- what is stored (documents.c) --- */

/* One state of one document. */
struct version {
    uint32_t slot;
    bool is_deleted;
    bool breaks_schema;
    unsigned user;               /* the insert's, as authenticated; 0: nobody */
    unsigned writers;            /* bits of all users that wrote it */
    unsigned written;            /* executed inserts, in this log */
    int64_t increments;          /* the field `i` */
    int64_t made_us;             /* when the write ran */
    struct entry *by;            /* NULL while its transaction is open */
    struct version *previous;    /* the state before, in the same log */
    struct version *made_before; /* any other state of the document, in any log */
    const uint8_t *document;
    uint32_t len;
};

/* A document that exists or existed in some log. */
struct slot {
    unsigned collection;
    int64_t key;          /* the token; other kinds of _id are hashed */
    struct version *made; /* all states, newest first */
    unsigned duplicates;  /* inserts refused with E11000 */
};

struct collection {
    char name[SERVER_NAMESPACE_BYTES]; /* "app.open" */
    bool exists;
    bool strict; /* the servers check documents */
};

/* --- the log (replication.c) --- */

/* A retryable statement that ran: its result. */
struct statement {
    int32_t id;
    int32_t modified;
    bool upserted;
    int64_t n;
    int64_t upserted_key;
    struct statement *before; /* of the same session and number */
};

enum entry_kind { ENTRY_NOTHING, ENTRY_WRITE, ENTRY_COMMIT };

struct entry {
    int64_t index; /* 1, 2, … in every log that holds it */
    int64_t term;
    uint32_t seconds, increment; /* its time; no two entries share one */
    enum entry_kind kind;
    int session;                  /* -1: none */
    int64_t number;               /* the session's */
    struct statement *statements; /* newest; includes those of earlier entries */
    unsigned version_count;
    struct version **versions;
    struct version *only;
};

/* --- sessions (sessions.c) --- */

struct session {
    uint8_t id[16];
    unsigned user;
};

struct session_state {
    int64_t number; /* 0: none yet */
    bool is_transaction;
    bool is_committed;
    bool is_checked_out; /* a command with a number runs in it */
    struct statement *statements;
    struct transaction *open; /* of this member, as long as it is primary */
};

/* An open transaction. */
struct transaction {
    int session;
    int64_t number;
    int64_t snapshot; /* the last entry that it sees */
    int64_t expires_us;
    struct transaction *next;
    struct version_list {
        struct version **all;
        size_t count, capacity;
    } versions;
};

/* --- servers --- */

enum member_role { MEMBER_DOWN, MEMBER_SECONDARY, MEMBER_PRIMARY, MEMBER_ROLLBACK };

/* A process that listens: a member or a mongos. */
struct front {
    struct cluster *cluster;
    struct member *member; /* NULL: a mongos */
    char host[8];
    char address[32];
    bool is_up;
    struct stream stream;
    uint8_t process_id[12];
    int64_t topology_counter;
    int connection_count; /* ever */
    struct connection *connections;
    struct cursor *cursors;
};

struct member {
    struct front front;
    struct cluster *cluster;
    unsigned number;
    enum member_role role;
    bool isolated; /* hears nothing of the others */
    int64_t term;  /* the highest that it knows */
    int primary;   /* the member that it believes in; -1: none */
    struct entry **log;
    size_t log_count, log_capacity;
    int64_t durable;                        /* entries on its disk */
    int64_t flushing;                       /* 0: the disk is idle */
    int64_t acknowledged[PLAN_MEMBERS_MAX]; /* a primary's: what the others have on disk */
    int64_t committed;                      /* as far as it knows, a majority has these */
    int64_t disk_us;                        /* additional delay of each flush */
    struct version **versions;              /* by slot */
    size_t version_capacity;
    struct session_state *sessions; /* by session */
    size_t session_capacity;
    struct transaction **locks; /* by slot: an open transaction wrote it */
    size_t lock_capacity;
    struct transaction *transactions;
    struct timer *copying, *flush, *coming_back;
};

struct user {
    unsigned incarnation; /* 0: does not exist */
    unsigned incarnations;
    struct timer *back;
};

struct follower {
    void (*changed)(void *arg);
    void *arg;
};

struct command_count {
    const char *name;
    uint64_t count;
};

struct cluster {
    struct world *world;
    const struct plan *plan;
    struct region region;
    struct stream stream;
    unsigned member_count;
    struct member members[PLAN_MEMBERS_MAX];
    bool has_mongos;
    struct front mongos;
    struct timer *mongos_back;
    struct user users[SERVER_USERS_MAX + 1];
    unsigned parted[PLAN_MEMBERS_MAX][PLAN_MEMBERS_MAX]; /* partitions between them */
    int64_t term;
    uint32_t seconds, increment; /* the time of the newest entry */
    struct timer *electing;
    struct slot *slots;
    size_t slot_count, slot_capacity;
    uint32_t *slot_index; /* open addressing: slot + 1 */
    size_t slot_index_capacity;
    struct session *sessions;
    size_t session_count, session_capacity;
    int *session_index; /* open addressing: session + 1 */
    size_t session_index_capacity;
    struct collection *collections;
    size_t collection_count, collection_capacity;
    struct operation *parked;
    struct follower followers[4];
    unsigned follower_count;
    int64_t overload_until_us;
    unsigned overload_per_mille;
    int64_t full_until_us; /* of the disks */
    unsigned full_per_mille;
    int64_t losing_until_us; /* of answers */
    unsigned losing_per_mille;
    struct command_count counts[64];
    unsigned count_count;
};

/* arrays of slots and sessions grow: these find the element of a member */
struct version *member_version(const struct member *member, uint32_t slot);
struct session_state *member_session(struct member *member, int session);

bool cluster_is_set(const struct cluster *cluster); /* keeps sessions and a log for others */
/* The member that accepts writes by the newest term; NULL: none. */
struct member *cluster_primary(const struct cluster *cluster);
void cluster_changed(struct cluster *cluster);
unsigned cluster_collection(struct cluster *cluster, const char *name);
/* Microseconds since 1970, in milliseconds. */
int64_t cluster_wall_ms(const struct cluster *cluster);

/* --- documents.c --- */

uint32_t slot_make(struct cluster *cluster, unsigned collection, int64_t key);
/* False: no document of this key was ever written. */
bool slot_find(const struct cluster *cluster, unsigned collection, int64_t key, uint32_t *out);
/* The bytes of an element's value; none for null and the like. */
const uint8_t *value_bytes(const bson_iter_t *iter, size_t *len);
/* The key of an _id; false if it is of a type that servers refuse. */
bool document_key(const bson_iter_t *id, int64_t *out);
/* The state at a point of the member's log; NULL: there is none, or it is deleted. */
struct version *version_at(struct version *version, int64_t index);
/* True if the document breaks the strict schema (application.h); `reason` may be NULL. */
bool document_breaks_schema(const bson_t *document, bson_t *reason);

/* --- replication.c --- */

/* At the end of a primary's log. The versions become the documents' state. */
struct entry *member_append(struct member *member, enum entry_kind kind, int session,
                            int64_t number, struct statement *statement, struct version **versions,
                            unsigned count);
void member_truncate(struct member *member, int64_t keep);
struct entry *member_last(const struct member *member);
void member_flush(struct member *member);
void member_copy_soon(struct member *member);
void cluster_copy_soon(struct cluster *cluster);
/* Wakes parked operations that may go on. */
void cluster_wake(struct cluster *cluster);
void member_commit(struct member *member);
/* Directly, or by way of a third member. */
bool member_hears(const struct member *member, const struct member *other);

/* --- elections.c --- */

void member_set_role(struct member *member, enum member_role role, int primary);
void cluster_elect_soon(struct cluster *cluster);
/* At the start: the first member is primary. */
void cluster_begin_term(struct cluster *cluster);
/* A secondary finds that its log is not the primary's. */
void member_roll_back(struct member *member, int64_t keep);
void front_listen(struct front *front);
/* The topology changes: awaiting hellos are answered. */
void front_topology_changed(struct front *front);

/* --- sessions.c --- */

/* -1 without a usable lsid. */
int session_of(struct cluster *cluster, const uint8_t id[16], unsigned user);
struct statement *session_find(const struct session_state *state, int64_t number, int32_t id);

/* --- transactions.c --- */

void transaction_abort(struct member *member, struct transaction *transaction);
void member_abort_all(struct member *member);
struct transaction *transaction_locking(struct member *member, uint32_t slot);

#endif
