/* The plan of one history: all that is decided before it begins, as data. It is made from the seed,
 * and shrinking takes parts out of it: a client, an operation, a fault, an option. Everything else
 * is drawn from streams that belong to one actor (world.h). */
#ifndef SIMULATION_PLAN_H
#define SIMULATION_PLAN_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PLAN_CLIENTS_MAX = 12,
    PLAN_OPERATIONS_MAX = 24, /* of one client */
    PLAN_FAULTS_MAX = 16,
    PLAN_REQUESTS_MAX = 10,
    PLAN_MEMBERS_MAX = 3
};

enum plan_login { PLAN_LOGIN_NONE, PLAN_LOGIN_RELAY, PLAN_LOGIN_VERIFIER };

/* The server that is modelled: it decides the order of results of retried statements, and what its
 * hello says. */
enum plan_server { PLAN_SERVER_4_4, PLAN_SERVER_CURRENT };
enum plan_topology { PLAN_STANDALONE, PLAN_REPLICA_SET, PLAN_MONGOS };

enum plan_operation {
    PLAN_PING,
    PLAN_INSERT,           /* one document */
    PLAN_INSERT_MANY,      /* some documents, ordered or not */
    PLAN_INSERT_REFUSED,   /* breaks the schema (or one of many does) */
    PLAN_INSERT_DUPLICATE, /* an _id of its own that is stored already */
    PLAN_INSERT_UNACKNOWLEDGED,
    PLAN_INCREMENT, /* update with $inc: executed twice, it shows */
    PLAN_DELETE,
    PLAN_FIND,          /* what this client wrote: reads its own writes */
    PLAN_CURSOR,        /* find with small batches and getMore */
    PLAN_BULK,          /* bulkWrite: current servers */
    PLAN_TRANSACTION,   /* two writes and a commit, with retries */
    PLAN_WHOAMI,        /* connectionStatus: the identity that the server sees */
    PLAN_CHANGE_STREAM, /* watches, with resume */
    PLAN_END_SESSIONS,
    PLAN_DIE, /* the client vanishes with operations under way, and comes back */
    PLAN_OPERATION_KINDS
};

struct plan_step {
    enum plan_operation kind;
    uint32_t number;   /* the operation's own number: its documents are made from it */
    uint32_t pause_us; /* before it */
};

/* One application: its pool of connections, its monitor, its sessions. */
struct plan_client {
    bool leaves_out;      /* shrunk away */
    unsigned user;        /* 0: does not log in; else user 1, 2, … */
    unsigned connections; /* the size of its pool; as many operations run at once */
    bool retries;         /* retryWrites, retryReads */
    bool majority;        /* write concern majority */
    bool backpressure;    /* says so in hello, and waits as it is told */
    bool monitors;        /* with awaitable hello */
    bool whispers;        /* a connection often carried a w:0 write just before a retry */
    unsigned operation_count;
    struct plan_step operations[PLAN_OPERATIONS_MAX];
};

enum plan_fault_kind {
    FAULT_CUT_CLIENT,   /* a client's connection breaks after some bytes */
    FAULT_CUT_UPSTREAM, /* an upstream connection breaks after some bytes */
    FAULT_HALF_OPEN,
    FAULT_PARTITION,
    FAULT_LATENCY,
    FAULT_SLOW_READER,
    FAULT_SERVER_RESTART, /* crash and restart of a member */
    FAULT_STEP_DOWN,      /* orderly, or by election; what no majority has is rolled back */
    FAULT_SLOW_DISK,
    FAULT_PROXY_RESTART,
    FAULT_PROXY_DRAIN,  /* followed by a new proxy at the same address */
    FAULT_PROXY_PAUSE,  /* and resume */
    FAULT_PROXY_RELOAD, /* other options */
    FAULT_CLOCK_JUMP,   /* of the wall clock */
    FAULT_MEMORY,       /* the n-th allocation fails, and some after it */
    FAULT_MEMORY_MAX,   /* memory_max is small for a while */
    FAULT_SCHEMA,       /* a schema changes */
    FAULT_USER,         /* a user is dropped, and made anew */
    FAULT_OVERLOAD,     /* servers refuse commands of clients that support backpressure */
    FAULT_DISK_FULL,    /* commands fail between two statements, and are not to be retried */
    FAULT_LOST_ANSWER,  /* connections to servers break after writes, before the answers */
    FAULT_CLOCK_STAND,  /* the proxy's monotonic clock stands still for a while */
    FAULT_CLOCK_LEAP,   /* it leaps ahead by seconds */
    FAULT_PROXY_SLEEP,  /* the proxy's machine is suspended for a while */
    PLAN_FAULT_KINDS
};

