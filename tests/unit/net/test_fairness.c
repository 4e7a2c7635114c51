/* One loop serves many connections: no callback runs as long as its peer has data. */
#include "../cmocka_all.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link.h"
#include "net/listener.h"
#include "net/worker.h"

enum { MEGABYTE = 1024 * 1024, PORTION_BYTES = 256 * 1024, ROUNDS = 20 };

/* --- links --------------------------------------------------------------------------------------
 */

static struct budget budget;
static struct turn turn;
static struct event_base *base;
static size_t written;

struct side {
    struct link link;
    int peer;
    int served; /* times that it was read, or drained */
    size_t got;
    bool ended;
};

static uint8_t area[PORTION_BYTES];

static void on_readable(void *arg)
{
    struct side *side = arg;
    size_t got = 0;
    side->served++;
    enum transport_status status = link_read(&side->link, area, sizeof area, &got, NULL);
    side->ended = status == TRANSPORT_EOF;
    if (status == TRANSPORT_OK)
        side->got += got;
}

static void on_drained(void *arg)
{
    ((struct side *)arg)->served++;
}

static void on_opened(void *arg)
{
    (void)arg;
}

static const struct link_handler handler = {
    .opened = on_opened, .readable = on_readable, .drained = on_drained};

static enum transport_status no_handshake(struct transport *t, struct error *err)
{
    (void)t;
    (void)err;
    return TRANSPORT_OK;
}

/* A peer that sends without end, and reads everything. */
static enum transport_status endless_read(struct transport *t, void *buf, size_t cap, size_t *got,
                                          struct error *err)
{
    (void)t;
    (void)err;
    memset(buf, 'x', cap);
    *got = cap;
    return TRANSPORT_OK;
}

static enum transport_status endless_write(struct transport *t, const void *buf, size_t len,
                                           size_t *put, struct error *err)
{
    (void)t;
    (void)buf;
    (void)err;
    written += len;
    *put = len;
    return TRANSPORT_OK;
}

static const struct transport_ops endless = {no_handshake, endless_read, endless_write};

static int make_loop(void **state)
{
    (void)state;
    budget = (struct budget){.limit_bytes = (size_t)64 * MEGABYTE};
    turn = (struct turn){0};
    base = event_base_new();
    written = 0;
    return base == NULL;
}

static int free_loop(void **state)
{
    (void)state;
    event_base_free(base);
    return 0;
}

/* As a worker does it. */
static void one_turn(void)
{
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    turn_end(&turn);
}

static void start(struct side *side, int fds[2], const struct transport_ops *ops)
{
    *side = (struct side){.peer = fds[1]};
    link_init(&side->link, &budget, &turn, &handler, side);
    transport_init_plain(&side->link.transport, fds[0]);
    if (ops != NULL)
        side->link.transport.ops = ops;
    link_start(&side->link, base);
}

/* Its descriptor stays readable, because no thread reads the byte. */
static void start_endless(struct side *side)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(send(fds[1], "x", 1, 0), 1);
    start(side, fds, &endless);
}

static void stop(struct side *side)
{
    link_close(&side->link);
    close(side->peer);
}

static void start_tcp(struct side *side)
{
    uint16_t port = 0;
    int fds[2];
    int listening = listener_bind("127.0.0.1", 0, 1, "test", &port, NULL);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&to, sizeof to), 0);
    fds[0] = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    assert_true(fds[0] >= 0);
    close(listening);
    start(side, fds, NULL);
}

static void endless_input_keeps_nobody_from_being_served(void **state)
{
    (void)state;
    struct side heavy[3];
    struct side light;
    for (int i = 0; i < 3; i++)
        start_endless(&heavy[i]);
    start_tcp(&light);
    for (int i = 1; i <= ROUNDS; i++) {
        assert_int_equal(send(light.peer, "x", 1, 0), 1);
        turn.began_us = -TURN_HEAVY_US; /* so that heavy work waits, however fast the machine is */
        one_turn();
        assert_int_equal(light.got, i);
    }
    /* heavy work is not blocked either: each turn does some, first come first served */
    int sum = heavy[0].served + heavy[1].served + heavy[2].served;
    assert_true(sum >= ROUNDS && sum <= 2 * ROUNDS);
    for (int i = 0; i < 3; i++) {
        assert_true(heavy[i].served >= sum / 3 - 2);
        stop(&heavy[i]);
    }
    stop(&light);
}

