/* The names of the fields that commands have at their top level and that are looked at, each once.
 * The others are FIELD_OTHER. Pure. */
#ifndef SLUICE_WIRE_FIELD_NAMES_H
#define SLUICE_WIRE_FIELD_NAMES_H

#include <stddef.h>

/* X(identifier, name, its first character, its last one). Sorted by length, then by bytes. */
#define FIELD_NAMES(X)                                                                             \
    X(DB, "$db", '$', 'b')                                                                         \
    X(LET, "let", 'l', 't')                                                                        \
    X(NEW, "new", 'n', 'w')                                                                        \
    X(OPS, "ops", 'o', 's')                                                                        \
    X(LSID, "lsid", 'l', 'd')                                                                      \
    X(QUERY, "query", 'q', 'y')                                                                    \
    X(CURSOR, "cursor", 'c', 'r')                                                                  \
    X(INSERT, "insert", 'i', 't')                                                                  \
    X(NS_INFO, "nsInfo", 'n', 'o')                                                                 \
    X(REMOVE, "remove", 'r', 'e')                                                                  \
    X(STMT_ID, "stmtId", 's', 'd')                                                                 \
    X(UPDATE, "update", 'u', 'e')                                                                  \
    X(UPSERT, "upsert", 'u', 't')                                                                  \
    X(COMMENT, "comment", 'c', 't')                                                                \
    X(ORDERED, "ordered", 'o', 'd')                                                                \
    X(STMT_IDS, "stmtIds", 's', 's')                                                               \
    X(UPDATES, "updates", 'u', 's')                                                                \
    X(PIPELINE, "pipeline", 'p', 'e')                                                              \
    X(API_STRICT, "apiStrict", 'a', 't')                                                           \
    X(DOCUMENTS, "documents", 'd', 's')                                                            \
    X(MAX_TIME_MS, "maxTimeMS", 'm', 'S')                                                          \
    X(TXN_NUMBER, "txnNumber", 't', 'r')                                                           \
    X(API_VERSION, "apiVersion", 'a', 'n')                                                         \
    X(AUTOCOMMIT, "autocommit", 'a', 't')                                                          \
    X(READ_CONCERN, "readConcern", 'r', 'n')                                                       \
    X(CLUSTER_TIME, "$clusterTime", '$', 'e')                                                      \
    X(SHARD_VERSION, "shardVersion", 's', 'n')                                                     \
    X(WRITE_CONCERN, "writeConcern", 'w', 'n')                                                     \
    X(READ_PREFERENCE, "$readPreference", '$', 'e')                                                \
    X(DATABASE_VERSION, "databaseVersion", 'd', 'n')                                               \
    X(START_TRANSACTION, "startTransaction", 's', 'n')                                             \
    X(API_DEPRECATION_ERRORS, "apiDeprecationErrors", 'a', 's')                                    \
    X(ENCRYPTION_INFORMATION, "encryptionInformation", 'e', 'n')                                   \
    X(BYPASS_DOCUMENT_VALIDATION, "bypassDocumentValidation", 'b', 'n')

#define FIELD_NAME_IDENTIFIER(identifier, name, first, last) FIELD_##identifier,
enum field_name { FIELD_OTHER, FIELD_NAMES(FIELD_NAME_IDENTIFIER) FIELD_NAME_COUNT };
#undef FIELD_NAME_IDENTIFIER

enum field_name field_name_find(const char *name, size_t len);

/* "" for FIELD_OTHER. */
const char *field_name_text(enum field_name name);

#endif
