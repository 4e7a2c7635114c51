/* Splits a reply to an insert: into the result of the whole command, and the result that a part of
 * its documents would have had alone. Pure.
 *
 * Source: reply of the insert command (n, writeErrors, writeConcernError, opTime, electionId, ok,
 * errorLabels, $clusterTime, operationTime), and retriedStmtIds, which servers send since 5.1. */
#ifndef SLUICE_MERGE_SPLIT_H
#define SLUICE_MERGE_SPLIT_H

#include "base/error.h"
#include "bson/build.h"

enum split_kind {
    SPLIT_DONE,     /* ok:1, final, with or without errors of documents */
    SPLIT_RETRY,    /* the client should retry (RetryableWriteError, or such a code) */
    SPLIT_NOT_RUN,  /* ok:0, and certainly no part of it ran: parse, authorization, … */
    SPLIT_UNCERTAIN /* ok:0, and a part of it may have run */
};

struct split_error {
    uint32_t index;      /* of the document in the command */
    struct bytes fields; /* of the writeError */
};

struct split {
    struct bytes reply; /* borrowed */
    enum split_kind kind;
    bool ok;
    bool claims_nothing; /* ok:0, and the reply says so: this attempt has written nothing */
    bool alike;          /* parts of equal size get equal replies */
    size_t error_count;
    struct split_error *errors; /* owned, sorted by index */
};

/* Reads the reply to a command with this number of documents. False if it is malformed or
 * contradicts itself (n and writeErrors do not add up), or without memory. The caller must call
 * split_release in every case. */
bool split_read(struct split *split, struct bytes reply, uint32_t documents, struct error *err);
void split_release(struct split *split);

/* Writes the reply that the `count` documents from `first` on would have got alone: the server's
 * fields in the server's order, with their own n, writeErrors and retriedStmtIds (statement ids
 * from first_statement on belong to them; theirs start at 0). A reply with ok:0 stays unchanged.
 * Starts `out`; the caller must call build_free in every case. False without memory. */
bool split_write(const struct split *split, uint32_t first, uint32_t count,
                 uint32_t first_statement, struct build *out, struct bytes *document);

/* Joins replies: `replies` contains consecutive replies with ok:1, each to a command of one
 * document, already read. The fields about the whole command come from the last reply, except a
 * writeConcernError: it comes from the last reply that has one, with its labels. `out` as above. */
bool split_join(struct bytes replies, struct build *out, struct bytes *document);

#endif
