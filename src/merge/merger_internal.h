/* For the files of this room only. */
#ifndef SLUICE_MERGE_MERGER_INTERNAL_H
#define SLUICE_MERGE_MERGER_INTERNAL_H

#include "base/table.h"
#include "merge/merger.h"
#include "merge/regather.h"

#include <utlist.h>

/* The permission for one command of a group in flight. */
struct merger_permit {
    struct merger_group *group;
    int64_t since_us;
};

/* A batch is stored in its first waiter, so taking one needs no memory. */
struct batch {
    struct merger_group *group;
    struct merger_permit *permit;
    struct merger_waiter *head;
    struct pool_session *session; /* P, with N; NULL for a batch without numbers */
    uint32_t inserts;
    uint32_t docs;
    size_t bytes;    /* of the documents */
    int64_t sent_us; /* the first or the second time */
    bool resent;
    bool settled; /* answered, lost or sent alone */
    bool needed;  /* its number is needed by a client that was released */
};

struct merger_waiter {
    struct merger_waiter *prev, *next;         /* of its group's or batch's list */
    struct merger_waiter *all_prev, *all_next; /* of all waiting ones, oldest first */
    struct merger_group *group;
    struct batch *in; /* NULL while it waits */
    void *arg;        /* NULL: its client left */
    bool answered;
    struct retry_op *op;          /* NULL without a number, after settling, and with a resend */
    struct merger_resend *resend; /* BATCH_FIND_OUT, until the session takes it */
    int64_t since_us;
    uint32_t docs;
    size_t docs_bytes;
    enum trace_carrier carrier;     /* of a trace context that the batch leaves out */
    struct bytes body;              /* points into the payload */
    struct document_list documents; /* points into the payload, except its name */
    struct batch batch;
    size_t payload_len;
    uint8_t payload[];
};

struct merger_group {
    UT_hash_handle hh;
    struct merger_group *prev, *next;                 /* of the ready or the idle groups */
    struct merger_group *waiting_prev, *waiting_next; /* of groups with waiters */
    struct merger_waiter *waiters;
    struct merger_rules rules; /* the most recent ones */
    uint32_t waiting;
    uint64_t docs; /* of the waiting inserts */
    uint64_t bytes;
    uint64_t taken;    /* permits in use, one bit each */
    uint64_t stalled;  /* those of them that no longer hold others back */
    bool permit_freed; /* since the last batch */
    struct regather regather;
    bool ready;
    bool idle;
    bool numbered;
    bool unhashed;      /* there was no memory to insert it */
    size_t owner_len;   /* identity and server: the first part of the key */
    size_t elements_at; /* the position of the equal elements in the key */
    size_t key_len;
    struct merger_permit permits[MERGER_IN_FLIGHT_MAX];
    uint8_t key[];
};

struct merger {
    struct retry_table *retries;
    struct session_pool *pool;
    struct merger_group *groups;
    struct merger_group *last_found; /* of them, or NULL */
    struct merger_group *ready;
    struct merger_group *idle; /* kept for the next insert; least recently used first */
    uint32_t idle_count;
    struct merger_group *waiting_groups;
    struct merger_waiter *waiters; /* all waiting ones, oldest first */
    struct merger_waiter *spent;   /* the last result of batch_go_lone */
    uint32_t waiting;
    int64_t timer_us; /* the time to look at the first group with waiters; INT64_MAX: none */
    size_t held_bytes;
    uint8_t *key; /* scratch, as long as key_room */
    size_t key_room;
    bool draining;
    struct merger_counters counters;
};

struct merger_resend {
    struct retry_op *op;
    struct retry_numbers numbers;
    bool again;            /* the client itself sent it again */
    bool asks_again;       /* an earlier reply tells the client to retry */
    uint32_t at;           /* the document in question */
    struct bytes body;     /* of the client's command, inside the payload */
    struct list_walk rest; /* its documents from `at` on, inside the payload */
    uint8_t *replies;      /* to the earlier documents; consecutive */
    size_t replies_bytes;
    size_t payload_bytes;
    uint8_t payload[];
};

/* The position of a part of a payload in a copy of the payload. */
static inline struct bytes merger_moved(struct bytes part, struct bytes from, const uint8_t *to)
{
    return bytes_of(to + (part.pos - from.pos), bytes_left(&part));
}

static inline void count_one(struct merger *merger, enum merger_counter which)
{
    merger_bump(&merger->counters.values[which], 1);
}

/* --- group.c ------------------------------------------------------------------------------------
 */

/* Finds or makes the group of the insert, and sets its rules. A group without waiters and commands
 * in flight may be freed by the next call. NULL without memory. */
struct merger_group *group_find(struct merger *merger, const struct merger_rules *rules,
                                const struct merger_origin *origin,
                                const struct merger_insert *insert);
/* The commands in flight that hold the group back. */
uint32_t group_in_flight(const struct merger_group *group);
/* True if one more command may go. */
bool group_has_permit(const struct merger_group *group);
struct merger_permit *group_take_permit(struct merger *merger, struct merger_group *group,
                                        int64_t now_us);
/* True if inserts of the group wait for the clients of the batch that was just answered. */
bool group_regathers(const struct merger *merger, const struct merger_group *group, int64_t now_us);
/* Frees the permit of a command that answered so many inserts of clients that are still there. Its
 * group may be freed too. */
void group_release_permit(struct merger *merger, struct merger_permit *permit, uint32_t answered,
                          int64_t now_us);
void group_add_waiter(struct merger *merger, struct merger_group *group,
                      struct merger_waiter *waiter, int64_t now_us);

/* Makes a waiter with a copy of the payload, in no list. NULL without memory. */
struct merger_waiter *waiter_make(struct merger *merger, const struct merger_insert *insert,
                                  void *arg, int64_t now_us);
/* Frees a waiter that is in no list. */
void waiter_free(struct merger *merger, struct merger_waiter *waiter);
/* Updates the counter of held bytes. */
void group_show_held(struct merger *merger);

/* --- batch.c ------------------------------------------------------------------------------------
 */

/* lsid and txnNumber. */
void batch_write_session(struct build *body, const uint8_t *lsid, int64_t number);
/* Makes an OP_MSG payload with the body, the telemetry section (if it is not empty) and a list of
 * documents, whose bytes the caller writes to *documents. NULL without memory. */
uint8_t *batch_frame(struct build *body, struct bytes telemetry, size_t documents_bytes,
                     uint8_t **documents, size_t *len);

/* --- resend.c -----------------------------------------------------------------------------------
 */

/* A command that is sent again. */
struct resend_of {
    struct bytes payload; /* is copied; the others point into it */
    struct bytes body;
    struct document_list documents;
};

/* Takes over the op and settles it at the end. NULL without memory: the op is then settled as lost.
 */
struct merger_resend *resend_make(struct merger *merger, struct retry_op *op,
                                  const struct retry_numbers *numbers, const struct resend_of *of,
                                  int64_t now_us);

#endif
