/* The load generator's requests, and the check of replies: messages as a driver makes them, valid
 * for any MongoDB server, encoded once and stamped for every use. It knows no sockets. */
#ifndef SLUICE_BENCH_REQUEST_H
#define SLUICE_BENCH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define REQUEST_LSID_BYTES 16

enum request_command { REQUEST_PING, REQUEST_HELLO, REQUEST_INSERT, REQUEST_FIND };

struct request_options {
    const char *database;
    const char *collection;
    size_t document_bytes; /* see document_make */
    enum request_command command;
    int32_t documents; /* in one insert; a find's limit */
    bool retryable;    /* an insert with lsid and txnNumber, as drivers send to a replica set */
    bool unordered;
    const char *write_concern; /* of an insert: its w, a number or a word; NULL: none */
    const char *compression;   /* of a hello: the offered compressor; NULL: none */
};

struct request {
    uint8_t *bytes; /* a whole OP_MSG, owned */
    size_t len;
    int32_t documents; /* that an insert carries, else 0 */
    size_t document_len;
    size_t documents_at; /* offset of the first document */
    size_t lsid_at;      /* 0: none */
    size_t txn_number_at;
};

/* The values that differ between the uses of a request. */
struct request_stamp {
    int32_t request_id;
    uint64_t first_document; /* the number of its first document's _id */
    const uint8_t *lsid;     /* REQUEST_LSID_BYTES; may be NULL without retryable */
    int64_t txn_number;
};

/* False without memory, or if the message would exceed 48,000,000 bytes. Released with request_free
 * in either case. */
bool request_make(const struct request_options *options, struct request *request);
void request_free(struct request *request);
void request_set(struct request *request, const struct request_stamp *stamp);

enum reply_verdict {
    REPLY_OK,
    REPLY_ERROR, /* a MongoDB error: ok:0, writeErrors, writeConcernError, or another n */
    REPLY_BROKEN /* not a reply to that request */
};

/* Judges one whole message; `documents` is the expected n of an insert, 0 for other commands.
 * Unless the reply is fine, writes the reason to `reason`, cut to fit. */
enum reply_verdict reply_check(struct bytes message, int32_t request_id, int32_t documents,
                               char *reason, size_t reason_bytes);

#endif
