/* Group commit of inserts: merges the inserts of one worker and decides when they go. Pure: no
 * connection, no clock, no randomness of its own. Each worker thread has one `struct merger` and is
 * its only user (every thread may read the counters). All share the retry table.
 *
 * Use by a session
 *
 *   1. An insert is complete in memory and validated: call grouping_classify, then merger_submit.
 *      Do this even for inserts that may not be merged, because a retry of a merged insert must be
 *      recognised. The outcome tells what to do.
 *   2. After every call that may make a batch due (submit, finished, leave, batch_end, drain, the
 *      timer), call merger_take until it returns NULL, and send each batch:
 *        of one insert:  batch_go_lone, on the connection of its own client;
 *        of several:     batch_build, on the upstream connection of any remaining waiter.
 *      merger_next_due_us returns the time for the next timer call. The connection that carries a
 *      batch stays open until the reply, even if its own client leaves.
 *   3. On the reply to a batch: batch_answer, which passes each waiter its own reply or returns a
 *      further step. On a lost connection: batch_build again and another waiter's connection, if
 *      batch_may_resend allows it; otherwise batch_lost. At the end, always batch_end.
 *
 *      insert ─submit─▶ GO ──────────────────────────────▶ merger_finished
 *                 ├───▶ WAIT ─take─▶ batch of one ─go_lone─▶ merger_finished
 *                 │             └──▶ batch ─build─▶ answer / lost ─▶ batch_end
 *                 └───▶ RESEND ◀──────────────────────┘ find out
 *
 * The merger adapts: if no insert of its key is in flight, an insert goes at once (GO), so a single
 * client never waits. Otherwise inserts of the key wait, and they go together when the earlier
 * command ends and, as long as this gains something, its clients have sent again (regather.h). With
 * linger_us they go linger_us after the arrival of the first one, as soon as a permit is free. With
 * max_in_flight above 1, a full batch does not wait for the one before it. A command that is in
 * flight for stalled_after_us no longer holds others back, because its connection may be dead
 * without notice. It is neither given up nor sent again for this reason.
 *
 * Each waiter is answered exactly once; sluice_assert checks this in release builds too. */
#ifndef SLUICE_MERGE_MERGER_H
#define SLUICE_MERGE_MERGER_H

#include "bson/build.h"
#include "merge/grouping.h"
#include "merge/merge_counters.h"
#include "merge/retry_table.h"
#include "merge/session_pool.h"

/* The current options of a namespace (group `merge`). */
struct merger_rules {
    bool enabled;
    enum grouping_comments ignored;
    bool reject;              /* at max_waiters: refuse; otherwise pass through */
    uint32_t max_docs;        /* of a batch */
    size_t max_bytes;         /* of a batch's documents */
    uint32_t max_in_flight;   /* commands of one key, from 1 to MERGER_IN_FLIGHT_MAX */
    int64_t stalled_after_us; /* 0: never */
    int64_t linger_us;
    uint32_t max_waiters;       /* waiting inserts of the key */
    uint32_t max_waiters_total; /* waiting inserts of the worker */
};

/* Commands of one key in flight, including stalled ones. */
enum { MERGER_IN_FLIGHT_MAX = 64 };

/* Bytes of a batch's message beside the documents. */
enum { MERGER_OVERHEAD_BYTES = 8192 };

/* Lowers the rules to the server's limits: maxWriteBatchSize and maxMessageSizeBytes of its hello.
 * grouping_classify and merger_submit need the result. */
void merger_rules_fit(struct merger_rules *rules, uint32_t max_batch_docs,
                      size_t max_message_bytes);

/* The certainty about the user of an insert. */
enum merger_trust {
    MERGER_UNKNOWN,  /* it goes unchanged, and nothing is recorded */
    MERGER_PROBABLE, /* it is not another user's retry, but goes alone */
    MERGER_CERTAIN
};

/* The user of an insert and its destination. */
struct merger_origin {
    const uint8_t
        *identity; /* RETRY_IDENTITY_BYTES: standing_users; if unknown, a value that no user has */
    const char *server;   /* "host:port", of the upstream connection */
    uint64_t incarnation; /* standing_incarnation: only inserts with equal ones are merged */
    enum merger_trust trust;
    bool backpressure; /* its hello says so: only inserts of one kind are merged */
};

