/* The null upstream: a MongoDB server that answers hello, ping, insert, find and so on, and stores
 * nothing. Benchmarks put it behind a proxy to measure the proxy's own cost, so it does as little
 * as possible: one thread, one recv and one send for the content of a socket, no allocation per
 * message. On request it takes a real server's time: a journal that commits groups of writes, CPU
 * time for each command and document, TLS. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "bench/clock.h"
#include "bench/listen.h"
#include "bench/nulloptions.h"
#include "bench/nullreply.h"
#include "bench/stream.h"
#include "wire/header.h"

#define READ_BYTES     ((size_t)256 * 1024)
#define EVENTS_A_TURN  512
#define OUT_KEEP_BYTES ((size_t)1024 * 1024)

enum connection_state {
    CONNECTION_SHAKING, /* TLS */
    CONNECTION_READING,
    CONNECTION_WRITING, /* `out` waits for the socket */
    CONNECTION_PARKED,  /* `out` waits for its time in a list */
    CONNECTION_CLOSED   /* was closed while parked; freed when its turn comes */
};

struct connection {
    struct stream stream;
    uint32_t watched; /* epoll events */
    enum connection_state state;
    struct bench_buffer in;  /* the start of a message that is not complete yet */
    struct bench_buffer out; /* from out_sent on: unsent bytes */
    size_t out_sent;
    uint64_t due_ns;
    struct connection *next_parked;
};

/* Connections whose replies wait, in the order in which their requests came. */
struct parked {
    struct connection *first;
    struct connection *last;
};

struct server {
    int epoll_fd;
    int listen_fd;
    sigset_t waiting_mask;
    const struct null_server_options *options;
    SSL_CTX *tls; /* NULL: plain */
    struct null_replies *replies;
    struct null_counters counters;
    struct bench_buffer out;
    struct parked delayed;  /* the delay is the same for all: the list is in the order of due_ns */
    struct parked journal;  /* all of them wait for the next commit */
    uint64_t commit_due_ns; /* of the next commit, if the journal has writes */
    uint64_t random;
    uint8_t scratch[READ_BYTES];
};

static volatile sig_atomic_t stopped;

static void on_stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static void connection_watch(struct server *server, struct connection *connection, uint32_t events)
{
    if (connection->watched == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, connection->stream.fd, &event);
    connection->watched = events;
}

static void connection_free(struct connection *connection)
{
    bench_buffer_free(&connection->in);
    bench_buffer_free(&connection->out);
    memory_free(connection);
}

static void connection_close(struct server *server, struct connection *connection)
{
    server->counters.open--;
    stream_close(&connection->stream);
    if (connection->state == CONNECTION_PARKED)
        connection->state = CONNECTION_CLOSED;
    else
        connection_free(connection);
}

/* Sends as much as the socket takes; the rest goes into connection->out. False if the connection
 * broke. */
static bool send_or_keep(struct server *server, struct connection *connection, const uint8_t *data,
                         size_t len)
{
    ssize_t sent = stream_send(&connection->stream, data, len);
    if (sent < 0 && errno != EAGAIN)
        return false;
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == len)
        return true;
    if (!bench_buffer_append(&connection->out, data + done, len - done))
        return false;
    connection->state = CONNECTION_WRITING;
    connection_watch(server, connection, EPOLLOUT);
    return true;
}

/* The reply in server->out waits in the list. */
static bool park(struct server *server, struct parked *list, struct connection *connection)
{
    if (!bench_buffer_append(&connection->out, server->out.data, server->out.len))
        return false;
    server->out.len = 0;
    connection->state = CONNECTION_PARKED;
    connection->next_parked = NULL;
    if (list->first == NULL)
        list->first = connection;
    else
        list->last->next_parked = connection;
    list->last = connection;
    return true;
}

static bool delay(struct server *server, struct connection *connection)
{
    connection->due_ns = clock_now_ns() + server->options->delay_ns;
    return park(server, &server->delayed, connection);
}

/* A commit comes that long after the first write that waits for it. */
static uint64_t commit_interval_ns(struct server *server)
{
    const struct null_server_options *options = server->options;
    server->random ^= server->random << 13; /* xorshift64 */
    server->random ^= server->random >> 7;
    server->random ^= server->random << 17;
    uint64_t range = options->commit_most_ns - options->commit_least_ns + 1;
    return options->commit_least_ns + server->random % range;
}

