/* The world of the simulation: its clock, its queue, its network. */
#include "../unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "in_force.h"
#include "passwords.h"
#include "world.h"

static char heard[512];

static void hear(const char *what)
{
    strncat(heard, what, sizeof heard - strlen(heard) - 1);
}

static void hear_arg(void *arg)
{
    hear(arg);
}

static void run(struct world *world)
{
    while (world_step(world))
        ;
}

static void test_events_run_in_order(void **state)
{
    (void)state;
    struct world *world = world_create(1, NULL);
    heard[0] = 0;
    world_after(world, 30, hear_arg, "d");
    world_after(world, 10, hear_arg, "b");
    struct timer *cancelled = world_after(world, 20, hear_arg, "X");
    world_after(world, 10, hear_arg, "c");
    world_after(world, 0, hear_arg, "a");
    world_cancel(world, cancelled);
    world_cancel(world, NULL);
    run(world);
    assert_string_equal(heard, "abcd");
    assert_int_equal(world_now_us(world), 30);
    world_destroy(world);
}

static int64_t last_seen_us;
static struct world *the_world;

static void note_time(void *arg)
{
    (void)arg;
    assert_true(world_now_us(the_world) >= last_seen_us);
    last_seen_us = world_now_us(the_world);
}

static void test_many_events_with_cancellations(void **state)
{
    (void)state;
    struct stream stream = stream_make(7, "test", 0);
    struct timer *timers[2000];
    the_world = world_create(7, NULL);
    last_seen_us = 0;
    for (int i = 0; i < 2000; i++)
        timers[i] = world_after(the_world, stream_below(&stream, 500), note_time, NULL);
    for (int i = 0; i < 2000; i += 3)
        world_cancel(the_world, timers[i]);
    run(the_world);
    assert_int_equal(world_event_count(the_world), 2000 - 667);
    world_destroy(the_world);
}

static void test_streams(void **state)
{
    (void)state;
    struct stream a = stream_make(1, "client", 1);
    struct stream b = stream_make(1, "client", 1);
    struct stream other = stream_make(1, "client", 2);
    bool differs = false;
    for (int i = 0; i < 1000; i++) {
        uint64_t drawn = stream_next(&a);
        assert_true(drawn == stream_next(&b));
        differs = differs || drawn != stream_next(&other);
        assert_true(stream_below(&a, 7) < 7);
        (void)stream_below(&b, 7);
        int64_t skewed = stream_skewed(&other, -3, 90);
        assert_in_range(skewed + 3, 0, 93);
        assert_int_equal(stream_skewed(&other, 5, 5), 5);
    }
    assert_true(differs);
    assert_false(stream_chance(&a, 0));
    assert_true(stream_chance(&a, 1000));
}

/* --- network --- */

struct side {
    char name;
    struct end *end;
    uint8_t got[100000];
    size_t got_bytes;
    bool opened, ended, reset, finished;
    size_t taken;
};

static struct side client, server;

static void on_opened(void *arg, struct end *end)
{
    struct side *side = arg;
    assert_ptr_equal(end, side->end);
    side->opened = true;
}

static void on_came(void *arg, struct end *end, const uint8_t *data, size_t len)
{
    struct side *side = arg;
    assert_ptr_equal(end, side->end);
    assert_true(side == &server || side->opened);
    memcpy(side->got + side->got_bytes, data, len);
    side->got_bytes += len;
}

static void on_ended(void *arg, struct end *end, bool reset)
{
    struct side *side = arg;
    assert_ptr_equal(end, side->end);
    side->ended = true;
    side->reset = reset;
    side->end = NULL;
}

static const struct end_handler handler = {on_opened, on_came, on_ended, NULL, NULL};

static void on_finished(void *arg, struct end *end)
{
    (void)end;
    ((struct side *)arg)->finished = true;
}

static void on_taken(void *arg, struct end *end)
{
    (void)end;
    ((struct side *)arg)->taken++;
}

static const struct end_handler careful = {on_opened, on_came, on_ended, on_finished, on_taken};

static void accept_it(void *arg, struct end *end)
{
    server.end = end;
    end_handle(end, arg, &server);
}