static void a_link_that_waits_can_be_paused_and_closed(void **state)
{
    (void)state;
    struct side paused;
    struct side closed;
    start_endless(&paused);
    start_endless(&closed);
    one_turn(); /* they are known to be heavy */
    int before[2] = {paused.served, closed.served};
    turn.began_us = -TURN_HEAVY_US;
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* and wait for the end of the turn */
    assert_true(paused.link.later_read && closed.link.later_read);
    link_pause(&paused.link);
    link_close(&closed.link);
    turn_end(&turn);
    one_turn();
    assert_int_equal(paused.served, before[0]);
    assert_int_equal(closed.served, before[1]);
    assert_null(turn.waiters);
    link_resume(&paused.link);
    one_turn();
    assert_int_equal(paused.served, before[0] + 1);
    stop(&paused);
    stop(&closed);
}

static void what_is_written_in_one_go_is_bounded(void **state)
{
    (void)state;
    struct side side;
    struct buffer large = {0};
    int turns = 0;
    start_endless(&side);
    link_pause(&side.link);
    assert_true(buffer_reserve(&large, &budget, MEGABYTE));
    memset(large.data, 'x', MEGABYTE);
    large.end = MEGABYTE;
    assert_true(link_send_buffer(&side.link, &large, MEGABYTE, NULL));
    assert_int_equal(written, PORTION_BYTES);
    for (; link_is_blocked(&side.link); turns++) {
        assert_int_equal(written, (size_t)(turns + 1) * PORTION_BYTES);
        one_turn();
    }
    assert_int_equal(written, MEGABYTE);
    assert_int_equal(turns, 3);
    assert_int_equal(side.served, 1);
    stop(&side);
    assert_int_equal(budget_used(&budget), 0);
    budget_drop_spare(&budget);
}

static bool is_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

static void fewer_bytes_than_expected_are_not_reported(void **state)
{
    (void)state;
    struct side side;
    start_tcp(&side);
    link_expect(&side.link, 5);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(send(side.peer, "x", 1, 0), 1);
        one_turn();
        assert_int_equal(side.served, 0);
    }
    assert_int_equal(send(side.peer, "x", 1, 0), 1);
    one_turn();
    assert_int_equal(side.got, 5);
    link_expect(&side.link, 100);
    assert_int_equal(send(side.peer, "x", 1, 0), 1);
    assert_false(is_readable(side.link.transport.fd));
    link_expect(&side.link, 1); /* tells of those that are there */
    one_turn();
    assert_int_equal(side.got, 6);
    link_expect(&side.link, 100);
    assert_int_equal(shutdown(side.peer, SHUT_WR), 0); /* so does the end */
    one_turn();
    assert_true(side.ended);
    stop(&side);
}

/* --- workers and listeners ----------------------------------------------------------------------
 */

struct order {
    struct worker *worker;
    int fd; /* ready from the first job on */
    struct event *event;
    int jobs;
    int jobs_at_event; /* done when the event was served; -1: it was not */
};

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct order *order = arg;
    (void)fd;
    (void)what;
    order->jobs_at_event = order->jobs;
}

static void do_job(void *context, void *arg)
{
    struct order *order = context;
    (void)arg;
    if (order->jobs++ > 0)
        return;
    order->event = event_new(worker_base(order->worker), order->fd, EV_READ, on_event, order);
    assert_non_null(order->event);
    assert_int_equal(event_add(order->event, NULL), 0);
}

static void nothing(void *context)
{
    (void)context;
}

static void end_order(void *context)
{
    event_free(((struct order *)context)->event);
}

