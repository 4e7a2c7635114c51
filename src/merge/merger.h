/* Group commit of inserts: what one worker merges, and when it goes. Pure: no connection, no
 * clock, no randomness of its own. One `struct merger` for each worker thread, used by that
 * thread alone (counters may be read by any); the retry table is shared by all.
 *
 * How a session uses it
 *
 *   1. An insert is whole in memory, and validated: grouping_classify, then merger_submit, also
 *      for those that may not be merged (a retry of what was merged has to be known as one). The
 *      outcome says what to do with it.
 *   2. After every call that may make something due (submit, finished, leave, batch_end, drain, the
 *      timer) merger_take until it answers NULL, and send each batch:
 *        of one insert:  batch_go_lone, on the connection of its own client;
 *        of several:     batch_build, on the upstream connection of any waiter that is still there.
 *      merger_next_due_us says when the timer has to call next.
 *      The connection that carries a batch stays open until the reply, also if its own client
 * leaves.
 *   3. The batch's reply: batch_answer, which hands each waiter's own reply out, or says what else
 *      is to be done. Its connection lost: batch_build again and another waiter's connection, if
 *      batch_may_resend; else batch_lost. In the end batch_end, always.
 *
 *      insert ─submit─▶ GO ──────────────────────────────▶ merger_finished
 *                 ├───▶ WAIT ─take─▶ batch of one ─go_lone─▶ merger_finished
 *                 │             └──▶ batch ─build─▶ answer / lost ─▶ batch_end
 *                 └───▶ RESEND ◀──────────────────────┘ find out
 *
 * Adaptive: with nothing of its key in flight an insert goes at once (GO); a client alone never
 * waits. While something is, inserts of the key wait; when that ends they go together. With
 * linger_us they go linger_us after the first of them came, as soon as a permit is free; with
 * max_in_flight over 1 a full batch does not wait for the one before it. What has been in flight
 * for stalled_after_us (its connection may be dead without anybody having said so) is waited for no
 * longer: the others go on without it. It is neither given up nor sent again for that.
 *
 * A waiter is answered exactly once; sluice_assert holds that also in release builds. */
#ifndef SLUICE_MERGE_MERGER_H
#define SLUICE_MERGE_MERGER_H

#include "bson/build.h"
#include "merge/grouping.h"
#include "merge/merge_counters.h"
#include "merge/retry_table.h"
#include "merge/session_pool.h"

/* The options of a namespace (group `merge`), as they are now. */
struct merger_rules {
    bool enabled;
    bool reject;              /* at max_waiters: refuse; else pass through */
    uint32_t max_docs;        /* of a batch */
    size_t max_bytes;         /* of a batch's documents */
    uint32_t max_in_flight;   /* commands of one key, from 1 to MERGER_IN_FLIGHT_MAX */
    int64_t stalled_after_us; /* 0: never */
    int64_t linger_us;
    uint32_t max_waiters;       /* waiting inserts of the key */
    uint32_t max_waiters_total; /* waiting inserts of the worker */
};

/* Commands of one key in flight, those that are stalled included. */
enum { MERGER_IN_FLIGHT_MAX = 64 };

/* Of a batch's message, beside the documents. */
enum { MERGER_OVERHEAD_BYTES = 8192 };

/* Lowers the rules to what a server takes: maxWriteBatchSize and maxMessageSizeBytes of its hello.
 * grouping_classify and merger_submit must be given what comes out. */
void merger_rules_fit(struct merger_rules *rules, uint32_t max_batch_docs,
                      size_t max_message_bytes);

/* How well it is known whom an insert comes from. */
enum merger_trust {
    MERGER_UNKNOWN,  /* it goes as it came, and nothing is recorded */
    MERGER_PROBABLE, /* it is no other's retry, but goes by itself */
    MERGER_CERTAIN
};

/* Whom the insert comes from, and what it goes to. */
struct merger_origin {
    const uint8_t
        *identity;        /* RETRY_IDENTITY_BYTES: standing_users; unknown: any that nobody has */
    const char *server;   /* "host:port", of the upstream connection */
    uint64_t incarnation; /* standing_incarnation: only equal ones are merged */
    enum merger_trust trust;
};

