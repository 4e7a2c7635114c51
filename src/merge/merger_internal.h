/* Shared by the files of this room only. */
#ifndef SLUICE_MERGE_MERGER_INTERNAL_H
#define SLUICE_MERGE_MERGER_INTERNAL_H

#include "base/table.h"
#include "merge/merger.h"

#include <utlist.h>

/* Room for one command of a group in flight. */
struct merger_permit {
    struct merger_group *group;
    int64_t since_us;
};

/* A batch lives in the waiter at its head: taking one needs no memory. */
struct batch {
    struct merger_group *group;
    struct merger_permit *permit;
    struct merger_waiter *head;
    struct pool_session *session; /* P, with N; NULL in a batch without numbers */
    uint32_t inserts;
    uint32_t docs;
    size_t bytes;    /* of the documents */
    int64_t sent_us; /* first, or again */
    bool resent;
    bool settled; /* answered, lost or sent alone */
    bool needed;  /* its number, by one who was let go */
};

struct merger_waiter {
    struct merger_waiter *prev, *next;         /* of its group's or batch's list */
    struct merger_waiter *all_prev, *all_next; /* of all that wait, oldest first */
    struct merger_group *group;
    struct batch *in; /* NULL while it waits */
    void *arg;        /* NULL: its client left */
    bool answered;
    struct retry_op *op;          /* NULL without a number, once settled, and with a resend */
    struct merger_resend *resend; /* BATCH_FIND_OUT, until it is taken */
    int64_t since_us;
    uint32_t docs;
    size_t docs_bytes;
    struct bytes body;              /* into the payload */
    struct document_list documents; /* likewise, but its name */
    struct batch batch;
    size_t payload_len;
    uint8_t payload[];
};

struct merger_group {
    UT_hash_handle hh;
    struct merger_group *prev, *next;                 /* of the ready ones, or of the idle ones */
    struct merger_group *waiting_prev, *waiting_next; /* of those with waiters */
    struct merger_waiter *waiters;
    struct merger_rules rules; /* the last that were given */
    uint32_t waiting;
    uint64_t docs; /* of the waiting */
    uint64_t bytes;
    uint64_t taken;    /* the permits in use, a bit for each */
    uint64_t stalled;  /* of those, the ones that the rest waits for no longer */
    bool permit_freed; /* since the last batch was taken */
    bool ready;
    bool idle;
    bool numbered;
    bool unhashed;      /* there was no memory to enter it */
    size_t owner_len;   /* identity and server: the first part of the key */
    size_t elements_at; /* in the key: the elements that all have */
    size_t key_len;
    struct merger_permit permits[MERGER_IN_FLIGHT_MAX];
    uint8_t key[];
};

struct merger {
    struct retry_table *retries;
    struct session_pool *pool;
    struct merger_group *groups;
    struct merger_group *ready;
    struct merger_group *idle; /* kept for the next insert; least recently used first */
    uint32_t idle_count;
    struct merger_group *waiting_groups;
    struct merger_waiter *waiters; /* all that wait, oldest first */
    struct merger_waiter *spent;   /* what batch_go_lone handed out last */
    uint32_t waiting;
    int64_t timer_us; /* when the first group with waiters has to be looked at; INT64_MAX: none */
    size_t held_bytes;
    uint8_t *key; /* scratch, as long as key_room */
    size_t key_room;
    bool draining;
    struct merger_counters counters;
};

struct merger_resend {
    struct retry_op *op;
    struct retry_numbers numbers;
    bool again;            /* its client sent it again itself */
    bool asks_again;       /* a reply so far tells the client to try again */
    uint32_t at;           /* the document that is asked for */
    struct bytes body;     /* of the client's command, into the payload */
    struct list_walk rest; /* its documents from `at` on, likewise */
    uint8_t *replies;      /* to the documents before; one after another */
    size_t replies_bytes;
    size_t payload_bytes;
    uint8_t payload[];
};

/* Where a part of a payload is in a copy of it. */
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

/* The group of the insert, made where there is none; the rules are its from now on. Not in flight
 * and without waiters it may be gone after the next call. NULL when memory is out. */
struct merger_group *group_find(struct merger *merger, const struct merger_rules *rules,
                                const struct merger_origin *origin,
                                const struct merger_insert *insert);
/* Commands in flight that the group waits for. */
uint32_t group_in_flight(const struct merger_group *group);
/* Whether one more may go at all. */
bool group_has_permit(const struct merger_group *group);
struct merger_permit *group_take_permit(struct merger *merger, struct merger_group *group,
                                        int64_t now_us);
/* The permit is free. Its group may be gone afterwards. */
void group_release_permit(struct merger *merger, struct merger_permit *permit, int64_t now_us);
void group_add_waiter(struct merger *merger, struct merger_group *group,
                      struct merger_waiter *waiter, int64_t now_us);

/* With a copy of the payload; in no list yet. NULL when memory is out. */
struct merger_waiter *waiter_make(struct merger *merger, const struct merger_insert *insert,
                                  void *arg, int64_t now_us);
/* Frees one that is in no list (any more). */
void waiter_free(struct merger *merger, struct merger_waiter *waiter);
/* The held bytes changed. */
void group_show_held(struct merger *merger);

/* --- batch.c ------------------------------------------------------------------------------------
 */

/* lsid and txnNumber. */
void batch_write_session(struct build *body, const uint8_t *lsid, int64_t number);
/* An OP_MSG payload of the body and a list of documents, whose bytes are to be put at *documents.
 * NULL when memory is out. */
uint8_t *batch_frame(struct build *body, size_t documents_bytes, uint8_t **documents, size_t *len);

/* --- resend.c -----------------------------------------------------------------------------------
 */

/* A command that is asked for again. */
struct resend_of {
    struct bytes payload; /* it is copied; the others lie in it */
    struct bytes body;
    struct document_list documents;
};

/* Takes over the op: it is settled when this is over. NULL when memory is out: then the op is
 * settled as lost. */
struct merger_resend *resend_make(struct merger *merger, struct retry_op *op,
                                  const struct retry_numbers *numbers, const struct resend_of *of,
                                  int64_t now_us);

#endif
