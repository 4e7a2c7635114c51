/* Requests without a reply yet, oldest first. A server answers the commands of a connection in
 * order, so each reply belongs to the oldest. Pure. */
#ifndef SLUICE_SESSION_PENDING_H
#define SLUICE_SESSION_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/command_names.h"
#include "wire/lsid.h"

/* The maximal number of requests under way before the proxy stops reading from the client. Drivers
 * have one; the protocol allows more. */
enum { PENDING_MAX = 4 };

struct merger_permit;
struct trail;

struct pending {
    struct merger_permit *permit; /* for an insert that others wait for; otherwise NULL */
    struct trail *trail;          /* owned; NULL: it is not traced */
    int64_t sent_us;
    uint8_t lsid[LSID_BYTES];
    int32_t expected_response_to; /* its requestID; in an exhaust stream the id of the last reply */
    int32_t request_id;           /* the client's id, for an error of the proxy */
    uint32_t error_labels;
    enum command_name command;
    uint32_t change;  /* of collections (collection_changes.h); 0: none */
    bool watched;     /* a handler needs its complete reply */
    bool awaitable;   /* a hello: the server may hold its reply back until a change */
    bool awaits_data; /* a getMore: the server may hold its reply back until there is data */
    bool legacy;
    bool exhaust;
    bool watches_claim;
    bool streaming; /* a part of its reply went to the client */
    bool repeated;  /* not the first reply of its exhaust stream */
    bool exchanged; /* sent by the proxy: the reply belongs to the exchange or a batch */
    bool question;  /* sent by the proxy: the question for the identity */
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

/* The index-th request, counted from the oldest; index < ring->count. Valid until it is popped. */
struct pending *pending_at(struct pending_ring *ring, unsigned index);
const struct pending *pending_look_at(const struct pending_ring *ring, unsigned index);

/* NULL if the ring is empty. */
struct pending *pending_oldest(struct pending_ring *ring);

/* Adds a copy at the end. The ring must not be full. Returns the copy. */
struct pending *pending_push(struct pending_ring *ring, const struct pending *pending);

/* Removes the oldest request. The ring must not be empty. */
struct pending pending_pop(struct pending_ring *ring);

#endif
