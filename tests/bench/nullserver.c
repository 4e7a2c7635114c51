/* The null upstream: a MongoDB server that answers hello, ping, insert, find and so on, and stores
 * nothing. Benchmarks put it behind a proxy to measure the proxy's own cost, so it does as little
 * as possible: one thread, one recv and one send for the content of a socket, no allocation per
 * message. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "bench/clock.h"
#include "bench/nullreply.h"
#include "wire/header.h"

#define READ_BYTES     ((size_t)256 * 1024)
#define EVENTS_A_TURN  512
#define ADDRESS_BYTES  64
#define BACKLOG        4096
#define OUT_KEEP_BYTES ((size_t)1024 * 1024)

enum connection_state {
    CONNECTION_READING,
    CONNECTION_WRITING, /* `out` waits for the socket */
    CONNECTION_DELAYED, /* `out` waits for `due` */
    CONNECTION_CLOSED   /* was closed while delayed; freed when its turn comes */
};

struct connection {
    int fd;
    uint32_t watched; /* epoll events */
    enum connection_state state;
    struct bench_buffer in;  /* the start of a message that is not complete yet */
    struct bench_buffer out; /* from out_sent on: unsent bytes */
    size_t out_sent;
    uint64_t due_ns;
    struct connection *next_due;
};

struct server {
    int epoll_fd;
    int listen_fd;
    sigset_t waiting_mask;
    uint64_t delay_ns;
    struct null_replies *replies;
    struct null_counters counters;
    struct bench_buffer out;
    struct connection *first_due; /* the delay is the same for all: the list is in order */
    struct connection *last_due;
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
    epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
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
    close(connection->fd);
    if (connection->state == CONNECTION_DELAYED)
        connection->state = CONNECTION_CLOSED;
    else
        connection_free(connection);
}

/* Sends as much as the socket takes; the rest goes into connection->out. False if the connection
 * broke. */
static bool send_or_keep(struct server *server, struct connection *connection, const uint8_t *data,
                         size_t len)
{
    ssize_t sent = send(connection->fd, data, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
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

static bool delay(struct server *server, struct connection *connection)
{
    if (!bench_buffer_append(&connection->out, server->out.data, server->out.len))
        return false;
    connection->state = CONNECTION_DELAYED;
    connection->due_ns = clock_now_ns() + server->delay_ns;
    connection->next_due = NULL;
    if (server->first_due == NULL)
        server->first_due = connection;
    else
        server->last_due->next_due = connection;
    server->last_due = connection;
    return true;
}

static bool flush(struct server *server, struct connection *connection)
{
    if (server->out.len == 0)
        return true;
    bool alive = send_or_keep(server, connection, server->out.data, server->out.len);
    server->out.len = 0;
    return alive;
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
        bool handshake = false;
        if (!wire_header_check(&header, NULL_MAX_MESSAGE_BYTES, NULL))
            return false;
        if (!bytes_take(&data, (size_t)header.length, &message))
            break;
        enum null_verdict verdict =
            null_answer(server->replies, message, &server->counters, &server->out, &handshake);
        bool alive = verdict != NULL_BROKEN;
        if (verdict == NULL_ANSWERED && server->delay_ns > 0 && !handshake) {
            alive = delay(server, connection);
            server->out.len = 0;
        } else if (alive && (server->out.len >= OUT_KEEP_BYTES || server->delay_ns > 0)) {
            alive = flush(server, connection);
        }
        if (!alive)
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
        return recv(connection->fd, server->scratch, sizeof server->scratch, 0);
    size_t want = READ_BYTES;
    if (in->len >= WIRE_HEADER_BYTES) {
        size_t whole = (size_t)wire_header_read(in->data).length;
        want = whole > in->len ? whole - in->len : want;
    }
    if (!bench_buffer_reserve(in, want))
        return 0;
    ssize_t got = recv(connection->fd, in->data + in->len, want, 0);
    if (got > 0)
        in->len += (size_t)got;
    return got;
}

static void on_readable(struct server *server, struct connection *connection)
{
    if (connection->state == CONNECTION_DELAYED) {
        connection_watch(server, connection, 0);
        return;
    }
    bool fresh = connection->in.len == 0;
    ssize_t got = receive(server, connection);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || !process(server, connection, fresh ? (size_t)got : 0))
        connection_close(server, connection);
}

/* All of `out` was sent, or its delay is over: continues with the bytes received since then. */
static bool resume(struct server *server, struct connection *connection)
{
    connection->out.len = 0;
    connection->out_sent = 0;
    connection->state = CONNECTION_READING;
    connection_watch(server, connection, EPOLLIN);
    return connection->in.len == 0 || process(server, connection, 0);
}

static bool send_rest(struct server *server, struct connection *connection)
{
    struct bench_buffer *out = &connection->out;
    size_t left = out->len - connection->out_sent;
    ssize_t sent = send(connection->fd, out->data + connection->out_sent, left, MSG_NOSIGNAL);
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

static void send_due(struct server *server)
{
    if (server->first_due == NULL)
        return;
    uint64_t now = clock_now_ns();
    while (server->first_due != NULL && server->first_due->due_ns <= now) {
        struct connection *connection = server->first_due;
        server->first_due = connection->next_due;
        if (connection->state == CONNECTION_CLOSED) {
            connection_free(connection);
            continue;
        }
        connection->state = CONNECTION_READING;
        if (!send_rest(server, connection))
            connection_close(server, connection);
    }
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
        connection->fd = fd;
        connection->watched = EPOLLIN;
        server->counters.opened++;
        server->counters.open++;
    }
}

static void on_event(struct server *server, const struct epoll_event *event)
{
    struct connection *connection = event->data.ptr;
    if (connection == NULL)
        accept_all(server);
    else if (event->events & EPOLLERR ||
             (event->events & EPOLLHUP && !(event->events & EPOLLIN && connection->watched)))
        connection_close(server, connection);
    else if (event->events & EPOLLOUT && connection->state == CONNECTION_WRITING) {
        if (!send_rest(server, connection))
            connection_close(server, connection);
    } else
        on_readable(server, connection);
}

/* TERM and INT are blocked everywhere else, so one that comes just before the wait ends it too. */
static int wait_events(const struct server *server, struct epoll_event *events)
{
    const sigset_t *mask = &server->waiting_mask;
    if (server->first_due == NULL)
        return epoll_pwait2(server->epoll_fd, events, EVENTS_A_TURN, NULL, mask);
    uint64_t now = clock_now_ns();
    uint64_t due = server->first_due->due_ns;
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
        for (int i = 0; i < count; i++)
            on_event(server, &events[i]);
        send_due(server);
    }
}

