/* Remembers the result of each client's last numbered insert, so that a retry is answered and never
 * runs twice. The whole proxy has one table, because a retry may arrive on every connection, worker
 * and port. Pure; thread-safe (shards with a lock each).
 *
 * A merged insert goes under the proxy's session and number (P, N) and its own statement ids in the
 * batch; the server does not see the client's (lsid, txnNumber). The proxy must therefore know the
 * highest txnNumber for each (identity, lsid) and its way:
 *
 *   DIRECT    unchanged, under its own number: a retry goes the same way, and the server
 *             deduplicates. Merging the retry would run it again.
 *   PENDING   waiting for a batch, or in one (or alone under (P, N), after UNKNOWN): a retry
 *             waits and gets the same answer.
 *   UNSENT    waited and was never sent (its client left): a retry counts as new.
 *   DONE      answered: the table keeps the reply for retries.
 *   UNKNOWN   the batch went, and no final answer came, or none for a long time: the table keeps
 *             (P, N) and the statement ids. A retry goes alone under them, and the server
 *             deduplicates.
 *
 * The rules for exactly-once:
 * 1. An insert of an unknown session is never merged: it may be the retry of an unrecorded insert
 *    (merging was off, the table was full, its entry was evicted, or another process sent it). It
 *    goes unchanged and is recorded as DIRECT. The next number of that session cannot be a retry,
 *    because drivers never go back, and may be merged. So dropping an entry is always safe for
 *    DIRECT inserts. While merging is off, only higher numbers of known sessions need a record
 *    (RETRY_WANT_KNOWN).
 * 2. P is not reused before its entries are gone. An entry needs the server's memory of (P, N)
 *    only while it is PENDING or UNKNOWN, and a server remembers only the highest N of P.
 *    PENDING: P belongs to that batch, and to retries that go alone under (P, N) while it is
 *    under way (batch_let_go); a server runs one command of a session at a time. DONE: the table
 *    has the reply, so P's history is not needed. If a batch leaves an UNKNOWN entry,
 *    retry_settle reports this, and P is retired: it never gets a higher N, so (P, N) stays its
 *    last as long as the server keeps the session.
 * 3. The server forgets an idle session after 30 minutes (logicalSessionTimeoutMinutes), the
 *    client's as well as P. Entries that are idle for this time are useless.
 * 4. A number below the recorded one: if the recorded insert went DIRECT, the server itself
 *    answers TransactionTooOld. If it was merged, the server has not seen its number and would
 *    run the late insert; the answer is then RETRY_TOO_OLD, and the proxy gives it.
 * 5. Under the memory limit, DIRECT entries go first, oldest first (safe by rule 1). Entries with
 *    a result go when they are older than every driver's retry. If no entry may go, a new session
 *    is not recorded and hence not merged.
 *
 * Updates, deletes and transactions with txnNumbers of the same session need no entry: their
 * retries are not inserts. */
#ifndef SLUICE_MERGE_RETRY_TABLE_H
#define SLUICE_MERGE_RETRY_TABLE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "wire/lsid.h"

enum { RETRY_IDENTITY_BYTES = 32 };

/* Entries that are idle for longer are dropped. */
#define RETRY_IDLE_US ((int64_t)30 * 60 * 1000 * 1000)
/* Older results may go if memory is short: drivers retry at once after a failure and look for a
 * server for 30 seconds. */
#define RETRY_KEEP_US ((int64_t)5 * 60 * 1000 * 1000)

struct retry_key {
    uint8_t identity[RETRY_IDENTITY_BYTES];
    uint8_t lsid[LSID_BYTES];
};

/* The numbers of an insert in a batch. */
struct retry_numbers {
    uint8_t lsid[LSID_BYTES]; /* P */
    int64_t number;           /* N */
    uint32_t first_statement;
    uint32_t statements;
};

enum retry_result {
    RETRY_RESULT_REPLY, /* the reply to the waiting retry */
    RETRY_RESULT_AGAIN  /* submit the retry again, like a new request */
};

/* Waits for the result of another connection's insert. `done` is called exactly once, unless the
 * retry stops waiting before. It runs on the thread that carries the insert, with a lock of the
 * table held: it must only pass the result to its own thread (with a copy of the reply), and must
 * not call this table. */
struct retry_listener {
    void *arg;
    void (*done)(void *arg, enum retry_result result, struct bytes reply);
};

