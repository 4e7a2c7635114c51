/* What became of each client's last numbered insert, so that a retry of it is answered and never
 * run twice. One table for the whole proxy: a retry may come on any connection, worker and port.
 * Pure; thread-safe (shards with a lock each).
 *
 * A merged insert went under the proxy's session and number (P, N) and statement ids of its own
 * within the batch; the server knows nothing of the client's (lsid, txnNumber). So the proxy must
 * know, for each (identity, lsid), what the highest txnNumber is and where it went:
 *
 *   DIRECT    as it came, under its own number: a retry goes the same way, and the server
 *             deduplicates. Merging it would have the server run it again.
 *   PENDING   waiting for, or in, a batch (or alone under (P, N), after UNKNOWN): a retry waits
 *             and gets the same answer.
 *   UNSENT    waited and was never sent (its client left): a retry is as good as new.
 *   DONE      answered: the reply is kept, a retry gets it.
 *   UNKNOWN   the batch went and no final answer came, or none for long: (P, N) and the
 *             statement ids are kept, and a retry goes alone under them, so that the server
 *             deduplicates.
 *
 * The rules that keep it exactly-once:
 * 1. A session that the table does not know is never merged: its insert could be the retry of one
 *    that went by unrecorded (merging was off, the table was full, its entry was evicted, another
 *    process carried it). It goes as it came and is recorded as DIRECT; the next number of that
 *    session cannot be a retry, for a driver never goes back, and may be merged. So forgetting an
 *    entry is always safe for what went DIRECT, and nothing needs to be recorded while merging is
 *    off but higher numbers of sessions that are known (RETRY_WANT_KNOWN).
 * 2. P is not reused before its entries are gone. An entry needs the server's memory
 *    of (P, N) only while it is PENDING or UNKNOWN, and a server remembers only the highest N of P.
 *    PENDING: P belongs to that batch, and to retries that go alone under (P, N) while it is still
 *    under way (batch_let_go): a server takes one command of a session at a time. DONE: the reply
 *    is here, P's history is not needed. If the batch leaves even one UNKNOWN entry behind,
 *    retry_settle says so and P is retired: it never gets a higher N, so (P, N) stays P's last for
 *    as long as the server keeps the session.
 * 3. The server forgets an idle session after 30 minutes (logicalSessionTimeoutMinutes), the
 *    client's as well as P: entries that idle for as long are of no more use than none.
 * 4. A lower number than the recorded one: the server itself answers TransactionTooOld if the
 *    recorded one went DIRECT. If it was merged the server has not seen it and would run the late
 *    one; then the answer is RETRY_TOO_OLD, to be given by the proxy.
 * 5. Under the memory cap DIRECT entries go first, oldest first (rule 1 makes that safe); entries
 *    with a result go when they are older than any driver's retry. If nothing may go, a new session
 *    is not recorded, hence not merged.
 *
 * Updates, deletes and transactions with txnNumbers of the same session need no entry: their
 * retries are no inserts. */
#ifndef SLUICE_MERGE_RETRY_TABLE_H
#define SLUICE_MERGE_RETRY_TABLE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "wire/lsid.h"

enum { RETRY_IDENTITY_BYTES = 32 };

/* Idle for longer than this: gone. */
#define RETRY_IDLE_US ((int64_t)30 * 60 * 1000 * 1000)
/* A result that is older may go when memory is short: drivers retry at once after a failure, and
 * look for a server for 30 seconds. */
#define RETRY_KEEP_US ((int64_t)5 * 60 * 1000 * 1000)

struct retry_key {
    uint8_t identity[RETRY_IDENTITY_BYTES];
    uint8_t lsid[LSID_BYTES];
};

/* Under what numbers an insert went in a batch. */
struct retry_numbers {
    uint8_t lsid[LSID_BYTES]; /* P */
    int64_t number;           /* N */
    uint32_t first_statement;
    uint32_t statements;
};

enum retry_result {
    RETRY_RESULT_REPLY, /* the reply to the waiting retry */
    RETRY_RESULT_AGAIN  /* submit the retry again, as if it had just come */
};

/* Who waits for the result of another's insert. `done` is called exactly once, unless the
 * retry stops waiting before; on the thread of the one who carries the insert, with a lock of
 * the table held: it must only hand the news over to its own thread (copying the reply), and must
 * not call into this table. */
