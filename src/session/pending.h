/* Requests that the server has not answered yet, oldest first: a server answers one connection's
 * commands in their order, so each reply belongs to the oldest. Pure. */
#ifndef SLUICE_SESSION_PENDING_H
#define SLUICE_SESSION_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/command_names.h"
#include "wire/lsid.h"

/* Requests that a client may have under way before the proxy stops reading from it. Drivers have
 * one; the protocol allows more. */
enum { PENDING_MAX = 4 };

struct merger_permit;

struct pending {
    struct merger_permit *permit; /* an insert that others wait for; NULL for none */
    int64_t sent_us;
    uint8_t lsid[LSID_BYTES];
    int32_t expected_response_to; /* its requestID; in an exhaust stream the last reply's */
    int32_t request_id;           /* the client's: what an error of the proxy's own answers */
    uint32_t error_labels;
    enum command_name command;
    uint32_t change; /* of collections (collection_changes.h); 0: none */
    bool watched;    /* a handler takes its reply, which has to be whole */
    bool awaitable;  /* the server may hold its reply back until something changes */
    bool legacy;
    bool exhaust;
    bool watches_claim;
    bool streaming; /* part of its reply went to the client */
    bool repeated;  /* this is not the first reply of its exhaust stream */
    bool exchanged; /* sent by the proxy itself: the reply is the exchange's, or a batch's */
    bool question;  /* sent by the proxy itself: who the connection is */
    bool has_lsid;
    bool in_transaction;
};

struct pending_ring {
    uint8_t first;
    uint8_t count;
    struct pending of[PENDING_MAX];
};

static inline bool pending_is_empty(const struct pending_ring *ring)
{
    return ring->count == 0;
}

static inline bool pending_is_full(const struct pending_ring *ring)
{
    return ring->count == PENDING_MAX;
}

/* The index-th, counted from the oldest; index < ring->count. Valid until it is popped. */
struct pending *pending_at(struct pending_ring *ring, unsigned index);
const struct pending *pending_look_at(const struct pending_ring *ring, unsigned index);

/* NULL when the ring is empty. */
struct pending *pending_oldest(struct pending_ring *ring);

/* Takes a copy behind the others. The ring must not be full. Returns the copy. */
struct pending *pending_push(struct pending_ring *ring, const struct pending *pending);

/* The oldest, which leaves the ring. The ring must not be empty. */
struct pending pending_pop(struct pending_ring *ring);

#endif