static bool await_commit(struct server *server, struct connection *connection)
{
    if (server->journal.first == NULL)
        server->commit_due_ns = clock_now_ns() + commit_interval_ns(server);
    server->counters.waited++;
    return park(server, &server->journal, connection);
}

/* Uses as much CPU time as the options give to such a request. */
static void spend(const struct null_server_options *options, const struct null_asked *asked)
{
    const double *cost = options->cpu_us;
    double us = cost[NULL_COST_COMMAND] + cost[NULL_COST_DOCUMENT] * asked->documents;
    if (asked->retryable)
        us += cost[NULL_COST_RETRYABLE] + cost[NULL_COST_STATEMENT] * asked->documents;
    if (asked->durable)
        us += cost[NULL_COST_DURABLE];
    uint64_t end = clock_cpu_ns() + (uint64_t)(us * 1000);
    while (clock_cpu_ns() < end)
        ;
}

static bool flush(struct server *server, struct connection *connection)
{
    if (server->out.len == 0)
        return true;
    bool alive = send_or_keep(server, connection, server->out.data, server->out.len);
    server->out.len = 0;
    return alive;
}

/* The reply in server->out is sent, or it waits. Returns false if the connection must close. */
static bool settle(struct server *server, struct connection *connection, enum null_verdict verdict,
                   const struct null_asked *asked)
{
    const struct null_server_options *options = server->options;
    if (verdict == NULL_BROKEN)
        return false;
    if (asked->insert && options->costs)
        spend(options, asked);
    if (verdict == NULL_ANSWERED && asked->durable && options->commit_most_ns > 0)
        return await_commit(server, connection);
    if (verdict == NULL_ANSWERED && options->delay_ns > 0 && !asked->handshake)
        return delay(server, connection);
    bool now = options->delay_ns > 0 || options->costs || server->out.len >= OUT_KEEP_BYTES;
    return !now || flush(server, connection);
}

/* Answers the whole messages in `data`, as long as the connection may continue; *used counts the
 * consumed bytes. False: the connection must close. */
static bool answer_messages(struct server *server, struct connection *connection, struct bytes data,
                            size_t *used)
{
    const uint8_t *start = data.pos;
    server->out.len = 0;
    while (connection->state == CONNECTION_READING && bytes_left(&data) >= WIRE_HEADER_BYTES) {
        struct wire_header header = wire_header_read(data.pos);
        struct bytes message;
        struct null_asked asked;
        if (!wire_header_check(&header, NULL_MAX_MESSAGE_BYTES, NULL))
            return false;
        if (!bytes_take(&data, (size_t)header.length, &message))
            break;
        enum null_verdict verdict =
            null_answer(server->replies, message, &server->counters, &server->out, &asked);
        if (!settle(server, connection, verdict, &asked))
            return false;
    }
    *used = (size_t)(data.pos - start);
    return flush(server, connection);
}

/* An incomplete message waits in connection->in. */
static bool process(struct server *server, struct connection *connection, size_t received)
{
    size_t used = 0;
    struct bench_buffer *in = &connection->in;
    if (in->len == 0 && received > 0) {
        if (!answer_messages(server, connection, bytes_of(server->scratch, received), &used))
            return false;
        return used == received || bench_buffer_append(in, server->scratch + used, received - used);
    }
    if (!answer_messages(server, connection, bytes_of(in->data, in->len), &used))
        return false;
    bench_buffer_drop(in, used);
    return true;
}

/* The place for the next bytes: behind the received part of a message, or the scratch buffer. */
static ssize_t receive(struct server *server, struct connection *connection)
{
    struct bench_buffer *in = &connection->in;
    if (in->len == 0)
        return stream_recv(&connection->stream, server->scratch, sizeof server->scratch);
    size_t want = READ_BYTES;
    if (in->len >= WIRE_HEADER_BYTES) {
        size_t whole = (size_t)wire_header_read(in->data).length;
        want = whole > in->len ? whole - in->len : want;
    }
    if (!bench_buffer_reserve(in, want))
        return 0;
    ssize_t got = stream_recv(&connection->stream, in->data + in->len, want);
    if (got > 0)
        in->len += (size_t)got;
    return got;
}

