/* The common terms of this room and its callers: a command, the result of its check, and the
 * observer. enforce.h declares the calls. */
#ifndef SLUICE_ENFORCE_ENFORCE_TERMS_H
#define SLUICE_ENFORCE_ENFORCE_TERMS_H

#include "bson/build.h"
#include "catalog/registry.h"
#include "enforce/tally.h"
#include "wire/command.h"

/* The notes of enforce_concerns for enforce_check. */
struct enforce_noted {
    const struct command_row *row;
    const struct registry_entry *entry; /* of the command's collection */
    bool buckets;                       /* see struct judge_target */
    bool guarded;                       /* its database has a schema */
    bool sequences;                     /* it has document sequences */
};

/* A command, and the limits of its server. */
struct enforce_command {
    struct wire_command *parsed; /* enforce_check marks its lists as validated */
    size_t max_document_bytes;   /* maxBsonObjectSize of the server, 16 MiB */
    uint32_t max_statements;     /* its maxWriteBatchSize, 100,000; 0: no limit */
    struct enforce_noted noted;
};

/* A refused statement is removed from the command. The other statements keep the numbers of the
 * command (stmtId, stmtIds). In a retryable write without them, they get the numbers that the
 * server would have given to the whole command, so that a retry has the same ones, even if the
 * schema has changed in between. */
enum enforce_outcome {
    ENFORCE_FORWARD, /* byte for byte, also its reply */
    ENFORCE_REPLACE, /* `payload` goes in its place, and the reply through enforce_splice_reply */
    ENFORCE_ANSWER,  /* nothing goes upstream; `reply` is the answer */
    ENFORCE_DROP     /* nothing goes upstream, and the client expects no answer */
};

/* The changes to make in the server's reply: indexes, counts, errors. */
struct enforce_splice;

/* The room before `payload` and `reply` in their block, for the caller's framing. */
enum { ENFORCE_FRONT_BYTES = 32 };

struct enforce_result {
    enum enforce_outcome outcome;
    struct bytes payload; /* ENFORCE_REPLACE: flags and sections, without a checksum */
    struct bytes reply;   /* ENFORCE_ANSWER: a document */
    /* A refusal ends a transaction, as on the server: after the answer to `payload` (or at once)
     * the caller must send abortTransaction, and only then answer the client. */
    bool aborts_transaction;
    struct enforce_splice *splice; /* for ENFORCE_REPLACE with an expected answer; owned */
    uint8_t *block;                /* owned (from memory_alloc): contains the bytes above */
    size_t block_bytes;            /* its size, taken from the observer */
};

/* Receives each refused or warned document during enforce_check. `info` is errInfo, empty if there
 * was no memory for it. `reason` is one line without values of the document. `silent` means that
 * the client is not told (moreToCome or w: 0). */
struct enforce_observer {
    void *arg;
    void (*refused)(void *arg, const struct registry_entry *entry, bool warned, bool silent,
                    const char *reason, struct bytes info);
    uint64_t (*now_ns)(void *arg); /* for REGISTRY_CHECK_NS; NULL: not counted */
    /* Milliseconds since 1970; called if a version is accepted only until some time. NULL: no
     * version expires. */
    int64_t (*wall_ms)(void *arg);
    struct tally *tally; /* for older versions and candidates; NULL: candidates are not checked */
    const struct tally_writer *writer; /* the client; may be NULL */
    /* True if the check should stop for now; called about every portion_ns. NULL: never. */
    bool (*spent)(void *arg);
    size_t portion_ns;
    /* Called before much memory is used, and after its release; false: there is none. Both NULL: no
     * limit. */
    bool (*take)(void *arg, size_t bytes);
    void (*give_back)(void *arg, size_t bytes);
};

enum enforce_progress {
    ENFORCE_DONE,  /* *result holds the decision; call enforce_result_release */
    ENFORCE_PART,  /* observer->spent returned true: *check holds the findings so far; call again */
    ENFORCE_FAILED /* no memory, or an error in the command: err is the answer */
};

/* --- splice.c --- */

/* Converts the server's reply to the replaced payload into the client's reply. Writes it to `out`
 * (started here; the caller must call build_free in every case); *reply is the finished document.
 * False if the reply is malformed or memory is out. */
bool enforce_splice_reply(struct enforce_splice *splice, struct bytes document, struct build *out,
                          struct bytes *reply, struct error *err);
/* Call it after that: the cursor of a bulkWrite with further results; 0 without one. The replies to
 * its getMores go through enforce_splice_reply too. */
int64_t enforce_splice_cursor(const struct enforce_splice *splice);
/* Its memory, as taken from the observer. */
size_t enforce_splice_bytes(const struct enforce_splice *splice);
void enforce_splice_free(struct enforce_splice *splice); /* NULL is allowed */

#endif