struct retry_listener {
    void *arg;
    void (*done)(void *arg, enum retry_result result, struct bytes reply);
};

struct retry_table;
struct retry_op;     /* an insert that is PENDING; belongs to the one who submitted it */
struct retry_waiter; /* a retry that waits for it; belongs to the caller */

/* What the caller would do with an insert that is no retry. */
enum retry_want {
    RETRY_WANT_NOTHING, /* refuse it: nothing is recorded */
    RETRY_WANT_KNOWN,   /* send it as it came; recorded where the session is known */
    RETRY_WANT_DIRECT,  /* the same; recorded in any case, so that the next one may be merged */
    RETRY_WANT_MERGED   /* merge it */
};

enum retry_found {
    RETRY_FOUND_MERGE,    /* merge it: *op is PENDING */
    RETRY_FOUND_NEW,      /* no retry: do as you would (recorded as wanted) */
    RETRY_FOUND_UNKNOWN,  /* may be a retry for all the table knows: send it as it came */
    RETRY_FOUND_DIRECT,   /* a retry, or no memory to merge it: send it as it came */
    RETRY_FOUND_PENDING,  /* a retry that waits now: *waiter; wait for listener->done */
    RETRY_FOUND_DONE,     /* a retry: *reply is its answer, memory_alloc'd for the caller */
    RETRY_FOUND_RESEND,   /* a retry: send it alone under *numbers; *op is PENDING */
    RETRY_FOUND_TOO_OLD,  /* a lower number than the session's last */
    RETRY_FOUND_NO_MEMORY /* a retry that can neither be answered nor wait now: close */
};

struct retry_answer {
    struct retry_op *op;
    struct retry_waiter *retry_waiter;
    struct bytes reply;
    struct retry_numbers numbers;
};

/* NULL when memory is out. The cap is about the entries with their replies. */
struct retry_table *retry_table_create(size_t cap_bytes);
/* No op and no waiter may be left. NULL is allowed. */
void retry_table_destroy(struct retry_table *table);
void retry_table_set_cap(struct retry_table *table, size_t cap_bytes);
/* Without a lock: entries and their bytes, about. Where both merging is off and the table empty,
 * inserts need not be looked at. */
size_t retry_table_entries(const struct retry_table *table);
size_t retry_table_bytes(const struct retry_table *table);

/* A numbered insert. */
struct retry_request {
    struct retry_key key;
    int64_t number;
    uint64_t what; /* tells the command from others: retry_what */
    enum retry_want want;
    const struct retry_listener *listener; /* borrowed for the call */
    int64_t now_us;
};

/* Looks the insert up and records it, in one step. The same number with another `what` is no retry
 * but a client's mistake, and goes as it came. Sets in *answer exactly what the result names. */
enum retry_found retry_table_begin(struct retry_table *table, const struct retry_request *request,
                                   struct retry_answer *answer);
/* Never 0. */
uint64_t retry_what(struct bytes database, struct bytes collection, uint32_t documents);

/* How a PENDING insert ended. */
enum retry_end {
    RETRY_END_DIRECT,  /* it goes as it came, after all: waiting retries come again */
    RETRY_END_UNSENT,  /* it never went anywhere: the same */
    RETRY_END_DONE,    /* `reply` is final */
    RETRY_END_REFUSED, /* `reply` says that it may be tried again: kept as UNKNOWN */
    RETRY_END_LOST     /* no answer: kept as UNKNOWN, waiting retries come again */
};

/* Ends the op (it is gone afterwards) and completes all waiting retries. `numbers` for DONE,
 * REFUSED and LOST; `reply` (may be empty only for want of memory: then as LOST) for DONE and
 * REFUSED. Returns whether (P, N) is needed further: then P must be retired. */
bool retry_settle(struct retry_table *table, struct retry_op *op, enum retry_end end,
                  const struct retry_numbers *numbers, struct bytes reply, int64_t now_us);

/* Whether a retry waits. */
bool retry_is_awaited(struct retry_op *op);

/* The waiter is gone, whether done was called or not; it will not be called any more. Due
 * exactly once for each. */
void retry_stop_waiting(struct retry_waiter *retry_waiter);

/* endSessions, killSessions: the session is over. What is PENDING stays: its retries must still
 * find it. */
void retry_table_forget(struct retry_table *table, const struct retry_key *key);
/* killAllSessions: the same for all. */
void retry_table_forget_all(struct retry_table *table);

#endif
