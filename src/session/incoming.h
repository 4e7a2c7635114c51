/* A request and a reply as they come, and the words for what becomes of a request. */
#ifndef SLUICE_SESSION_INCOMING_H
#define SLUICE_SESSION_INCOMING_H

#include "session/pending.h"
#include "session/request.h"
#include "wire/header.h"

/* A request, or what of it has come. */
struct message {
    struct wire_header header;
    struct bytes payload; /* of OP_MSG: flags, sections, perhaps a checksum; decompressed */
    uint8_t compressor;   /* 0: it came plain */
    enum command_name command;
    bool whole;
};

/* What a command's request handler (route.h) has done with it. */
enum request_step {
    STEP_PASS,   /* nothing: it is to be forwarded byte for byte */
    STEP_WAIT,   /* it is to be handed in again once all before it are answered */
    STEP_GATHER, /* the same, when it is whole */
    STEP_PART,   /* the same, at the next turn: its check goes on (checking.h) */
    STEP_TAKEN,  /* it is dealt with: its bytes are to be dropped */
    STEP_STOP    /* the client left CLIENT_ACTIVE */
};

/* A reply that is whole. */
struct reply {
    struct wire_header header;
    uint32_t flags; /* of OP_MSG */
    struct bytes document;
    const struct pending *pending; /* the request that it answers */
    uint8_t *instead;              /* a framed message that goes to the client in its place, set by
                                      the handler; memory_alloc'd; NULL: it goes as it came */
    size_t instead_len;
};

#endif
