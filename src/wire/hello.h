/* Rewriting a server's hello reply, so that a client stays with the proxy: addresses of members
 * become the proxy's, compressors that we cannot read and message sizes that we refuse are taken
 * out. Everything else stays byte for byte. Pure. */
#ifndef SLUICE_WIRE_HELLO_H
#define SLUICE_WIRE_HELLO_H

#include "base/bytes.h"

#define WIRE_ADDRESS_BYTES 300 /* a host name of 253, a port, brackets */

struct wire_hello_rules {
    /* Writes the proxy's address of the upstream member; false leaves the member out of the reply,
     * since a client that is told its own address would go round the proxy. */
    bool (*map_address)(void *context, const char *member, size_t len,
                        char out[WIRE_ADDRESS_BYTES]);
    void *context;
    size_t max_message_bytes;
};

/* *changed tells whether the reply needs replacing; then *out (memory_alloc'd, *out_len bytes)
 * holds the new document. False when memory is out or the document is malformed. */
bool wire_hello_rewrite(struct bytes reply, const struct wire_hello_rules *rules, bool *changed,
                        uint8_t **out, size_t *out_len);

#endif