static struct world *connect_both(uint64_t seed, const struct end_handler *kind)
{
    struct world *world = world_create(seed, NULL);
    memset(&client, 0, sizeof client);
    memset(&server, 0, sizeof server);
    assert_true(world_listen(world, "a:27017", accept_it, (void *)kind));
    assert_false(world_listen(world, "a:27017", accept_it, NULL));
    client.end = world_dial(world, "c1", "a:27017", kind, &client);
    run(world);
    assert_true(client.opened);
    assert_string_equal(end_peer(client.end), "a");
    assert_string_equal(end_peer(server.end), "c1");
    assert_int_equal(end_connection(client.end), end_connection(server.end));
    return world;
}

static void test_bytes_arrive_in_order(void **state)
{
    (void)state;
    static uint8_t sent[50000];
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 31 >> 3);
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct world *world = connect_both(seed, &handler);
        for (size_t at = 0; at < sizeof sent; at += 12500)
            end_send(client.end, sent + at, 12500);
        end_send(server.end, "hi", 2);
        run(world);
        assert_int_equal(server.got_bytes, sizeof sent);
        assert_memory_equal(server.got, sent, sizeof sent);
        assert_memory_equal(client.got, "hi", 2);
        end_close(client.end);
        run(world);
        assert_true(server.ended);
        assert_false(server.reset);
        assert_null(world_connection(world, NULL, NULL, 0));
        world_destroy(world);
    }
}

static void test_close_after_bytes(void **state)
{
    (void)state;
    struct world *world = connect_both(3, &careful);
    end_send(client.end, "last", 4);
    end_finish(client.end);
    run(world);
    assert_true(server.finished && !server.ended && client.taken > 0);
    assert_memory_equal(server.got, "last", 4);
    end_send(server.end, "reply", 5); /* the other direction is open */
    end_close(server.end);
    run(world);
    assert_true(client.finished);
    assert_memory_equal(client.got, "reply", 5);
    end_close(client.end);
    run(world);
    world_destroy(world);
}

static void test_resets(void **state)
{
    (void)state;
    struct world *world = connect_both(4, &handler);
    end_reset(client.end);
    run(world);
    assert_true(server.ended && server.reset);
    client.end = world_dial(world, "c1", "b:1", &handler, &client);
    run(world);
    assert_true(client.ended && client.reset); /* refused */
    world_destroy(world);

    world = connect_both(5, &careful);
    end_close(client.end);
    run(world);
    assert_true(server.finished && !server.ended);
    end_send(server.end, "x", 1); /* to a peer that closed */
    run(world);
    assert_true(server.ended && server.reset);
    world_destroy(world);
}

static void test_slow_reader(void **state)
{
    (void)state;
    struct world *world = connect_both(6, &handler);
    end_read(server.end, false);
    end_send(client.end, "wait", 4);
    run(world);
    assert_int_equal(server.got_bytes, 0);
    assert_int_equal(end_untaken_bytes(client.end), 4);
    end_read(server.end, true);
    run(world);
    assert_int_equal(server.got_bytes, 4);
    assert_int_equal(end_untaken_bytes(client.end), 0);
    world_destroy(world);
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t at = 1; at <= 10; at++) {
        struct world *world = connect_both(at, &handler);
        end_cut(world_connection(world, "a", "c1", 0), at);
        end_send(client.end, "0123456789", 10);
        run(world);
        assert_true(server.ended && client.ended && server.reset && client.reset);
        assert_int_equal(server.got_bytes, at);
        world_destroy(world);
    }
    struct world *world = connect_both(1, &handler);
    end_cut(server.end, 0);
    run(world);
    assert_true(server.ended && client.ended);
    world_destroy(world);
}

static void test_half_open(void **state)
{
    (void)state;
    struct world *world = connect_both(8, &handler);
    int64_t before = world_now_us(world);
    end_half_open(client.end);
    end_send(client.end, "x", 1);
    end_close(server.end);
    run(world);
    assert_int_equal(server.got_bytes, 0);
    assert_true(client.ended && client.reset);
    assert_int_equal(world_now_us(world) - before, WORLD_KEEP_ALIVE_US);
    world_destroy(world);
}

static void test_partition(void **state)
{
    (void)state;
    struct world *world = connect_both(9, &handler);
    static struct side second;
    memset(&second, 0, sizeof second);
    world_partition(world, "c1", NULL, true);
    end_send(client.end, "x", 1);
    second.end = world_dial(world, "c1", "b:1", &handler, &second);
    run(world);
    assert_int_equal(server.got_bytes, 0);
    assert_false(second.ended);
    world_partition(world, "c1", NULL, false);
    run(world);
    assert_int_equal(server.got_bytes, 1);
    assert_true(second.ended);
    world_destroy(world);
}