enum merger_outcome {
    /* Send it unchanged, and call merger_finished(permit) after its reply, or when its connection
       breaks. */
    MERGER_GO,
    /* Send it unchanged; no further call is needed. */
    MERGER_PASS,
    /* Send nothing: the caller answers with an error (overloaded). */
    MERGER_REJECT,
    /* It waits; the payload was copied. *waiter is the handle. It is valid until the waiter is
       answered, lost or sent alone and its batch ends. */
    MERGER_WAIT,
    /* A retry of an insert that is under way: send nothing; listener->done delivers the result.
       Call retry_stop_waiting(retry_waiter) after that, or when the client leaves. */
    MERGER_WAIT_FOR_FIRST,
    /* A retry of an answered insert: `reply` is the answer; free it with memory_free. */
    MERGER_REPLAY,
    /* A retry of an insert with an unknown result: `resend` asks for it, see below. */
    MERGER_RESEND,
    /* Answer TransactionTooOld (code 225): the session has used a newer number. */
    MERGER_TOO_OLD,
    /* A retry, but no memory to handle it: close the client's connection, as if it were lost. */
    MERGER_CLOSE
};

struct merger;
struct merger_permit;
struct merger_waiter;
struct merger_resend;

struct merger_answer {
    struct merger_permit *permit;      /* GO; borrowed until merger_finished */
    struct merger_waiter *waiter;      /* WAIT; the merger owns it */
    struct retry_waiter *retry_waiter; /* WAIT_FOR_FIRST; the caller owns it */
    struct bytes reply;                /* REPLAY; the caller owns it */
    struct merger_resend *resend;      /* RESEND; the caller owns it until its end */
};

/* `retries` is borrowed and outlives it. NULL without memory. */
struct merger *merger_create(struct retry_table *retries, pool_random random);
/* Nothing may be in flight; waiting inserts are dropped unsent. NULL is allowed. */
void merger_destroy(struct merger *merger);

/* An insert to submit; all of it is borrowed during the call. */
struct merger_request {
    const struct merger_rules *rules;
    const struct merger_origin *origin;
    const struct merger_insert *insert;
    void *waiter; /* the batch returns it; opaque and not NULL */
    const struct retry_listener *listener;
    int64_t now_us;
};

/* Sets exactly the fields of *out that belong to the outcome. */
enum merger_outcome merger_submit(struct merger *merger, const struct merger_request *request,
                                  struct merger_answer *out);

/* Counts an insert that never came to merger_submit: NONE, because a schema refused a document of
 * it; otherwise it passed for this reason. */
void merger_count_apart(struct merger *merger, enum grouping_bar bar);

/* Notes a numbered insert that never came to merger_submit, by the lsid and txnNumber of its body.
 * Only for inserts that could never have been merged. */
void merger_note_passed(struct merger *merger, const struct merger_origin *origin,
                        const uint8_t *lsid, int64_t number, int64_t now_us);

/* The command with the permit was answered, or its connection is gone. */
void merger_finished(struct merger *merger, struct merger_permit *permit, int64_t now_us);

/* The client of a WAIT is gone. A waiting insert is dropped unsent. If its batch is under way, the
 * documents continue, and nobody is answered. The handle is then invalid. */
void merger_leave(struct merger *merger, struct merger_waiter *waiter, int64_t now_us);

/* True if the client's driver has sent the insert again and waits for the same answer. */
bool merger_is_repeated(const struct merger_waiter *waiter);

/* Sends all waiting inserts without lingering from now on. */
void merger_drain(struct merger *merger, int64_t now_us);

/* The time of the next required call of merger_take; INT64_MAX: none. */
int64_t merger_next_due_us(const struct merger *merger);

/* True if no insert waits or is in flight: the next insert goes at once. */
bool merger_is_idle(const struct merger *merger);

const struct merger_counters *merger_counters(const struct merger *merger);
/* The bytes of held commands (HELD_BYTES_NOW): compare them before and after a call for accounting.
 */
size_t merger_held_bytes(const struct merger *merger);

/* --- batches ------------------------------------------------------------------------------------
 */

struct batch;

/* The next due batch; NULL if there is none. It is in flight until batch_end. Never fails without
 * memory: a batch without a session has one insert. */
struct batch *merger_take(struct merger *merger, int64_t now_us);

/* The identity of its inserts, RETRY_IDENTITY_BYTES: only a connection with the same identity may
 * carry it. */
const uint8_t *batch_identity(const struct batch *batch);
/* The number of its inserts, including those of clients that left. */
size_t batch_inserts(const struct batch *batch);
uint32_t batch_documents(const struct batch *batch);
/* The waiters in order: batch_first, then batch_next until NULL. */
struct merger_waiter *batch_first(const struct batch *batch);
struct merger_waiter *batch_next(const struct merger_waiter *waiter);
/* The argument of merger_submit; NULL: the client left. */
void *batch_waiter(const struct merger_waiter *waiter);
/* The original command (payload of an OP_MSG), for a batch of one and for BATCH_SEND_ALONE. */
struct bytes batch_command(const struct merger_waiter *waiter);