/* Receives and answers what is there. Returns false if the connection must close. */
static bool serve_connection(struct server *server, struct connection *connection)
{
    do {
        bool fresh = connection->in.len == 0;
        ssize_t got = receive(server, connection);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (got <= 0 || !process(server, connection, fresh ? (size_t)got : 0))
            return false;
    } while (connection->state == CONNECTION_READING && stream_has_more(&connection->stream));
    return true;
}

/* All of `out` was sent, or its delay is over: continues with the bytes received since then. */
static bool resume(struct server *server, struct connection *connection)
{
    connection->out.len = 0;
    connection->out_sent = 0;
    connection->state = CONNECTION_READING;
    connection_watch(server, connection, EPOLLIN);
    if (connection->in.len > 0 && !process(server, connection, 0))
        return false;
    return connection->state != CONNECTION_READING || !stream_has_more(&connection->stream) ||
           serve_connection(server, connection);
}

static bool send_rest(struct server *server, struct connection *connection)
{
    struct bench_buffer *out = &connection->out;
    size_t left = out->len - connection->out_sent;
    ssize_t sent = stream_send(&connection->stream, out->data + connection->out_sent, left);
    if (sent < 0 && errno != EAGAIN)
        return false;
    if (sent > 0)
        connection->out_sent += (size_t)sent;
    if (connection->out_sent == out->len)
        return resume(server, connection);
    connection->state = CONNECTION_WRITING;
    connection_watch(server, connection, EPOLLOUT);
    return true;
}

/* Sends the reply of a connection that was parked. */
static void release(struct server *server, struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSED) {
        connection_free(connection);
        return;
    }
    connection->state = CONNECTION_READING;
    if (!send_rest(server, connection))
        connection_close(server, connection);
}

static void send_delayed(struct server *server, uint64_t now)
{
    while (server->delayed.first != NULL && server->delayed.first->due_ns <= now) {
        struct connection *connection = server->delayed.first;
        server->delayed.first = connection->next_parked;
        release(server, connection);
    }
}

/* Writes that come while the replies are sent wait for the next commit. */
static void commit(struct server *server)
{
    struct connection *connection = server->journal.first;
    server->journal = (struct parked){0};
    server->counters.commits++;
    while (connection != NULL) {
        struct connection *next = connection->next_parked;
        release(server, connection);
        connection = next;
    }
}

static void send_due(struct server *server)
{
    if (server->delayed.first == NULL && server->journal.first == NULL)
        return;
    uint64_t now = clock_now_ns();
    send_delayed(server, now);
    if (server->journal.first != NULL && server->commit_due_ns <= now)
        commit(server);
}

static void accept_all(struct server *server)
{
    for (;;) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                fprintf(stderr, "nullserver: accept: %s\n", strerror(errno));
            return;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *connection = memory_zalloc(sizeof *connection);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (connection == NULL || epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            memory_free(connection);
            close(fd);
            continue;
        }
        connection->stream.fd = fd;
        connection->watched = EPOLLIN;
        connection->state = server->tls != NULL ? CONNECTION_SHAKING : CONNECTION_READING;
        server->counters.opened++;
        server->counters.open++;
        if (server->tls != NULL && !stream_begin_tls(&connection->stream, server->tls))
            connection_close(server, connection);
    }
}

static bool shake(struct server *server, struct connection *connection)
{
    bool wants_write = false;
    int done = stream_shake(&connection->stream, &wants_write);
    if (done < 0)
        return false;
    connection_watch(server, connection, wants_write ? EPOLLOUT : EPOLLIN);
    if (done == 0)
        return true;
    connection->state = CONNECTION_READING;
    return !stream_has_more(&connection->stream) || serve_connection(server, connection);
}

static bool connection_on_event(struct server *server, struct connection *connection,
                                uint32_t events)
{
    if (events & EPOLLERR || (events & EPOLLHUP && !(events & EPOLLIN && connection->watched)))
        return false;
    switch (connection->state) {
    case CONNECTION_SHAKING:
        return shake(server, connection);
    case CONNECTION_WRITING:
        return !(events & EPOLLOUT) || send_rest(server, connection);
    case CONNECTION_PARKED:
        connection_watch(server, connection, 0);
        return true;
    default:
        return serve_connection(server, connection);
    }
}

