/* Short messages leave at the end of the turn: all of them, in each link's order, and those of
 * links with one handler together. */
#include "../cmocka_all.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link.h"

enum { SIDES = 3, WRITES = 64, LARGE = OUTBOX_MESSAGE_BYTES + 1, MANY = 3 * OUTBOX_ENTRIES };

struct side {
    struct link link;
    int fds[2];
    size_t room; /* bytes that its socket still takes */
    bool breaks; /* the next write fails */
    char got[4 * LARGE];
    size_t got_bytes;
    const char *failed; /* the cause that the owner was told */
    int drained;
};

static struct budget budget;
static struct turn turn;
static struct event_base *base;
static struct side sides[SIDES];
static int order[WRITES]; /* the sides that were written to */
static int writes;

static void on_readable(void *arg)
{
    (void)arg;
}

static void on_drained(void *arg)
{
    ((struct side *)arg)->drained++;
}

static void on_failed(void *arg, const char *cause)
{
    struct side *side = arg;
    side->failed = cause;
    link_close(&side->link);
}

static const struct link_handler one_handler = {
    .opened = on_readable, .readable = on_readable, .drained = on_drained, .failed = on_failed};
static const struct link_handler other_handler = {
    .opened = on_readable, .readable = on_readable, .drained = on_drained, .failed = on_failed};

static enum transport_status no_handshake(struct transport *t, struct error *err)
{
    (void)t;
    (void)err;
    return TRANSPORT_OK;
}

static enum transport_status nothing_to_read(struct transport *t, void *buf, size_t cap,
                                             size_t *got, struct error *err)
{
    (void)t;
    (void)buf;
    (void)cap;
    (void)got;
    (void)err;
    return TRANSPORT_WANT_READ;
}

static enum transport_status take(struct transport *t, const void *buf, size_t len, size_t *put,
                                  struct error *err)
{
    struct side *side = (struct side *)((char *)t - offsetof(struct side, link.transport));
    if (side->breaks) {
        error_set(err, ERROR_HOST_UNREACHABLE, "broken");
        return TRANSPORT_ERROR;
    }
    if (side->room == 0)
        return TRANSPORT_WANT_WRITE;
    *put = len < side->room ? len : side->room;
    memcpy(side->got + side->got_bytes, buf, *put);
    side->got_bytes += *put;
    side->room -= *put;
    if (writes < WRITES)
        order[writes] = (int)(side - sides);
    writes++;
    return TRANSPORT_OK;
}

static const struct transport_ops recorded = {no_handshake, nothing_to_read, take};

static int make(void **state)
{
    (void)state;
    budget = (struct budget){.limit_bytes = (size_t)64 * 1024 * 1024};
    turn = (struct turn){0};
    base = event_base_new();
    writes = 0;
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &sides[i];
        *side = (struct side){.room = sizeof side->got};
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, side->fds) != 0)
            return 1;
        link_init(&side->link, &budget, &turn, i == 1 ? &other_handler : &one_handler, side);
        side->link.transport = (struct transport){.ops = &recorded, .fd = side->fds[0]};
        link_start(&side->link, base);
    }
    return base == NULL;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < SIDES; i++) {
        link_close(&sides[i].link);
        close(sides[i].fds[1]);
    }
    event_base_free(base);
    return 0;
}

static void send_text(int side, const char *text)
{
    struct error err;
    assert_true(link_send(&sides[side].link, text, strlen(text), &err));
}

static void assert_got(int side, const char *text)
{
    assert_int_equal(sides[side].got_bytes, strlen(text));
    assert_memory_equal(sides[side].got, text, strlen(text));
}

static void messages_leave_at_the_end_of_the_turn(void **state)
{
    (void)state;
    send_text(0, "a");
    send_text(1, "b");
    send_text(2, "c");
    assert_int_equal(writes, 0);
    assert_false(link_is_blocked(&sides[0].link));
    turn_end(&turn);
    assert_got(0, "a");
    assert_got(1, "b");
    assert_got(2, "c");
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 2); /* it has the handler of the first */
    assert_int_equal(order[2], 1);
    turn_end(&turn);
    assert_int_equal(writes, 3);
}

static void messages_of_one_link_leave_together_and_in_order(void **state)
{
    (void)state;
    send_text(0, "one ");
    send_text(0, "two ");
    send_text(1, "x");
    send_text(0, "three");
    turn_end(&turn);
    assert_got(0, "one two three");
    assert_int_equal(writes, 3); /* "three" came after another's message */
}