static bool listen_on(struct server *server, const char *host, uint16_t port,
                      char address[ADDRESS_BYTES])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof at;
    int on = 1;
    if (inet_pton(AF_INET, host, &at.sin_addr) != 1) {
        fprintf(stderr, "nullserver: --host '%s' is not an IPv4 address\n", host);
        return false;
    }
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (server->listen_fd < 0 || server->epoll_fd < 0 ||
        setsockopt(server->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(server->listen_fd, (struct sockaddr *)&at, len) != 0 ||
        listen(server->listen_fd, BACKLOG) != 0 ||
        getsockname(server->listen_fd, (struct sockaddr *)&at, &len) != 0 ||
        epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->listen_fd, &event) != 0) {
        fprintf(stderr, "nullserver: cannot listen on %s:%u: %s\n", host, port, strerror(errno));
        return false;
    }
    snprintf(address, ADDRESS_BYTES, "%s:%u", host, ntohs(at.sin_port));
    return true;
}

struct arguments {
    const char *host;
    uint16_t port;
    uint64_t delay_us;
    struct null_options replies;
};

static const char usage[] =
    "nullserver [--host 127.0.0.1] [--port 0] [--replica-set NAME] [--delay-us N]\n"
    "           [--find-documents N] [--document-bytes N]\n"
    "Acknowledges every command and stores nothing. Port 0 takes a free port; the first line of\n"
    "the output names the address. On TERM it prints its counters, as JSON.\n";

static bool read_number(const char *text, long max, long *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *out >= 0 && *out <= max)
        return true;
    fprintf(stderr, "nullserver: '%s' is not a number from 0 to %ld\n", text, max);
    return false;
}

static bool read_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {{"host", required_argument, NULL, 'h'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"replica-set", required_argument, NULL, 'r'},
                                            {"delay-us", required_argument, NULL, 'd'},
                                            {"find-documents", required_argument, NULL, 'n'},
                                            {"document-bytes", required_argument, NULL, 'b'},
                                            {"help", no_argument, NULL, '?'},
                                            {NULL, 0, NULL, 0}};
    int option = 0;
    long number = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool ok = true;
        switch (option) {
        case 'h':
            arguments->host = optarg;
            break;
        case 'p':
            ok = read_number(optarg, UINT16_MAX, &number);
            arguments->port = (uint16_t)number;
            break;
        case 'r':
            arguments->replies.replica_set = optarg;
            break;
        case 'd':
            ok = read_number(optarg, 60000000, &number);
            arguments->delay_us = (uint64_t)number;
            break;
        case 'n':
            ok = read_number(optarg, 1000000, &number);
            arguments->replies.find_documents = (int32_t)number;
            break;
        case 'b':
            ok = read_number(optarg, 16777216, &number);
            arguments->replies.document_bytes = (size_t)number;
            break;
        default:
            ok = false;
            fputs(usage, stderr);
            break;
        }
        if (!ok)
            return false;
    }
    return optind == argc;
}

static void print_counters(const struct null_counters *counters)
{
    printf("{\"messages\": %llu, \"inserts\": %llu, \"documents\": %llu, \"finds\": %llu}\n",
           (unsigned long long)counters->messages, (unsigned long long)counters->inserts,
           (unsigned long long)counters->documents, (unsigned long long)counters->finds);
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
    char address[ADDRESS_BYTES];
    struct arguments arguments = {.host = "127.0.0.1", .replies = {.find_documents = 1}};
    if (!read_arguments(argc, argv, &arguments))
        return 2;
    prepare_process(&server.waiting_mask);
    if (!listen_on(&server, arguments.host, arguments.port, address))
        return 1;
    arguments.replies.address = address;
    server.delay_ns = arguments.delay_us * 1000;
    server.replies = null_replies_make(&arguments.replies);
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
    return 0;
}