struct plan_fault {
    bool leaves_out;
    enum plan_fault_kind kind;
    int64_t at_us;
    int64_t lasts_us;
    uint32_t which;  /* of the possible targets */
    uint32_t amount; /* bytes, allocations, … */
};

/* Requests of the operator to the admin endpoint. */
enum plan_page {
    PAGE_DASHBOARD,
    PAGE_LIVEZ,
    PAGE_READYZ,
    PAGE_METRICS,
    PAGE_OPENMETRICS,
    PAGE_STATUS,
    PAGE_SAMPLES, /* /status with the samples */
    PAGE_CONNECTIONS,
    PAGE_SOME_CONNECTIONS, /* with a limit */
    PAGE_POOLS,
    PAGE_CONFIG,
    PAGE_SCHEMAS,
    PAGE_SCHEMA,
    PAGE_UNKNOWN,
    PAGE_WRONG_METHOD,
    PAGE_WRONG_QUERY,
    PAGE_WRONG_SCHEMA,  /* PUT of a schema with an error */
    PAGE_WITHOUT_TOKEN, /* of a plan with a token */
    PLAN_PAGE_KINDS
};

struct plan_request {
    bool leaves_out;
    enum plan_page page;
    int64_t at_us;
};

struct plan {
    uint64_t seed;
    enum plan_server server;
    enum plan_topology topology;
    unsigned members; /* 1 … PLAN_MEMBERS_MAX */
    enum plan_login login;
    unsigned users; /* 0 without login */
    bool direct;    /* without the proxy: the control */
    bool shared;    /* pool.mode: shared */
    bool merging;
    bool schemas;
    unsigned workers; /* 1 or 2 */
    unsigned pool_max_size;
    unsigned client_count;
    struct plan_client clients[PLAN_CLIENTS_MAX];
    unsigned fault_count;
    struct plan_fault faults[PLAN_FAULTS_MAX];
    bool operated; /* the proxy has an admin endpoint, and faults of operators take this way */
    bool has_token;
    unsigned request_count;
    struct plan_request requests[PLAN_REQUESTS_MAX];
};

/* The proxy's limits are so small that it refuses requests in ordinary use: with code 262 after
 * waiting for a pool or in a pause (which also closes the connection), with code 462 at
 * merge.max_waiters. */
static inline bool plan_is_tight(const struct plan *plan)
{
    return plan->seed % 8 == 3;
}

/* Of FAULT_CLOCK_STAND: then it is right again. Otherwise it goes on from there. */
static inline bool plan_clock_catches_up(const struct plan_fault *fault)
{
    return fault->which % 2 == 0;
}

/* How far the fault takes the proxy's clock ahead while the proxy does nothing. */
int64_t plan_leap_us(const struct plan_fault *fault);

/* The sum of all faults. */
int64_t plan_leaps_us(const struct plan *plan);
/* True if the plan has this fault. */
bool plan_has_fault(const struct plan *plan, enum plan_fault_kind kind);

/* The same plan for the same seed. */
void plan_make(uint64_t seed, struct plan *out);
/* All of it, for people. */
void plan_print(const struct plan *plan, void *file);
const char *plan_operation_name(enum plan_operation operation);
const char *plan_fault_name(enum plan_fault_kind kind);
const char *plan_page_name(enum plan_page page);

#endif
