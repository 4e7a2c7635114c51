#include "otlp/trail_queue.h"

#include "base/memory.h"

struct trail_queue *trail_queue_new(size_t room)
{
    struct trail_queue *queue = memory_zalloc(sizeof *queue + room * sizeof(struct trail *));
    if (queue != NULL)
        queue->room = room;
    return queue;
}

void trail_queue_free(struct trail_queue *queue)
{
    struct trail *trail = NULL;
    if (queue == NULL)
        return;
    while ((trail = trail_queue_take(queue)) != NULL)
        trail_free(trail);
    memory_free(queue);
}

void trail_queue_put(struct trail_queue *queue, struct trail *trail)
{
    size_t end = atomic_load_explicit(&queue->end, memory_order_relaxed);
    size_t first = atomic_load_explicit(&queue->first, memory_order_acquire);
    if (end - first == queue->room) {
        uint64_t dropped = atomic_load_explicit(&queue->dropped, memory_order_relaxed);
        atomic_store_explicit(&queue->dropped, dropped + 1, memory_order_relaxed);
        trail_free(trail);
        return;
    }
    queue->trails[end % queue->room] = trail;
    atomic_store_explicit(&queue->end, end + 1, memory_order_release);
}

struct trail *trail_queue_take(struct trail_queue *queue)
{
    size_t first = atomic_load_explicit(&queue->first, memory_order_relaxed);
    if (first == atomic_load_explicit(&queue->end, memory_order_acquire))
        return NULL;
    struct trail *trail = queue->trails[first % queue->room];
    atomic_store_explicit(&queue->first, first + 1, memory_order_release);
    return trail;
}
