#include "session/pending.h"

#include "base/assert.h"

static unsigned position(const struct pending_ring *ring, unsigned index)
{
    return (ring->first + index) % PENDING_MAX;
}

struct pending *pending_at(struct pending_ring *ring, unsigned index)
{
    sluice_assert(index < ring->count);
    return &ring->of[position(ring, index)];
}

const struct pending *pending_look_at(const struct pending_ring *ring, unsigned index)
{
    sluice_assert(index < ring->count);
    return &ring->of[position(ring, index)];
}

struct pending *pending_oldest(struct pending_ring *ring)
{
    return pending_is_empty(ring) ? NULL : &ring->of[ring->first];
}

struct pending *pending_push(struct pending_ring *ring, const struct pending *pending)
{
    sluice_assert(!pending_is_full(ring));
    struct pending *copy = &ring->of[position(ring, ring->count)];
    *copy = *pending;
    ring->count++;
    return copy;
}

struct pending pending_pop(struct pending_ring *ring)
{
    sluice_assert(!pending_is_empty(ring));
    struct pending oldest = ring->of[ring->first];
    ring->first = (uint8_t)position(ring, 1);
    ring->count--;
    return oldest;
}