struct retry_table;
struct retry_op;     /* a PENDING insert; the submitter owns it */
struct retry_waiter; /* a retry that waits for it; the caller owns it */

/* The caller's intention for an insert that is not a retry. */
enum retry_want {
    RETRY_WANT_NOTHING, /* refuse it; nothing is recorded */
    RETRY_WANT_KNOWN,   /* send it unchanged; recorded if the session is known */
    RETRY_WANT_DIRECT,  /* the same, but always recorded, so that the next one may be merged */
    RETRY_WANT_MERGED   /* merge it */
};

enum retry_found {
    RETRY_FOUND_MERGE,   /* merge it: *op is PENDING */
    RETRY_FOUND_NEW,     /* not a retry: act as intended (recorded as wanted) */
    RETRY_FOUND_UNKNOWN, /* possibly a retry: send it unchanged */
    RETRY_FOUND_DIRECT,  /* a retry, or no memory to merge it: send it unchanged */
    RETRY_FOUND_PENDING, /* a retry that now waits: *waiter; wait for listener->done */
    RETRY_FOUND_DONE,   /* a retry: *reply is its answer, allocated for the caller with memory_alloc
                         */
    RETRY_FOUND_RESEND, /* a retry: send it alone under *numbers; *op is PENDING */
    RETRY_FOUND_TOO_OLD,  /* a number below the session's last */
    RETRY_FOUND_NO_MEMORY /* a retry, but it can neither be answered nor wait: close */
};

struct retry_answer {
    struct retry_op *op;
    struct retry_waiter *retry_waiter;
    struct bytes reply;
    struct retry_numbers numbers;
};

/* NULL without memory. The limit covers the entries with their replies. */
struct retry_table *retry_table_create(size_t cap_bytes);
/* No op and no waiter may remain. NULL is allowed. */
void retry_table_destroy(struct retry_table *table);
void retry_table_set_cap(struct retry_table *table, size_t cap_bytes);
/* The approximate number of entries and their bytes, without a lock. If merging is off and the
 * table is empty, inserts need no look. */
size_t retry_table_entries(const struct retry_table *table);
size_t retry_table_bytes(const struct retry_table *table);

/* A numbered insert. */
struct retry_request {
    struct retry_key key;
    int64_t number;
    uint64_t what; /* identifies the command: retry_what */
    enum retry_want want;
    const struct retry_listener *listener; /* borrowed during the call */
    int64_t now_us;
};

/* Looks the insert up and records it, in one step. The same number with another `what` is not a
 * retry but a client's mistake, and goes unchanged. Sets exactly the fields of *answer that belong
 * to the result. */
enum retry_found retry_table_begin(struct retry_table *table, const struct retry_request *request,
                                   struct retry_answer *answer);
/* Never 0. */
uint64_t retry_what(struct bytes database, struct bytes collection, uint32_t documents);

/* The end of a PENDING insert. */
enum retry_end {
    RETRY_END_DIRECT,  /* it goes unchanged in the end: waiting retries are submitted again */
    RETRY_END_UNSENT,  /* it was never sent: the same */
    RETRY_END_DONE,    /* `reply` is final */
    RETRY_END_REFUSED, /* `reply` tells the client to retry: kept as UNKNOWN */
    RETRY_END_LOST     /* no answer: kept as UNKNOWN; waiting retries are submitted again */
};

/* Ends the op, frees it, and completes all waiting retries. `numbers` is for DONE, REFUSED and
 * LOST. `reply` is for DONE and REFUSED; if it is empty for lack of memory, the end counts as LOST.
 * Returns true if (P, N) is still needed: then P must be retired. */
bool retry_settle(struct retry_table *table, struct retry_op *op, enum retry_end end,
                  const struct retry_numbers *numbers, struct bytes reply, int64_t now_us);

/* True if a retry waits. */
bool retry_is_awaited(struct retry_op *op);

/* Drops the waiter, whether done was called or not; done is not called afterwards. Call it exactly
 * once for each. */
void retry_stop_waiting(struct retry_waiter *retry_waiter);

/* endSessions, killSessions: the session is over. PENDING entries stay, because their retries must
 * find them. */
void retry_table_forget(struct retry_table *table, const struct retry_key *key);
/* killAllSessions: does the same for all sessions. */
void retry_table_forget_all(struct retry_table *table);

#endif