static void on_event(struct server *server, const struct epoll_event *event)
{
    struct connection *connection = event->data.ptr;
    if (connection == NULL)
        accept_all(server);
    else if (!connection_on_event(server, connection, event->events))
        connection_close(server, connection);
}

/* TERM and INT are blocked everywhere else, so one that comes just before the wait ends it too. */
static int wait_events(const struct server *server, struct epoll_event *events)
{
    const sigset_t *mask = &server->waiting_mask;
    uint64_t due = UINT64_MAX;
    if (server->delayed.first != NULL)
        due = server->delayed.first->due_ns;
    if (server->journal.first != NULL && server->commit_due_ns < due)
        due = server->commit_due_ns;
    if (due == UINT64_MAX)
        return epoll_pwait2(server->epoll_fd, events, EVENTS_A_TURN, NULL, mask);
    uint64_t now = clock_now_ns();
    uint64_t left = due > now ? due - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / CLOCK_NS_A_SECOND),
                               .tv_nsec = (long)(left % CLOCK_NS_A_SECOND)};
    return epoll_pwait2(server->epoll_fd, events, EVENTS_A_TURN, &timeout, mask);
}

static void serve(struct server *server)
{
    static struct epoll_event events[EVENTS_A_TURN];
    while (!stopped) {
        int count = wait_events(server, events);
        for (int i = 0; i < count; i++) {
            on_event(server, &events[i]);
            send_due(server); /* a commit does not wait for the CPU time of a whole turn */
        }
        send_due(server);
    }
}

static bool listen_on(struct server *server, const char *host, uint16_t port,
                      char address[LISTEN_ADDRESS_BYTES])
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->listen_fd = listen_open(host, port, address);
    if (server->listen_fd < 0)
        return false;
    if (server->epoll_fd >= 0 &&
        epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->listen_fd, &event) == 0)
        return true;
    fprintf(stderr, "nullserver: epoll: %s\n", strerror(errno));
    return false;
}

static void print_counters(const struct null_counters *counters)
{
    printf("{\"messages\": %llu, \"inserts\": %llu, \"documents\": %llu, \"finds\": %llu, "
           "\"waited\": %llu, \"commits\": %llu}\n",
           (unsigned long long)counters->messages, (unsigned long long)counters->inserts,
           (unsigned long long)counters->documents, (unsigned long long)counters->finds,
           (unsigned long long)counters->waited, (unsigned long long)counters->commits);
}

static void prepare_process(sigset_t *waiting_mask)
{
    sigset_t stops;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigprocmask(SIG_BLOCK, &stops, waiting_mask);
    sigdelset(waiting_mask, SIGTERM);
    sigdelset(waiting_mask, SIGINT);
}

int main(int argc, char **argv)
{
    static struct server server;
    static struct null_server_options options;
    static char address[LISTEN_ADDRESS_BYTES];
    if (!null_server_options_read(argc, argv, &options))
        return 2;
    prepare_process(&server.waiting_mask);
    server.options = &options;
    server.random = UINT64_C(0x9e3779b97f4a7c15);
    if (options.certificate_file != NULL) {
        server.tls = stream_make_server_context(options.certificate_file);
        if (server.tls == NULL) {
            fprintf(stderr, "nullserver: '%s' does not hold a certificate and its key, in PEM\n",
                    options.certificate_file);
            return 1;
        }
    }
    if (!listen_on(&server, options.host, options.port, address))
        return 1;
    options.replies.address = address;
    server.replies = null_replies_make(&options.replies);
    if (server.replies == NULL) {
        fprintf(stderr, "nullserver: a find's reply would be over %d bytes, or memory is out\n",
                NULL_MAX_MESSAGE_BYTES / 2);
        return 1;
    }
    printf("listening on %s\n", address);
    fflush(stdout);
    serve(&server);
    print_counters(&server.counters);
    null_replies_free(server.replies);
    bench_buffer_free(&server.out);
    SSL_CTX_free(server.tls);
    return 0;
}