/* For a batch of one: send *command unchanged, under its client's requestID, on its client's
 * connection. Its reply goes to the client unchanged, and the caller calls merger_finished with the
 * returned permit. The bytes are valid until the next batch_go_lone; the batch and the waiter's
 * handle are invalid. */
struct merger_permit *batch_go_lone(struct merger *merger, struct batch *batch, int64_t now_us,
                                    struct bytes *command);

/* The merged command: a whole OP_MSG payload, allocated for the caller with memory_alloc. May be
 * called again to resend it. The batch carries `context` if one of its inserts had a trace context
 * that the batch leaves out, in the same carrier: this server accepts it. NULL: none. False without
 * memory. */
bool batch_build(const struct batch *batch, const struct trace_context *context, uint8_t **payload,
                 size_t *len);

/* True if the batch may be sent once more on another connection with the same identity and server
 * and still run only once: it has a number, this is its first loss, and batch_let_go released no
 * client of it. On true the resend counts as done. */
bool batch_may_resend(struct merger *merger, struct batch *batch, int64_t now_us);

enum batch_verdict {
    /* Every waiter has its reply. */
    BATCH_ANSWERED,
    /* The server refused the command as a whole (parse, authorization, …) and ran no part of it:
       send each waiter's own command (batch_command) on its own connection, as for MERGER_PASS. */
    BATCH_SEND_ALONE,
    /* The reply leaves the results open: the batch was sent again and is not fully stored, or the
       server failed it, possibly in the middle. Call batch_take_resend for each remaining waiter.
     */
    BATCH_FIND_OUT,
    /* The server failed it, possibly in the middle, and it has no number for questions: nobody was
       answered. Close the waiters' connections, as after a loss. */
    BATCH_UNCERTAIN,
    /* The reply has no valid meaning: nobody was answered. Close the waiters' connections, as after
       a loss. */
    BATCH_UNREADABLE
};

/* Passes a waiter (batch_waiter, never NULL) its own reply document, valid during the call. An
 * empty reply means that there was no memory: close that client's connection. Must not call the
 * merger. */
typedef void (*batch_reply)(void *arg, void *waiter, struct bytes reply);

/* Handles the server's reply to the batch. Settles every insert in the retry table. */
enum batch_verdict batch_answer(struct merger *merger, struct batch *batch, struct bytes reply,
                                batch_reply each, void *arg, int64_t now_us);

/* After BATCH_FIND_OUT, before batch_end: the question for this waiter. NULL without memory: close
 * its client's connection. The waiter's handle is then invalid. */
struct merger_resend *batch_take_resend(struct merger_waiter *waiter);

/* Call it from time to time for a batch under way. After a long stall, retries of clients that left
 * need not wait for its answer: they go alone under its number, as MERGER_RESEND, and the server
 * knows its result. */
void batch_let_go(struct merger *merger, struct batch *batch, int64_t now_us);

/* The batch gets no reply: close the connections of its waiters (batch_first …) after this call.
 * `sent`: a byte of it may have reached a server. */
void batch_lost(struct merger *merger, struct batch *batch, bool sent, int64_t now_us);

/* Frees the batch with all its waiters; their handles are invalid. It must be answered or lost. */
void batch_end(struct merger *merger, struct batch *batch, int64_t now_us);

/* --- questions about inserts of a batch ----------------------------------------------------------
 * Each document is sent separately, under the batch's number and with its own statement id, because
 * servers answer nothing else exactly on a repeat: for a repeated [new, duplicate, new],
 * MongoDB 4.4 reports two stored documents and no error. */

/* The command with the next document (payload of an OP_MSG, allocated for the caller with
 * memory_alloc), for the client's own connection. False without memory: then call
 * merger_resend_lost. */
bool merger_resend_payload(const struct merger_resend *resend, uint8_t **payload, size_t *len);

enum resend_step {
    RESEND_ASK,    /* call merger_resend_payload again: there are more documents */
    RESEND_ANSWER, /* *answer is the client's reply, owned by `out`; `resend` is freed */
    RESEND_CLOSE   /* close the client's connection; `resend` is freed */
};

/* Handles the reply document. Starts `out`; the caller must call build_free in every case. */
enum resend_step merger_resent(struct merger *merger, struct merger_resend *resend,
                               struct bytes reply, int64_t now_us, struct build *out,
                               struct bytes *answer);

/* There is no reply (connection lost, not sent), or nobody waits for it. Frees `resend`. */
void merger_resend_lost(struct merger *merger, struct merger_resend *resend, int64_t now_us);

#endif