static void many_jobs_at_once_let_others_between(void **state)
{
    (void)state;
    enum { JOBS = 100 };
    struct order order = {.fd = eventfd(1, EFD_CLOEXEC), .jobs_at_event = -1};
    struct worker_settings settings = {
        .name = "test", .context = &order, .tick_ms = 1000, .tick = nothing, .stop = end_order};
    assert_true(worker_create(&settings, &order.worker, NULL));
    for (int i = 0; i < JOBS; i++)
        assert_true(worker_post(order.worker, do_job, NULL));
    assert_true(worker_run(order.worker, NULL));
    worker_stop(order.worker);
    assert_int_equal(order.jobs, JOBS);
    assert_in_range(order.jobs_at_event, 1, JOBS / 2);
    close(order.fd);
}

struct patient {
    struct worker *worker;
    struct turn_waiter waiter;
    struct event *event;
    int fd;
    int runs;
    sem_t served;
};

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static void wait_again(void *arg)
{
    struct patient *patient = arg;
    struct turn *own = worker_turn(patient->worker);
    own->began_us -= TURN_HEAVY_US; /* the turn is spent: it comes in the next */
    turn_wait(own, &patient->waiter);
    if (++patient->runs == ROUNDS)
        sem_post(&patient->served);
}

static void begin_waiting(void *context, void *arg)
{
    struct patient *patient = context;
    (void)arg;
    patient->event =
        event_new(worker_base(patient->worker), patient->fd, EV_READ | EV_PERSIST, on_ready, NULL);
    assert_non_null(patient->event);
    assert_int_equal(event_add(patient->event, NULL), 0);
    patient->waiter = (struct turn_waiter){.run = wait_again, .arg = patient};
    turn_wait(worker_turn(patient->worker), &patient->waiter);
}

static void end_waiting(void *context)
{
    struct patient *patient = context;
    event_free(patient->event);
    turn_forget(worker_turn(patient->worker), &patient->waiter);
}

static void an_event_that_is_always_ready_lets_others_between(void **state)
{
    (void)state;
    struct patient patient = {.fd = eventfd(1, EFD_CLOEXEC)};
    struct worker_settings settings = {
        .name = "test", .context = &patient, .tick_ms = 1000, .tick = nothing, .stop = end_waiting};
    struct timespec until;
    assert_int_equal(sem_init(&patient.served, 0, 0), 0);
    assert_true(worker_create(&settings, &patient.worker, NULL));
    assert_true(worker_run(patient.worker, NULL));
    assert_true(worker_post(patient.worker, begin_waiting, NULL));
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 30;
    assert_int_equal(sem_timedwait(&patient.served, &until), 0);
    worker_stop(patient.worker);
    sem_destroy(&patient.served);
    close(patient.fd);
}

static void on_accepted(void *arg, int fd)
{
    ++*(int *)arg;
    close(fd);
}

static void many_clients_at_once_let_others_between(void **state)
{
    (void)state;
    enum { CLIENTS = 150, AT_ONCE = 64 };
    int clients[CLIENTS];
    int accepted = 0;
    uint16_t port = 0;
    int fd = listener_bind("127.0.0.1", 0, CLIENTS, "test", &port, NULL);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(clients[i], (struct sockaddr *)&to, sizeof to), 0);
    }
    struct listener *listener = listener_start(base, fd, on_accepted, &accepted, NULL);
    assert_non_null(listener);
    for (int at = AT_ONCE; accepted < CLIENTS; at += AT_ONCE) {
        event_base_loop(base, EVLOOP_ONCE);
        assert_int_equal(accepted, at < CLIENTS ? at : CLIENTS);
    }
    listener_stop(listener);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(endless_input_keeps_nobody_from_being_served, make_loop,
                                        free_loop),
        cmocka_unit_test_setup_teardown(a_link_that_waits_can_be_paused_and_closed, make_loop,
                                        free_loop),
        cmocka_unit_test_setup_teardown(what_is_written_in_one_go_is_bounded, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(fewer_bytes_than_expected_are_not_reported, make_loop,
                                        free_loop),
        cmocka_unit_test(many_jobs_at_once_let_others_between),
        cmocka_unit_test(an_event_that_is_always_ready_lets_others_between),
        cmocka_unit_test_setup_teardown(many_clients_at_once_let_others_between, make_loop,
                                        free_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
