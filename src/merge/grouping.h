/* Reading an insert command against the grouping table: may it share an upstream command with
 * others, and with which. The table stands in grouping.c, one row for each field; a field that has
 * no row forbids merging. Pure, no allocation; everything that comes out points into the payload.
 *
 * Source: the field list of the insert command (MongoDB's manual, "insert"), and the fields that
 * drivers and routers add to it. */
#ifndef SLUICE_MERGE_GROUPING_H
#define SLUICE_MERGE_GROUPING_H

#include "wire/command.h"

enum { GROUPING_FIELDS_MAX_BYTES = 4096, GROUPING_EQUAL_MAX = 8 };

/* X(identifier, name as shown). Why an insert goes alone. */
#define GROUPING_BARS(X)                                                                           \
    X(NONE, "none")                                                                                \
    X(OFF, "off")                        /* merge.enabled */                                       \
    X(FLAGS, "messageFlags")             /* moreToCome (w:0), exhaustAllowed, … */               \
    X(SECTIONS, "sections")              /* not one body and one list of documents */              \
    X(UNKNOWN_FIELD, "unknownField")     /* no row in the table */                                 \
    X(REPEATED_FIELD, "repeatedField")   /* the server refuses it */                               \
    X(FIELD_FORM, "fieldForm")           /* a type or size that drivers do not send */             \
    X(UNACKNOWLEDGED, "unacknowledged")  /* writeConcern w:0 */                                    \
    X(MAX_TIME, "maxTimeMS")             /* each has its own */                                    \
    X(READ_CONCERN, "readConcern")       /* afterClusterTime or a level */                         \
    X(READ_PREFERENCE, "readPreference") /* other than primary */                                  \
    X(TRANSACTION, "transaction")        /* autocommit, startTransaction */                        \
    X(STATEMENT_IDS, "statementIds")     /* numbered by a router or a proxy before us */           \
    X(LET, "let")                                                                                  \
    X(ENCRYPTION, "encryption")                                                                    \
    X(SHARD_VERSION, "shardVersion")                                                               \
    X(ORDERED_MANY, "orderedMany") /* several documents, ordered */                                \
    X(NAMESPACE, "namespace")      /* admin, config, local, system.… */                          \
    X(LARGE, "large")              /* over max_docs or max_bytes by itself */                      \
    X(DOCUMENT_MALFORMED, "documentMalformed")                                                     \
    X(DOCUMENT_TOO_LARGE, "documentTooLarge")                                                      \
    X(DOCUMENT_ID, "documentId")         /* none, or of a type that servers refuse */              \
    X(SESSION_UNKNOWN, "sessionUnknown") /* it could be a retry: retry_table.h */                  \
    X(IDENTITY, "identityUnknown")       /* the server has not said who it is, or not lately */    \
    X(RETRY_OF_DIRECT, "retryOfDirect")  /* its first try went under its own number */             \
    X(WAITERS_FULL, "waitersFull")       /* max_waiters */                                         \
    X(MEMORY, "memory")

#define GROUPING_IDENTIFIER(identifier, name) GROUPING_BAR_##identifier,
enum grouping_bar { GROUPING_BARS(GROUPING_IDENTIFIER) GROUPING_BAR_COUNT };
#undef GROUPING_IDENTIFIER

const char *grouping_bar_name(enum grouping_bar bar);

/* What one field of the body means for merging. */
enum grouping_rule {
    GROUPING_UNKNOWN,       /* it bars merging, as does every field that has no name here */
    GROUPING_EQUAL,         /* byte-equal, absent is a value of its own; goes into the batch */
    GROUPING_COLLECTION,    /* the same, a string: the collection */
    GROUPING_DATABASE,      /* the same: the database */
    GROUPING_WRITE_CONCERN, /* the same; w:0 bars */
    GROUPING_ORDERED,       /* true for one document, false for any number; the batch has false */
    GROUPING_DOCUMENTS,     /* concatenated */
    GROUPING_SESSION,       /* lsid: replaced by the batch's own */
    GROUPING_NUMBER,        /* txnNumber: replaced, but all of a batch have one or none has */
    GROUPING_CLUSTER_TIME,  /* left out: a server knows those that it told, and no other counts */
    GROUPING_PRIMARY,       /* {mode: "primary"} means the same as absent; else bars */
    GROUPING_BARS_MERGING
};

struct grouping_row {
    enum grouping_rule rule;
    enum grouping_bar bar; /* where the rule is broken */
    uint8_t equal_place;   /* among the elements that must be equal, from 1; the command's name is
                              the first, since that is what makes it a command; 0: it is none */
};

/* A row for each field_name. */
extern const struct grouping_row grouping_table[];

struct merger_insert {
    const struct wire_command *command; /* whole */
    enum grouping_bar bar;              /* NONE: may be merged */

    /* It has a session's id and a number. Set also when merging is barred: a retry of what was
     * merged has to be known as one. False in a transaction, and when the sections or the body are
     * broken. */
    bool numbered;

    /* Whole where bar is NONE. document_count is right wherever numbered is. */
    bool ordered;
    struct document_list documents;
    uint32_t document_count;
    size_t document_bytes; /* as a sequence */
    size_t equal_count;
    struct bytes equal[GROUPING_EQUAL_MAX]; /* whole elements that must be equal, each at
                                               its place */
};

struct grouping_limits {
    size_t max_document_bytes; /* maxBsonObjectSize of the server's hello */
    uint32_t max_docs;         /* of a whole batch */
    size_t max_bytes;          /* the same, of the documents */
};

/* Reads an insert, which has come as a whole and is borrowed for as long as *out is. Anything that
 * is not as it should be is a bar, never an error: such a command goes as it came, and the server
 * answers. Documents that are not marked as validated are validated here. */
void grouping_classify(const struct wire_command *command, const struct grouping_limits *limits,
                       struct merger_insert *out);

#endif
