/* The replies of the null upstream: a whole request goes in, the reply's bytes come out. It knows
 * no sockets. It encodes the replies once, at the start; answering copies them and counts
 * documents. */
#ifndef SLUICE_BENCH_NULLREPLY_H
#define SLUICE_BENCH_NULLREPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "bench/buffer.h"

#define NULL_MAX_MESSAGE_BYTES 48000000

struct null_options {
    const char *replica_set; /* NULL: standalone */
    const char *address;     /* host:port that hello names as the set's member */
    int32_t find_documents;  /* in a find's reply, unless the command's `limit` is lower */
    size_t document_bytes;   /* see document_make */
    bool default_majority;   /* a write without a write concern has w: "majority" */
};

struct null_counters {
    uint64_t messages;
    uint64_t inserts;
    uint64_t documents; /* in the inserts */
    uint64_t finds;
    uint64_t waited;  /* writes that waited for the journal; the caller counts them and the next */
    uint64_t commits; /* of the journal */
    uint64_t opened;  /* connections, which the caller counts */
    uint64_t open;    /* of them now */
};

struct null_replies; /* immutable once made */

/* NULL without memory, or if the options give a reply of more than NULL_MAX_MESSAGE_BYTES. */
struct null_replies *null_replies_make(const struct null_options *options);
void null_replies_free(struct null_replies *replies);

enum null_verdict {
    NULL_ANSWERED, /* the reply stands at the end of `out` */
    NULL_SILENT,   /* the request asked for no reply (moreToCome) */
    NULL_BROKEN    /* no valid driver message: close the connection */
};

/* What a server's time for a request depends on. */
struct null_asked {
    bool handshake; /* a hello */
    bool insert;
    bool retryable;    /* an insert with a txnNumber */
    bool durable;      /* a write whose write concern waits for the journal */
    int32_t documents; /* of an insert */
};

/* `message` is one whole message with its header. */
enum null_verdict null_answer(const struct null_replies *replies, struct bytes message,
                              struct null_counters *counters, struct bench_buffer *out,
                              struct null_asked *asked);

#endif
