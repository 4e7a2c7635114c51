/* An arriving request or reply, and the steps that a request handler returns. */
#ifndef SLUICE_SESSION_INCOMING_H
#define SLUICE_SESSION_INCOMING_H

#include "session/pending.h"
#include "session/request.h"
#include "wire/header.h"

/* A request, or the part of it that has arrived. */
struct message {
    struct wire_header header;
    struct bytes payload; /* of OP_MSG: flags, sections, possibly a checksum; decompressed */
    uint8_t compressor;   /* 0: it arrived uncompressed */
    enum command_name command;
    bool whole;
};

/* The result of a request handler (route.h). */
enum request_step {
    STEP_PASS,   /* forward the request byte for byte */
    STEP_WAIT,   /* call again when all earlier requests have their answers */
    STEP_GATHER, /* call again when the request is complete */
    STEP_PART,   /* call again at the next turn: its check goes on (checking.h) */
    STEP_TAKEN,  /* the handler has finished the request: drop its bytes */
    STEP_LEASE,  /* call again when a connection of its pool is there (REQUEST_WAITING) */
    STEP_STOP    /* the client left CLIENT_ACTIVE */
};

/* A complete reply. */
struct reply {
    struct wire_header header;
    uint32_t flags; /* of OP_MSG */
    struct bytes document;
    const struct pending *pending; /* the request that it answers */
    uint8_t *instead; /* a framed message that replaces the reply; the handler sets it, from
                         memory_alloc; NULL: the client gets the reply unchanged */
    size_t instead_len;
};

#endif