enum merger_outcome {
    /* Send it as it came, and call merger_finished(permit) when its reply ended or its
     * connection broke. */
    MERGER_GO,
    /* Send it as it came; nothing else is due. */
    MERGER_PASS,
    /* Nothing is sent: the answer is an error (overloaded), to be made by the caller. */
    MERGER_REJECT,
    /* It waits. The payload was copied. *waiter is the handle: valid until the waiter was answered,
     * lost or sent alone, and its batch ended. */
    MERGER_WAIT,
    /* A retry of an insert that is under way: nothing is sent, listener->done brings the result.
     * retry_stop_waiting(retry_waiter) is due when it came or the client left. */
    MERGER_WAIT_FOR_FIRST,
    /* A retry of one that was answered: `reply` is the answer, to be freed with memory_free. */
    MERGER_REPLAY,
    /* A retry of one whose outcome is not known: `resend` asks for it, as below. */
    MERGER_RESEND,
    /* Answer TransactionTooOld (code 225): a newer number of this session was taken already. */
    MERGER_TOO_OLD,
    /* A retry, and no memory to treat it as one: close the client's connection, as a lost one. */
    MERGER_CLOSE
};

struct merger;
struct merger_permit;
struct merger_waiter;
struct merger_resend;

struct merger_answer {
    struct merger_permit *permit;      /* GO; borrowed until merger_finished */
    struct merger_waiter *waiter;      /* WAIT; the merger's */
    struct retry_waiter *retry_waiter; /* WAIT_FOR_FIRST; the caller's */
    struct bytes reply;                /* REPLAY; the caller's */
    struct merger_resend *resend;      /* RESEND; the caller's, until it is over */
};

/* `retries` is borrowed and outlives it. NULL when memory is out. */
struct merger *merger_create(struct retry_table *retries, pool_random random);
/* Everything in flight must be finished; what still waits is dropped unsent. NULL is allowed. */
void merger_destroy(struct merger *merger);

/* An insert to be submitted; all of it is borrowed for the call. */
struct merger_request {
    const struct merger_rules *rules;
    const struct merger_origin *origin;
    const struct merger_insert *insert;
    void *waiter; /* comes back with its batch; opaque and not NULL */
    const struct retry_listener *listener;
    int64_t now_us;
};

/* Sets in *out exactly what the outcome names. */
enum merger_outcome merger_submit(struct merger *merger, const struct merger_request *request,
                                  struct merger_answer *out);

/* A numbered insert went by unread (too large to be merged): known from its body's lsid and
 * txnNumber alone. Only such that could never have been merged. */
void merger_note_passed(struct merger *merger, const struct merger_origin *origin,
                        const uint8_t *lsid, int64_t number, int64_t now_us);

/* What went under the permit has been answered, or its connection is gone. */
void merger_finished(struct merger *merger, struct merger_permit *permit, int64_t now_us);

/* The client of a WAIT is gone. While it waits its insert is dropped unsent; when its batch is on
 * its way, the documents go on and nobody is answered. The handle is dead afterwards. */
void merger_leave(struct merger *merger, struct merger_waiter *waiter, int64_t now_us);

/* Whether its client's driver has sent it again, and waits for the same answer. */
bool merger_is_repeated(const struct merger_waiter *waiter);

/* Everything that waits goes without lingering, from now on. */
void merger_drain(struct merger *merger, int64_t now_us);

/* When merger_take must be called even if nothing happens; INT64_MAX: never. */
int64_t merger_next_due_us(const struct merger *merger);

/* Nothing waits or is in flight: the next insert goes at once. */
bool merger_is_idle(const struct merger *merger);

const struct merger_counters *merger_counters(const struct merger *merger);
/* The bytes of commands held now (HELD_BYTES_NOW): compare before and after a call to account. */
size_t merger_held_bytes(const struct merger *merger);

/* --- batches ------------------------------------------------------------------------------------
 */

struct batch;

/* The next batch that is due, NULL when none is. It counts as in flight until batch_end. Never
 * fails for want of memory: without a session for it, it is a batch of one. */
struct batch *merger_take(struct merger *merger, int64_t now_us);

/* Whose inserts it holds, RETRY_IDENTITY_BYTES: only a connection of the same may carry it. */
const uint8_t *batch_identity(const struct batch *batch);
/* Inserts in it, those whose client left included. */
size_t batch_inserts(const struct batch *batch);
/* The waiters in order: batch_first, then batch_next until NULL. */
struct merger_waiter *batch_first(const struct batch *batch);
struct merger_waiter *batch_next(const struct merger_waiter *waiter);
/* What merger_submit was given; NULL: its client left. */
void *batch_waiter(const struct merger_waiter *waiter);
/* The command as it came (payload of an OP_MSG), for the batch of one and for BATCH_SEND_ALONE. */
struct bytes batch_command(const struct merger_waiter *waiter);

