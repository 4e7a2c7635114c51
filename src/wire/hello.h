/* Rewrites a server's hello reply, so that clients keep using the proxy. Addresses of members
 * become the proxy's. Compressors that the proxy cannot read and larger message sizes than it
 * accepts are removed. All other bytes stay unchanged. Pure. */
#ifndef SLUICE_WIRE_HELLO_H
#define SLUICE_WIRE_HELLO_H

#include "base/bytes.h"

#define WIRE_ADDRESS_BYTES 300 /* a host name of 253, a port, brackets */

struct wire_hello_rules {
    /* Writes the proxy's address of the upstream member. False removes the member from the reply,
     * because a client with its real address would bypass the proxy. */
    bool (*map_address)(void *context, const char *member, size_t len,
                        char out[WIRE_ADDRESS_BYTES]);
    void *context;
    size_t max_message_bytes;
};

/* *changed tells whether the reply needs a replacement; *out (allocated with memory_alloc, *out_len
 * bytes) then holds the new document. False without memory or for a malformed document. */
bool wire_hello_rewrite(struct bytes reply, const struct wire_hello_rules *rules, bool *changed,
                        uint8_t **out, size_t *out_len);

#endif
