/* Write commands held against the registry: whole OP_MSG payloads in, what to do with them out.
 * Pure: no sockets, no clock. docs/schemas.md tells users what is checked.
 *
 * In a database with a schema, a write is understood to the last field that says where it writes,
 * what and whether (grammar.h), or refused with MongoDB's code for such a command. commands.c lists
 * the commands that are looked at.
 *
 * Source of what a refusal looks like: MongoDB 5+ (writeErrors with code 121 and errInfo). */
#ifndef SLUICE_ENFORCE_ENFORCE_H
#define SLUICE_ENFORCE_ENFORCE_H

#include "bson/build.h"
#include "catalog/registry.h"
#include "enforce/tally.h"
#include "wire/command_names.h"

/* What enforce_concerns notes for enforce_check. */
struct enforce_noted {
    const struct command_row *row;
    const struct registry_entry *entry; /* of the collection that the command names */
    bool buckets;                       /* see struct judge_target */
    bool guarded;                       /* a schema is in force in its database */
    bool sequences;                     /* it has document sequences */
};

/* A command as it came. All pointers are into the message. */
struct enforce_command {
    struct bytes payload; /* whole: flags, sections, perhaps a checksum */
    uint32_t flags;       /* of OP_MSG; moreToCome: w:0, nobody waits for an answer */
    struct bytes body;    /* the kind-0 document */
    const char *name;     /* of the command */
    size_t name_len;
    enum command_name known;   /* the number of that name */
    size_t payload_bytes;      /* of the message as it will be when it is whole */
    struct bytes database;     /* $db */
    bool database_unclear;     /* it is not given once, as a string that can name a database */
    bool in_transaction;       /* autocommit: false */
    size_t max_document_bytes; /* maxBsonObjectSize of the server, 16 MiB */
    uint32_t max_statements;   /* its maxWriteBatchSize, 100,000; 0: no limit */
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

/* Whether enforce_check could say anything but ENFORCE_FORWARD to this command, asked when the body
 * alone is there: false means that the message need not be gathered. Notes what it found. */
bool enforce_concerns(const struct registry *registry, struct enforce_command *command);

enum enforce_progress {
    ENFORCE_DONE,  /* *result says what to do; enforce_result_release is due */
    ENFORCE_PART,  /* observer->spent said so: *check is what has been found, to be called again */
    ENFORCE_FAILED /* memory is out, or the command is wrong in itself: err is the answer */
};

/* A command that is checked in portions. Holds what was found so far, and what was taken from the
 * observer for it. */
struct check;

/* Checks a command that enforce_concerns named, or goes on where *check (NULL at first, and again
 * in the end) stands. For that the command must be the same, though its bytes may have moved, and
 * so must the registry, which the caller retains. Counts in the entries' stats. */
enum enforce_progress enforce_go_on(struct check **check, const struct registry *registry,
                                    struct schema_scratch *scratch,
                                    const struct enforce_command *command,
                                    const struct enforce_observer *observer,
                                    struct enforce_result *result, struct error *err);
/* Of a command that nobody wants to be checked any more. NULL is allowed. */
void enforce_check_free(struct check *check, const struct enforce_observer *observer);

/* The same in one go, whatever observer->spent says: ENFORCE_FAILED is false. */
bool enforce_check(const struct registry *registry, struct schema_scratch *scratch,
                   const struct enforce_command *command, const struct enforce_observer *observer,
                   struct enforce_result *result, struct error *err);

/* What is left in it; block_bytes are to be given back by the caller before that, unless somebody
 * took over the block (then it is NULL). */
void enforce_result_release(struct enforce_result *result);

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
