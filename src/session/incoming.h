/* A request and a reply as they arrive, and the steps that a request handler answers. */
#ifndef SLUICE_SESSION_INCOMING_H
#define SLUICE_SESSION_INCOMING_H

#include "session/pending.h"
#include "session/request.h"
#include "wire/header.h"

/* A request, or the part of it that has arrived. */
struct message {
    struct wire_header header;
    struct bytes payload; /* of OP_MSG: flags, sections, perhaps a checksum; decompressed */
    uint8_t compressor;   /* 0: it came plain */
    enum command_name command;
    bool whole;
};

/* A request handler (route.h) answers one of these. */
enum request_step {
    STEP_PASS,   /* forward the request byte for byte */
    STEP_WAIT,   /* call again when all requests before it have their answers */
    STEP_GATHER, /* call again when the request is whole */
    STEP_PART,   /* call again at the next turn: its check goes on (checking.h) */
    STEP_TAKEN,  /* the handler is done with the request: drop its bytes */
    STEP_STOP    /* the client left CLIENT_ACTIVE */
};

/* A whole reply. */
struct reply {
    struct wire_header header;
    uint32_t flags; /* of OP_MSG */
    struct bytes document;
    const struct pending *pending; /* the request that it answers */
    uint8_t *instead; /* a framed message that the client gets in its place; set by the handler;
                         memory_alloc'd; NULL: the client gets the reply as it came */
    size_t instead_len;
};

#endif
