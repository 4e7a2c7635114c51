/* Reading an insert command against the grouping table: may it share an upstream command with
 * others, and with which. The table stands in grouping.c, one row for each field; a field that has
 * no row forbids merging. Pure, no allocation; everything that comes out points into the payload.
 *
 * Source: the field list of the insert command (MongoDB's manual, "insert"), and the fields that
 * drivers and routers add to it. */
#ifndef SLUICE_COALESCE_GROUPING_H
#define SLUICE_COALESCE_GROUPING_H

#include "base/bytes.h"
#include "wire/lsid.h"

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
    const char *field;
    enum grouping_rule rule;
    enum grouping_bar bar; /* where the rule is broken */
};

/* Sorted by length, then by bytes. */
extern const struct grouping_row grouping_table[];
extern const size_t grouping_rows;

struct coalesce_insert {
    struct bytes payload; /* whole: flags, sections, perhaps a checksum */
    struct bytes body;
    enum grouping_bar bar; /* NONE: may be merged */

    /* Set also when merging is barred: a retry of what was merged has to be known as one. False in
     * a transaction, without lsid or txnNumber, and when the sections or the body are broken. */
    bool numbered;
    const uint8_t *lsid; /* LSID_BYTES */
    int64_t number;      /* txnNumber */

    /* Whole where bar is NONE. document_count is right wherever numbered is. */
    bool ordered;
    struct bytes database;
    struct bytes collection;
    struct bytes documents; /* one after another, or the elements of an array */
    bool documents_in_body; /* the latter */
    uint32_t document_count;
    size_t document_bytes; /* as a sequence */
    size_t equal_count;
    struct bytes equal[GROUPING_EQUAL_MAX]; /* whole elements that must be equal, in the order of
                                               the table; the command's name is the first */
};

struct grouping_limits {
    size_t max_document_bytes; /* maxBsonObjectSize of the server's hello */
    uint32_t max_docs;         /* of a whole batch */
    size_t max_bytes;          /* the same, of the documents */
};

/* Reads the command. `payload` is a whole OP_MSG without its header, of an insert; anything that is
 * not as it should be is a bar, never an error: such a command goes as it came, and the server
 * answers. */
void grouping_classify(struct bytes payload, const struct grouping_limits *limits,
                       struct coalesce_insert *out);

/* The next document of a list: *rest moves on. In an array its key and kind are checked. False at
 * the end, or when broken (then *rest is not empty). */
bool grouping_next_document(struct bytes *rest, bool in_body, uint32_t index,
                            struct bytes *document);

#endif