/* A batch of one: *command is to be sent as it came, under its client's own requestID, on its
 * client's own connection; its reply goes to the client as it comes, and merger_finished is due
 * for the permit that is returned. The bytes are valid until the next batch_go_lone; batch and
 * waiter's handle are dead. */
struct merger_permit *batch_go_lone(struct merger *merger, struct batch *batch, int64_t now_us,
                                    struct bytes *command);

/* The merged command: a whole OP_MSG payload, memory_alloc'd for the caller. May be called again to
 * send it again. False when memory is out. */
bool batch_build(const struct batch *batch, uint8_t **payload, size_t *len);

/* Whether the batch may be sent once more on another connection of the same identity and server,
 * and still be run once: it has a number, and this is its first loss. Counts as done when true. */
bool batch_may_resend(struct merger *merger, struct batch *batch, int64_t now_us);

enum batch_verdict {
    /* Every waiter got its reply. */
    BATCH_ANSWERED,
    /* The server refused the command as such (parse, authorization, …) and ran nothing of it: send
     * each waiter's own command (batch_command) on its own connection, as MERGER_PASS. */
    BATCH_SEND_ALONE,
    /* The reply leaves open what became of each: the batch was sent again and not all of it is
     * stored, or the server failed it, perhaps in the middle. batch_take_resend for each waiter
     * that is still there. */
    BATCH_FIND_OUT,
    /* The server failed it, perhaps in the middle, and it has no number to find out by: nobody was
     * answered. Close the waiters' connections, as after a loss. */
    BATCH_UNCERTAIN,
    /* No sense can be made of the reply: nobody was answered. Close the waiters' connections, as
     * after a loss. */
    BATCH_UNREADABLE
};

/* Hands a waiter (batch_waiter, never NULL) its own reply document, valid during the call. Empty
 * when there was no memory for it: close that client's connection. Must not call the merger. */
typedef void (*batch_reply)(void *arg, void *waiter, struct bytes reply);

/* The server's reply document to the batch. Settles every insert in the retry table. */
enum batch_verdict batch_answer(struct merger *merger, struct batch *batch, struct bytes reply,
                                batch_reply each, void *arg, int64_t now_us);

/* After BATCH_FIND_OUT, before batch_end: the waiter's, NULL when there was no memory for it: close
 * its client's connection. The waiter's handle is dead. */
struct merger_resend *batch_take_resend(struct merger_waiter *waiter);

/* From time to time while it is under way. Once it has been stalled for long, retries of clients
 * that left need not wait for its answer: they go alone under its number, as MERGER_RESEND, and
 * the server knows what of it was done. */
void batch_let_go(struct merger *merger, struct batch *batch, int64_t now_us);

/* The batch gets no reply: close the connections of its waiters (batch_first …) after this. `sent`:
 * whether a byte of it may have reached a server. */
void batch_lost(struct merger *merger, struct batch *batch, bool sent, int64_t now_us);

/* Frees it with all its waiters; their handles are dead. It must have been answered or lost. */
void batch_end(struct merger *merger, struct batch *batch, int64_t now_us);

/* --- inserts of a batch that are asked for ------------------------------------------------------
 * Document by document, each under the batch's number with its own statement id, since servers in
 * use answer nothing else exactly when it is repeated: MongoDB 4.4 says of [new, duplicate, new],
 * sent again, that two were stored and nothing of an error. */

/* The command that asks for the next document (payload of an OP_MSG, memory_alloc'd for the
 * caller), for the client's own connection. False when memory is out: then merger_resend_lost. */
bool merger_resend_payload(const struct merger_resend *resend, uint8_t **payload, size_t *len);

enum resend_step {
    RESEND_ASK,    /* merger_resend_payload again: there are more documents */
    RESEND_ANSWER, /* *answer is the client's reply, owned by `out`; `resend` is gone */
    RESEND_CLOSE   /* close the client's connection; `resend` is gone */
};

/* The reply document to it. `out` is begun here; build_free is due in any case. */
enum resend_step merger_resent(struct merger *merger, struct merger_resend *resend,
                               struct bytes reply, int64_t now_us, struct build *out,
                               struct bytes *answer);

/* There is no reply (connection lost, not sent), or nobody waits for it. Frees `resend`. */
void merger_resend_lost(struct merger *merger, struct merger_resend *resend, int64_t now_us);

#endif
