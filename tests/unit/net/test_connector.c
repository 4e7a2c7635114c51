/* Connecting to a name with several addresses, some of which are dead. */
#include "../cmocka_all.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connector.h"

enum { FILLERS = 4 };

struct outcome {
    sem_t done;
    struct worker *worker;
    const char *address;
    int fd;
    char cause[160];
};

static void on_done(void *arg, int fd, const char *cause)
{
    struct outcome *outcome = arg;
    outcome->fd = fd;
    (void)snprintf(outcome->cause, sizeof outcome->cause, "%s", cause == NULL ? "" : cause);
    sem_post(&outcome->done);
}

static void start(void *context, void *arg)
{
    struct outcome *outcome = arg;
    (void)context;
    (void)connector_start(outcome->worker, outcome->address, on_done, outcome);
}

static int listen_at(const char *host, uint16_t *port, int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, host, &at.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* Source: tcp_get_info of Linux, for a listening socket: `unacked` connections wait, and the queue
 * is full once they are more than `sacked`. */
static bool is_full(int listener)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    assert_int_equal(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_unacked > info.tcpi_sacked;
}

/* Its queue of connections to be accepted becomes full: every further attempt hangs. */
static void fill(int listener, const char *host, uint16_t port, int fillers[FILLERS])
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, host, &to.sin_addr), 1);
    for (int i = 0; i < FILLERS; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&to, sizeof to);
    }
    for (int waited_ms = 0; !is_full(listener); waited_ms++) {
        assert_true(waited_ms < 60000);
        usleep(1000);
    }
}

static void load_hosts(struct worker *worker, const char *lines)
{
    char path[] = "/tmp/connector-hosts-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, lines, strlen(lines)), (ssize_t)strlen(lines));
    close(fd);
    assert_int_equal(evdns_base_load_hosts(worker_dns(worker), path), 0);
    unlink(path);
}

static void nothing(void *context)
{
    (void)context;
}

static void connect_to(const char *lines, const char *host, uint16_t port, struct outcome *outcome)
{
    char address[64];
    struct worker_settings settings = {
        .name = "test", .tick_ms = 1000, .tick = nothing, .stop = nothing};
    *outcome = (struct outcome){.address = address, .fd = -1};
    (void)snprintf(address, sizeof address, "%s:%u", host, port);
    sem_init(&outcome->done, 0, 0);
    assert_true(worker_create(&settings, &outcome->worker, NULL));
    load_hosts(outcome->worker, lines);
    assert_true(worker_run(outcome->worker, NULL));
    assert_true(worker_post(outcome->worker, start, outcome));
    while (sem_wait(&outcome->done) != 0) {
    }
    worker_stop(outcome->worker);
    sem_destroy(&outcome->done);
}

static int option_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void assert_dead_peers_are_found(int fd)
{
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    int found_after_s =
        option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE) +
        option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option_of(fd, IPPROTO_TCP, TCP_KEEPCNT);
    assert_int_equal(found_after_s, 210);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), found_after_s * 1000);
}

static void assert_peer(int fd, const char *host)
{
    struct sockaddr_in peer;
    char text[INET_ADDRSTRLEN];
    socklen_t len = sizeof peer;
    assert_true(fd >= 0);
    assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
    assert_string_equal(inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text), host);
    assert_dead_peers_are_found(fd);
    close(fd);
}

static void an_address_that_hangs_costs_little(void **state)
{
    (void)state;
    static const char *const orders[] = {"127.0.0.2 both.test\n127.0.0.1 both.test\n",
                                         "127.0.0.1 both.test\n127.0.0.2 both.test\n"};
    int fillers[FILLERS];
    uint16_t port = 0;
    /* In this order, because many programs use ports of 127.0.0.1. */
    int alive = listen_at("127.0.0.1", &port, 10);
    int dead = listen_at("127.0.0.2", &port, 0);
    fill(dead, "127.0.0.2", port, fillers);
    for (size_t i = 0; i < 2; i++) {
        struct outcome outcome;
        connect_to(orders[i], "both.test", port, &outcome);
        assert_peer(outcome.fd, "127.0.0.1");
    }
    for (int i = 0; i < FILLERS; i++)
        close(fillers[i]);
    close(dead);
    close(alive);
}

static void an_address_that_refuses_is_passed_over(void **state)
{
    (void)state;
    uint16_t port = 0;
    struct outcome outcome;
    int alive = listen_at("127.0.0.1", &port, 10);
    connect_to("127.0.0.2 both.test\n127.0.0.1 both.test\n", "both.test", port, &outcome);
    assert_peer(outcome.fd, "127.0.0.1");
    close(alive);
    connect_to("127.0.0.2 both.test\n127.0.0.1 both.test\n", "both.test", port, &outcome);
    assert_int_equal(outcome.fd, -1);
    assert_string_equal(outcome.cause, "Connection refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_hangs_costs_little),
        cmocka_unit_test(an_address_that_refuses_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