static void test_crash(void **state)
{
    (void)state;
    struct world *world = connect_both(10, &handler);
    world_crash_host(world, "a");
    assert_true(server.ended && server.reset && !client.ended);
    run(world);
    assert_true(client.ended && client.reset);
    world_destroy(world);
}

static void test_same_seed_same_history(void **state)
{
    (void)state;
    uint64_t hash = 0;
    for (int round = 0; round < 3; round++) {
        struct world *world = connect_both(round < 2 ? 11 : 12, &handler);
        end_send(client.end, "some bytes of a message", 23);
        run(world);
        assert_true(round == 0 || (round == 1) == (world_hash(world) == hash));
        hash = world_hash(world);
        world_destroy(world);
    }
}

static void fail_twice(void *arg)
{
    world_fail(arg, "first", "number %d", 1);
    world_fail(arg, "second", "number %d", 2);
}

static void test_failure_ends_the_history(void **state)
{
    (void)state;
    struct world *world = world_create(1, NULL);
    heard[0] = 0;
    world_after(world, 1, fail_twice, world);
    world_after(world, 2, hear_arg, "x");
    run(world);
    assert_true(world_failed(world));
    assert_string_equal(world_failure(world)->check, "first");
    assert_string_equal(world_failure(world)->text, "number 1");
    assert_string_equal(heard, "");
    world_destroy(world);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void run_until(struct world *world, int64_t us)
{
    world_after(world, us - world_now_us(world), do_nothing, NULL);
    run(world);
}

/* From 100 us to 200 us the schema is the loose one. */
static void test_a_user_that_is_created_anew_has_another_password(void **state)
{
    (void)state;
    struct world *world = world_create(1, NULL);
    assert_int_equal(passwords_number(world, 2), 0);
    assert_true(passwords_were_settled(world, 2, 0));
    passwords_note_judged(world, 2);
    assert_true(passwords_was_judged(world, 2, 1));
    assert_false(passwords_was_judged(world, 2, 0));
    passwords_drop(world, 2);
    assert_false(passwords_were_settled(world, 2, INT64_MAX));
    passwords_create(world, 2);
    assert_int_equal(passwords_number(world, 2), 1);
    assert_int_equal(passwords_number(world, 1), 0);
    assert_false(passwords_was_judged(world, 2, INT64_MAX));
    assert_false(passwords_were_settled(world, 2, 0));
    assert_true(passwords_were_settled(world, 2, 1));
    world_destroy(world);
}

static void test_a_schema_is_in_force_until_the_next_one(void **state)
{
    struct world *world = world_create(1, NULL);
    (void)state;
    assert_true(in_force_was_strict(world, 0, 0));
    assert_false(in_force_was_loose(world, 0, INT64_MAX));
    assert_int_equal(in_force_number(world), 1);
    assert_int_equal(in_force_number(world), 2);
    run_until(world, 100);
    in_force_begin(world, 1, false);
    run_until(world, 200);
    in_force_begin(world, 2, true);
    assert_false(in_force_was_loose(world, 0, 99));
    assert_true(in_force_was_loose(world, 0, 100));
    assert_true(in_force_was_strict(world, 100, 100));
    assert_false(in_force_was_strict(world, 101, 199));
    assert_true(in_force_was_loose(world, 200, 300));
    assert_false(in_force_was_loose(world, 201, 300));
    assert_true(in_force_was_number(world, 1, 150, 150));
    assert_false(in_force_was_number(world, 2, 150, 199));
    assert_true(in_force_was_number(world, 2, 150, 200));
    assert_false(in_force_was_number(world, 1, 201, 300));
    assert_false(in_force_was_number(world, 0, 101, 300));
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_run_in_order),
        cmocka_unit_test(test_many_events_with_cancellations),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_bytes_arrive_in_order),
        cmocka_unit_test(test_close_after_bytes),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_half_open),
        cmocka_unit_test(test_partition),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_same_seed_same_history),
        cmocka_unit_test(test_failure_ends_the_history),
        cmocka_unit_test(test_a_user_that_is_created_anew_has_another_password),
        cmocka_unit_test(test_a_schema_is_in_force_until_the_next_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