static void a_large_message_overtakes_nothing(void **state)
{
    (void)state;
    static char large[LARGE];
    struct buffer buffer = {0};
    struct error err;
    memset(large, 'l', sizeof large);
    send_text(0, "before");
    send_text(1, "other");
    assert_true(link_send(&sides[0].link, large, sizeof large, &err));
    assert_int_equal(sides[0].got_bytes, strlen("before") + LARGE);
    assert_memory_equal(sides[0].got, "beforel", 7);
    assert_int_equal(sides[1].got_bytes, 0);
    send_text(0, "after");
    assert_true(buffer_append(&buffer, &budget, "buffered", 8));
    assert_true(link_send_buffer(&sides[0].link, &buffer, 8, &err));
    assert_memory_equal(sides[0].got + strlen("before") + LARGE, "afterbuffered", 13);
    turn_end(&turn);
    assert_got(1, "other");
    assert_int_equal(budget.used_bytes, 0);
}

static void a_settled_link_knows_whether_it_is_blocked(void **state)
{
    (void)state;
    sides[0].room = 2;
    send_text(0, "full");
    send_text(1, "other");
    assert_false(link_is_blocked(&sides[0].link));
    link_settle(&sides[0].link);
    assert_true(link_is_blocked(&sides[0].link));
    assert_got(0, "fu");
    assert_got(1, "");
    send_text(0, "er");
    sides[0].room = 100;
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    turn_end(&turn);
    assert_got(0, "fuller");
    assert_int_equal(sides[0].drained, 1);
    assert_got(1, "other");
}

static void a_closed_link_has_sent_everything(void **state)
{
    (void)state;
    send_text(0, "last words");
    send_text(1, "other");
    link_close(&sides[0].link);
    assert_got(0, "last words");
    send_text(2, "final");
    link_finish_sending(&sides[2].link);
    assert_got(2, "final");
    turn_end(&turn);
    assert_got(0, "last words");
    assert_got(1, "other");
}

static void more_messages_than_there_is_room_for_leave_early(void **state)
{
    (void)state;
    char text[16];
    size_t sent = 0;
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(text, sizeof text, "%d ", i);
        send_text(i % 2, text);
        sent += strlen(text);
    }
    turn_end(&turn);
    assert_int_equal(sides[0].got_bytes + sides[1].got_bytes, sent);
    assert_memory_equal(sides[0].got, "0 2 4 ", 6);
    assert_memory_equal(sides[1].got, "1 3 5 ", 6);
    static char block[OUTBOX_MESSAGE_BYTES];
    struct error err;
    for (int i = 0; i < OUTBOX_BYTES / OUTBOX_MESSAGE_BYTES + 1; i++) {
        sides[2].got_bytes = 0;
        memset(block, 'a' + i, sizeof block);
        assert_true(link_send(&sides[2].link, block, sizeof block, &err));
        sides[2].room = sizeof sides[2].got;
        if (i % 3 == 2) {
            turn_end(&turn);
            assert_int_equal(sides[2].got[0], 'a' + i - 2);
            assert_int_equal(sides[2].got[sides[2].got_bytes - 1], 'a' + i);
        }
    }
}

static void a_failure_is_told_at_the_end_of_the_turn(void **state)
{
    (void)state;
    struct error err;
    send_text(0, "lost");
    send_text(1, "x");
    sides[0].breaks = true;
    link_settle(&sides[0].link);
    assert_null(sides[0].failed); /* its owner may be in the midst of anything */
    assert_false(link_send(&sides[0].link, "more", 4, &err));
    turn_end(&turn);
    assert_string_equal(sides[0].failed, "the connection was lost while writing");
    assert_got(1, "x");
}

static void a_message_that_cannot_be_kept_fails_its_link(void **state)
{
    (void)state;
    budget.limit_bytes = 0;
    sides[0].room = 1;
    send_text(0, "ab");
    turn_end(&turn);
    assert_non_null(strstr(sides[0].failed, "memory_max"));
    assert_got(0, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_leave_at_the_end_of_the_turn, make, end),
        cmocka_unit_test_setup_teardown(messages_of_one_link_leave_together_and_in_order, make,
                                        end),
        cmocka_unit_test_setup_teardown(a_large_message_overtakes_nothing, make, end),
        cmocka_unit_test_setup_teardown(a_settled_link_knows_whether_it_is_blocked, make, end),
        cmocka_unit_test_setup_teardown(a_closed_link_has_sent_everything, make, end),
        cmocka_unit_test_setup_teardown(more_messages_than_there_is_room_for_leave_early, make,
                                        end),
        cmocka_unit_test_setup_teardown(a_failure_is_told_at_the_end_of_the_turn, make, end),
        cmocka_unit_test_setup_teardown(a_message_that_cannot_be_kept_fails_its_link, make, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
