/* What the files of this room, and those who call it, have in common: a command, what came of it,
 * and who is told. enforce.h has the calls. */
#ifndef SLUICE_ENFORCE_ENFORCE_TERMS_H
#define SLUICE_ENFORCE_ENFORCE_TERMS_H

#include "bson/build.h"
#include "catalog/registry.h"
#include "enforce/tally.h"
#include "wire/command.h"

/* What enforce_concerns notes for enforce_check. */
struct enforce_noted {
    const struct command_row *row;
    const struct registry_entry *entry; /* of the collection that the command names */
    bool buckets;                       /* see struct judge_target */
    bool guarded;                       /* a schema is in force in its database */
    bool sequences;                     /* it has document sequences */
};

/* A command, and what its server takes. */
struct enforce_command {
    struct wire_command *parsed; /* enforce_check marks its lists as validated */
    size_t max_document_bytes;   /* maxBsonObjectSize of the server, 16 MiB */
    uint32_t max_statements;     /* its maxWriteBatchSize, 100,000; 0: no limit */
    struct enforce_noted noted;
};

/* A statement that is refused is taken out of the command. Numbers that the command gives its
 * statements (stmtId, stmtIds) stay with those that are kept; where it gives none, the server
 * numbers what it gets, and a retry of the command is filtered in the same way: the numbers agree
 * as long as the schema does not change between the two. */
enum enforce_outcome {
    ENFORCE_FORWARD, /* byte for byte; its reply too */
    ENFORCE_REPLACE, /* `payload` goes instead, and the reply through enforce_splice_reply */
    ENFORCE_ANSWER,  /* nothing goes upstream: `reply` is the answer */
    ENFORCE_DROP     /* nothing goes upstream, and nobody waits for an answer */
};

/* What has to be said about a reply once the server gave it: indexes, counts, errors. */
struct enforce_splice;

/* Before `payload` and `reply` their block has so many bytes for whoever frames them. */
enum { ENFORCE_FRONT_BYTES = 32 };

struct enforce_result {
    enum enforce_outcome outcome;
    struct bytes payload; /* ENFORCE_REPLACE: flags and sections, without a checksum */
    struct bytes reply;   /* ENFORCE_ANSWER: a document */
    /* A refusal in a transaction ends it on the server: after `payload` was answered (or at once)
     * abortTransaction has to be sent for it, before the client gets its answer. */
    bool aborts_transaction;
    struct enforce_splice *splice; /* ENFORCE_REPLACE, unless nobody waits; owned */
    uint8_t *block;                /* owned (memory_alloc'd): the bytes above */
    size_t block_bytes;            /* of it, taken from the observer */
};

/* Who is told of each refused or warned document, while enforce_check runs. `info`: errInfo, empty
 * where there was no memory for it. `reason`: one line without values of the document. `silent`:
 * the client is not told (moreToCome or w: 0). */
struct enforce_observer {
    void *arg;
    void (*refused)(void *arg, const struct registry_entry *entry, bool warned, bool silent,
                    const char *reason, struct bytes info);
    uint64_t (*now_ns)(void *arg); /* for REGISTRY_CHECK_NS; NULL: it is not counted */
    /* Milliseconds since 1970, asked where versions are accepted until some time only; NULL: they
     * are accepted for good. */
    int64_t (*wall_ms)(void *arg);
    struct tally *tally; /* for older versions and candidates; NULL: candidates are not tried */
    const struct tally_writer *writer; /* who writes; may be NULL */
    /* Whether the check has taken long enough for now, asked about every portion_ns; NULL: never.
     */
    bool (*spent)(void *arg);
    size_t portion_ns;
    /* Asked before much memory is used, and told when it is not any more; false: there is none.
     * NULL, both: as much as wanted. */
    bool (*take)(void *arg, size_t bytes);
    void (*give_back)(void *arg, size_t bytes);
};

enum enforce_progress {
    ENFORCE_DONE,  /* *result says what to do; enforce_result_release is due */
    ENFORCE_PART,  /* observer->spent said so: *check is what has been found, to be called again */
    ENFORCE_FAILED /* memory is out, or the command is wrong in itself: err is the answer */
};

/* --- splice.c --- */

/* The server's reply to the replaced payload, as the client is to see it: written to `out` (begun
 * here, build_free is due whatever happens), *reply is its finished document. False when the reply
 * is malformed or memory is out. */
bool enforce_splice_reply(struct enforce_splice *splice, struct bytes document, struct build *out,
                          struct bytes *reply, struct error *err);
/* After that: the cursor of a bulkWrite whose results go on, 0 for none. The replies to its
 * getMores go through enforce_splice_reply too. */
int64_t enforce_splice_cursor(const struct enforce_splice *splice);
/* What it holds in memory, as it was taken from the observer. */
size_t enforce_splice_bytes(const struct enforce_splice *splice);
void enforce_splice_free(struct enforce_splice *splice); /* NULL is allowed */

#endif
