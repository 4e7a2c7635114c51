/* A client's hello, as far as the proxy may answer it. Pure. Sources: the driver specifications
 * "MongoDB Handshake" and "Server Discovery and Monitoring" (awaitable hello). */
#ifndef SLUICE_WIRE_HELLO_REQUEST_H
#define SLUICE_WIRE_HELLO_REQUEST_H

#include "wire/command.h"

enum { WIRE_PROCESS_ID_BYTES = 12 };

/* The process of a server, and the number of its topology changes. */
struct wire_topology_version {
    uint8_t process_id[WIRE_PROCESS_ID_BYTES];
    int64_t counter;
};

enum wire_hello_kind {
    WIRE_HELLO_PLAIN, /* the proxy can answer it */
    WIRE_HELLO_LOGIN, /* the same, but it asks for mechanisms or starts a login */
    WIRE_HELLO_OTHER  /* only the server can answer it: unusual fields, or faults */
};

enum { WIRE_HELLO_COMPRESSORS_MAX = 3 };

struct wire_hello_request {
    bool legacy_name; /* isMaster or ismaster */
    bool hello_ok;
    bool has_metadata; /* the field `client` */
    bool has_version;  /* topologyVersion */
    bool has_await;    /* maxAwaitTimeMS */
    struct wire_topology_version version;
    int64_t await_ms; /* at most INT32_MAX; may be negative */
    /* known compressors, each once, in the client's order */
    uint8_t compressor_count;
    uint8_t compressors[WIRE_HELLO_COMPRESSORS_MAX];
};

/* `request` is a hello, isMaster or ismaster. *out is set for PLAIN and LOGIN. */
enum wire_hello_kind wire_hello_request_read(const struct wire_command *request,
                                             struct wire_hello_request *out);

bool wire_hello_is_command(enum command_name command);

/* Reads a topologyVersion's value. False if it is no valid one. */
bool wire_topology_version_read(const struct scan_element *element,
                                struct wire_topology_version *out);

bool wire_topology_version_equal(const struct wire_topology_version *a,
                                 const struct wire_topology_version *b);

#endif
