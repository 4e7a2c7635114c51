/* The reply to hello. The proxy rewrites a server's reply, so that clients keep using the proxy, or
 * makes the reply to a client's own hello from the last reply of a server. Addresses of members
 * become the proxy's. Compressors that the proxy cannot read and larger message sizes than it
 * accepts are removed. Pure. */
#ifndef SLUICE_WIRE_HELLO_H
#define SLUICE_WIRE_HELLO_H

#include "bson/build.h"
#include "wire/hello_request.h"

#define WIRE_ADDRESS_BYTES 300 /* a host name of 253, a port, brackets */

struct wire_hello_rules {
    /* Writes the proxy's address of the upstream member. False removes the member from the reply,
     * because a client with its real address would bypass the proxy. */
    bool (*map_address)(void *context, const char *member, size_t len,
                        char out[WIRE_ADDRESS_BYTES]);
    void *context;
    size_t max_message_bytes;
};

/* Rewrites the reply that a server sent to the client itself; all other bytes stay unchanged.
 * *changed tells whether the reply needs a replacement; *out (allocated with memory_alloc, *out_len
 * bytes) then holds the new document. False without memory or for a malformed document. */
bool wire_hello_rewrite(struct bytes reply, const struct wire_hello_rules *rules, bool *changed,
                        uint8_t **out, size_t *out_len);

/* The parts of an answer that are the client's own. */
struct wire_hello_answer {
    const struct wire_hello_request *request;
    uint8_t compressors; /* of the server: one bit for each enum wire_compressor */
    int64_t connection_id;
    int64_t elapsed_ms; /* since the server's reply; localTime moves by it */
    struct bytes extra; /* a document whose elements are added, or empty */
};

/* Answers a client's hello from a server's reply to another hello: the name of the field
 * `isWritablePrimary`, helloOk, compression, connectionId and localTime are the client's own.
 * On true, *out holds the document, and the caller releases it with build_free (as on false). False
 * without memory or for a malformed document. */
bool wire_hello_answer(struct bytes reply, const struct wire_hello_answer *answer,
                       const struct wire_hello_rules *rules, struct build *build,
                       struct bytes *out);

/* Reads the topologyVersion of a reply or a request. False if there is none, or an invalid one. */
bool wire_hello_version(struct bytes document, struct wire_topology_version *out);

/* The compressors that a reply names: one bit for each enum wire_compressor. */
uint8_t wire_hello_compressors(struct bytes reply);

#endif
