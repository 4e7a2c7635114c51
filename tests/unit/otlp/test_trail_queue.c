/* The ring between a worker and the exporter, also with both at work. */
#include "../cmocka_all.h"

#include <pthread.h>

#include "otlp/trail_queue.h"

static struct trail *numbered(uint64_t number)
{
    const struct trail_names names = {.client_address = ""};
    struct trail *trail = trail_new(TRAIL_REQUEST, &names);
    assert_non_null(trail);
    trail->connection_id = number;
    return trail;
}

static void it_keeps_the_order_and_drops_when_full(void **state)
{
    (void)state;
    struct trail_queue *queue = trail_queue_new(3);
    assert_null(trail_queue_take(queue));
    for (uint64_t round = 0; round < 5; round++) {
        for (uint64_t i = 0; i < 5; i++)
            trail_queue_put(queue, numbered(i));
        assert_int_equal(queue->dropped, 2 * (round + 1));
        for (uint64_t i = 0; i < 3; i++) {
            struct trail *trail = trail_queue_take(queue);
            assert_int_equal(trail->connection_id, i);
            trail_free(trail);
        }
        assert_null(trail_queue_take(queue));
    }
    trail_queue_put(queue, numbered(1)); /* freed with it */
    trail_queue_free(queue);
    trail_queue_free(NULL);
}

enum { TRAILS = 20000 };

static void *put_all(void *arg)
{
    for (uint64_t i = 0; i < TRAILS; i++)
        trail_queue_put(arg, numbered(i));
    return NULL;
}

static void two_threads(void **state)
{
    (void)state;
    pthread_t writer;
    struct trail_queue *queue = trail_queue_new(64);
    uint64_t taken = 0;
    uint64_t next = 0;
    assert_int_equal(pthread_create(&writer, NULL, put_all, queue), 0);
    while (taken + atomic_load(&queue->dropped) < TRAILS) {
        struct trail *trail = trail_queue_take(queue);
        if (trail == NULL)
            continue;
        assert_true(trail->connection_id >= next);
        next = trail->connection_id + 1;
        taken++;
        trail_free(trail);
    }
    pthread_join(writer, NULL);
    assert_null(trail_queue_take(queue));
    trail_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_keeps_the_order_and_drops_when_full),
                                       cmocka_unit_test(two_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
