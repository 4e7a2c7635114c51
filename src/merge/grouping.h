/* Reads an insert command against the grouping table: decides whether it may share an upstream
 * command with others, and with which. grouping.c contains the table, with one row for each field;
 * a field without a row forbids merging. Pure, no allocation; all results point into the payload.
 *
 * Source: the field list of the insert command (MongoDB's manual, "insert"), and the fields that
 * drivers and routers add. */
#ifndef SLUICE_MERGE_GROUPING_H
#define SLUICE_MERGE_GROUPING_H

#include "trace/trace_comment.h"
#include "wire/command.h"

enum { GROUPING_FIELDS_MAX_BYTES = 4096, GROUPING_EQUAL_MAX = 8 };

/* X(identifier, displayed name). The reasons why an insert goes alone. */
#define GROUPING_BARS(X)                                                                           \
    X(NONE, "none")                                                                                \
    X(OFF, "off")                        /* merge.enabled */                                       \
    X(FLAGS, "messageFlags")             /* moreToCome (w:0), exhaustAllowed, … */               \
    X(SECTIONS, "sections")              /* not exactly one body and one list of documents */      \
    X(UNKNOWN_FIELD, "unknownField")     /* no row in the table */                                 \
    X(REPEATED_FIELD, "repeatedField")   /* the server refuses it */                               \
    X(FIELD_FORM, "fieldForm")           /* a type or size that no driver sends */                 \
    X(UNACKNOWLEDGED, "unacknowledged")  /* writeConcern w:0 */                                    \
    X(MAX_TIME, "maxTimeMS")             /* each insert has its own */                             \
    X(READ_CONCERN, "readConcern")       /* afterClusterTime or a level */                         \
    X(READ_PREFERENCE, "readPreference") /* other than primary */                                  \
    X(TRANSACTION, "transaction")        /* autocommit, startTransaction */                        \
    X(STATEMENT_IDS, "statementIds")     /* numbered by a router or another proxy */               \
    X(LET, "let")                                                                                  \
    X(ENCRYPTION, "encryption")                                                                    \
    X(SHARD_VERSION, "shardVersion")                                                               \
    X(ORDERED_MANY, "orderedMany") /* several documents, ordered */                                \
    X(NAMESPACE, "namespace")      /* admin, config, local, system.… */                          \
    X(LARGE, "large")              /* alone above max_docs or max_bytes */                         \
    X(DOCUMENT_MALFORMED, "documentMalformed")                                                     \
    X(DOCUMENT_TOO_LARGE, "documentTooLarge")                                                      \
    X(DOCUMENT_ID, "documentId")         /* absent, or of a type that servers refuse */            \
    X(SESSION_UNKNOWN, "sessionUnknown") /* it may be a retry: retry_table.h */                    \
    X(IDENTITY, "identityUnknown")       /* the server has not named the users, or not recently */ \
    X(RETRY_OF_DIRECT, "retryOfDirect")  /* its first attempt went under its own number */         \
    X(WAITERS_FULL, "waitersFull")       /* max_waiters */                                         \
    X(MEMORY, "memory")

#define GROUPING_IDENTIFIER(identifier, name) GROUPING_BAR_##identifier,
enum grouping_bar { GROUPING_BARS(GROUPING_IDENTIFIER) GROUPING_BAR_COUNT };
#undef GROUPING_IDENTIFIER

const char *grouping_bar_name(enum grouping_bar bar);

/* The meaning of a body field for merging. */
enum grouping_rule {
    GROUPING_UNKNOWN,    /* forbids merging, like every field without a name here */
    GROUPING_EQUAL,      /* equal bytes, an absent field is a distinct value; part of the batch */
    GROUPING_COLLECTION, /* the same; a string with the collection */
    GROUPING_DATABASE,   /* the same: the database */
    GROUPING_WRITE_CONCERN, /* the same; w:0 forbids merging */
    GROUPING_ORDERED,       /* true for one document, false for any number; the batch has false */
    GROUPING_DOCUMENTS,     /* concatenated */
    GROUPING_SESSION,       /* lsid: replaced by the batch's session */
    GROUPING_NUMBER,       /* txnNumber: replaced; either all inserts of a batch have one or none */
    GROUPING_CLUSTER_TIME, /* omitted: the server knows the times that it issued, and ignores others
                            */
    GROUPING_COMMENT,      /* equal bytes, if the option ignore_comment does not leave it out */
    GROUPING_PRIMARY,      /* {mode: "primary"} equals an absent field; others forbid merging */
    GROUPING_BARS_MERGING
};

struct grouping_row {
    enum grouping_rule rule;
    enum grouping_bar bar; /* for a broken rule */
    uint8_t equal_place;   /* among the equal elements, from 1; the command's name is first, because
                              it makes the document a command; 0: none */
};

/* One row for each field_name. */
extern const struct grouping_row grouping_table[];

struct merger_insert {
    const struct wire_command *command; /* complete */
    enum grouping_bar bar;              /* NONE: may be merged */

    /* It has a session id and a number. Set even if merging is forbidden, because a retry of a
     * merged insert must be recognised. False in a transaction, and for broken sections or a broken
     * body. */
    bool numbered;

    /* Complete if bar is NONE. document_count is correct if numbered is true. */
    bool ordered;
    struct document_list documents;
    uint32_t document_count;
    size_t document_bytes; /* as a sequence */
    size_t equal_count;
    enum trace_carrier carrier;             /* of the trace context that the batch leaves out */
    struct bytes equal[GROUPING_EQUAL_MAX]; /* the elements that must be equal, each at its place */
};

/* Comments that do not keep inserts apart (option merge.ignore_comment). A batch leaves them out.
 */
enum grouping_comments {
    GROUPING_COMMENTS_NEVER,
    GROUPING_COMMENTS_TRACEPARENT, /* those that hold the context of a trace and nothing else */
    GROUPING_COMMENTS_ALWAYS
};

struct grouping_limits {
    size_t max_document_bytes; /* maxBsonObjectSize in the server's hello */
    uint32_t max_docs;         /* of a whole batch */
    size_t max_bytes;          /* of the documents of a whole batch */
    enum grouping_comments ignored;
};

/* Reads a complete insert, which must live as long as *out. Every irregularity is a bar and never
 * an error: such a command goes unchanged, and the server answers it. Validates documents that are
 * not marked as validated. */
void grouping_classify(const struct wire_command *command, const struct grouping_limits *limits,
                       struct merger_insert *out);

#endif
