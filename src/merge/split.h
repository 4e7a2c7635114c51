/* A reply to an insert taken apart: what the whole command got, and what a part of its documents
 * would have got alone. Pure.
 *
 * Source: reply of the insert command (n, writeErrors, writeConcernError, opTime, electionId, ok,
 * errorLabels, $clusterTime, operationTime), and retriedStmtIds, which servers add since 5.1. */
#ifndef SLUICE_MERGE_SPLIT_H
#define SLUICE_MERGE_SPLIT_H

#include "base/error.h"
#include "bson/build.h"

enum split_kind {
    SPLIT_DONE,     /* ok:1, final: errors of documents or not */
    SPLIT_RETRY,    /* the client is told to try again (RetryableWriteError, or such a code) */
    SPLIT_NOT_RUN,  /* ok:0, and for sure nothing of it was run: parse, authorization, … */
    SPLIT_UNCERTAIN /* ok:0, and some of it may have been run */
};

struct split_error {
    uint32_t index;      /* of the document in the command */
    struct bytes fields; /* of the writeError */
};

struct split {
    struct bytes reply; /* borrowed */
    enum split_kind kind;
    bool ok;
    size_t error_count;
    struct split_error *errors; /* owned, sorted by index */
};

/* Reads the reply to a command of `documents` documents. False when it is malformed, contradicts
 * itself (n and writeErrors do not make up the documents), or memory is out; split_release is due
 * in any case. */
bool split_read(struct split *split, struct bytes reply, uint32_t documents, struct error *err);
void split_release(struct split *split);

/* The reply as the `count` documents from `first` on would have got it alone: the server's own
 * fields in its own order, with their n, their writeErrors at their own index, their
 * retriedStmtIds (statement ids from first_statement on belong to them, and count from 0). A reply
 * with ok:0 stays as it is. `out` is begun here and build_free is due in any case. False when
 * memory is out. */
bool split_write(const struct split *split, uint32_t first, uint32_t count,
                 uint32_t first_statement, struct build *out, struct bytes *document);

/* The other way round: `replies` stand one after another, each with ok:1 to a command of one
 * document, and were read before. What they say of the whole command is the last one's, but for a
 * writeConcernError: that of the last which has one, with its labels. `out` as above. */
bool split_join(struct bytes replies, struct build *out, struct bytes *document);

#endif
