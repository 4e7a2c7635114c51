/* Replies of the proxy: the framing of a document, and MongoDB errors. */
#ifndef SLUICE_WIRE_REPLY_H
#define SLUICE_WIRE_REPLY_H

#include "wire/header.h"

/* Labels that drivers act on ("Error Labels" of the driver specifications). */
enum wire_label {
    WIRE_LABEL_RETRYABLE_WRITE = 1U << 0,
    WIRE_LABEL_TRANSIENT_TRANSACTION = 1U << 1,
    WIRE_LABEL_OVERLOADED = 1U << 2, /* SystemOverloadedError and RetryableError together */
};

/* The values of a request that its reply repeats. */
struct wire_reply_to {
    int32_t request_id;
    bool legacy; /* the request was OP_QUERY: the reply is OP_REPLY */
};

/* The bytes before the document of an OP_MSG reply. The caller leaves this room before the
 * document. */
enum { WIRE_REPLY_FRONT_BYTES = 21 };
void wire_reply_write_front(struct wire_reply_to to, int32_t request_id, uint32_t flags,
                            uint8_t *document, size_t document_bytes);

/* Frames a BSON document as OP_MSG (kind 0, with these flags) or OP_REPLY. Allocates *out with
 * memory_alloc; *len is its size. False only without memory. */
bool wire_reply_frame(struct wire_reply_to to, int32_t request_id, uint32_t flags,
                      struct bytes document, uint8_t **out, size_t *len);

/* Answers a legacy read: an OP_REPLY with QueryFailure set and {$err, code}, allocated in the same
 * way. Source: "OP_REPLY" of the wire protocol documentation. */
bool wire_reply_query_failure(int32_t request_id, const struct error *error, uint8_t **out,
                              size_t *len);

/* The mean first pause of a client that is told to back off; drivers double it at each retry.
 * Source: "Client Backpressure" of the driver specifications, whose own default it is. */
enum { WIRE_BASE_BACKOFF_MS = 100 };

/* Frames {ok: 0.0, errmsg, code, codeName, [errorLabels], [baseBackoffMS]} in the same way. */
bool wire_reply_error(struct wire_reply_to to, const struct error *error, uint32_t labels,
                      uint8_t **out, size_t *len);

#endif
