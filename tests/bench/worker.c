#include "bench/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "bench/buffer.h"
#include "bench/clock.h"
#include "wire/header.h"

#define READ_BYTES       (256U * 1024)
#define EVENTS_A_TURN    512
#define MAX_REPLY_BYTES  48000000
#define OPENING_AT_ONCE  256 /* well under any listener's backlog */
#define CONNECT_LIMIT_NS (30 * CLOCK_NS_A_SECOND)
#define LAST_REPLIES_NS  (10 * CLOCK_NS_A_SECOND)

enum link_state {
    LINK_CLOSED,
    LINK_CONNECTING,
    LINK_GREETING, /* its hello is sent */
    LINK_READY,
    LINK_BUSY /* a request is sent */
};

struct link {
    int fd;
    enum link_state state;
    int32_t request_id; /* of the last request */
    int64_t txn_number;
    uint64_t sent_ns;
    size_t out_sent;
    struct buffer in;  /* the start of a reply that is not here as a whole */
    struct buffer out; /* the rest of a request, from out_sent on */
    uint8_t lsid[REQUEST_LSID_BYTES];
};

struct worker {
    struct worker_options options;
    struct worker_result *result; /* borrowed */
    struct request hello;
    struct request request;
    struct link *links;
    int epoll_fd;
    size_t opened; /* links that were tried so far */
    size_t opening;
    size_t ready;
    size_t busy;
    bool running;
    uint64_t count_from_ns;
    uint64_t end_ns;
    uint64_t started; /* operations */
    uint64_t documents;
    struct epoll_event events[EVENTS_A_TURN];
    uint8_t scratch[READ_BYTES];
};

static void worker_explain(struct worker *worker, const char *what, const char *why)
{
    if (worker->result->reason[0] == '\0')
        snprintf(worker->result->reason, WORKER_REASON_BYTES, "%s: %s", what, why);
}

static void link_close(struct worker *worker, struct link *link)
{
    if (link->state == LINK_CONNECTING || link->state == LINK_GREETING)
        worker->opening--;
    else
        worker->ready--;
    if (link->state == LINK_BUSY)
        worker->busy--;
    link->state = LINK_CLOSED;
    close(link->fd);
    buffer_free(&link->in);
    buffer_free(&link->out);
}

static void link_lost(struct worker *worker, struct link *link, const char *what, int error)
{
    if (link->state == LINK_BUSY || link->state == LINK_READY) {
        worker->result->lost_connections++;
        worker->result->errors += link->state == LINK_BUSY;
    }
    worker_explain(worker, what, error == 0 ? "closed by the other side" : strerror(error));
    link_close(worker, link);
}

static void link_watch(struct worker *worker, struct link *link, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = link};
    epoll_ctl(worker->epoll_fd, operation, link->fd, &event);
}

static void link_send(struct worker *worker, struct link *link, struct request *request)
{
    const struct request_stamp stamp = {.request_id = ++link->request_id,
                                        .first_document =
                                            worker->options.first_number + worker->documents,
                                        .lsid = link->lsid,
                                        .txn_number = ++link->txn_number};
    worker->documents += (uint64_t)request->documents;
    request_set(request, &stamp);
    link->sent_ns = clock_now_ns();
    ssize_t sent = send(link->fd, request->bytes, request->len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        link_lost(worker, link, "send", errno);
        return;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == request->len)
        return;
    link->out_sent = 0;
    link->out.len = 0;
    if (!buffer_append(&link->out, request->bytes + done, request->len - done))
        link_lost(worker, link, "send", ENOMEM);
    else
        link_watch(worker, link, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void link_send_rest(struct worker *worker, struct link *link)
{
    size_t left = link->out.len - link->out_sent;
    ssize_t sent = send(link->fd, link->out.data + link->out_sent, left, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        link_lost(worker, link, "send", errno);
        return;
    }
    link->out_sent += sent > 0 ? (size_t)sent : 0;
    if (link->out_sent == link->out.len) {
        link->out.len = 0;
        link->out_sent = 0;
        link_watch(worker, link, EPOLL_CTL_MOD, EPOLLIN);
    }
}

/* Sends the link's next request, unless the load is over. */
static void link_start(struct worker *worker, struct link *link)
{
    const struct worker_options *options = &worker->options;
    if (!worker->running || (options->operations > 0 && worker->started >= options->operations))
        return;
    worker->started++;
    worker->busy++;
    link->state = LINK_BUSY;
    link_send(worker, link, &worker->request);
}

static void link_open(struct worker *worker, struct link *link)
{
    const struct worker_options *options = &worker->options;
    int on = 1;
    link->fd = socket(options->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0) {
        worker_explain(worker, "socket", strerror(errno));
        return;
    }
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (getrandom(link->lsid, sizeof link->lsid, 0) != (ssize_t)sizeof link->lsid)
        worker_explain(worker, "getrandom", strerror(errno));
    link->state = LINK_CONNECTING;
    worker->opening++;
    if (connect(link->fd, (const struct sockaddr *)&options->address, options->address_len) != 0 &&
        errno != EINPROGRESS)
        link_lost(worker, link, "connect", errno);
    else
        link_watch(worker, link, EPOLL_CTL_ADD, EPOLLOUT);
}

static void link_on_connected(struct worker *worker, struct link *link)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        link_lost(worker, link, "connect", error);
        return;
    }
    link_watch(worker, link, EPOLL_CTL_MOD, EPOLLIN);
    link->state = LINK_GREETING;
    link_send(worker, link, &worker->hello);
}

static void link_on_reply(struct worker *worker, struct link *link, struct bytes message)
{
    char reason[WORKER_REASON_BYTES - 16]; /* worker_explain puts a word in front */
    int32_t documents = link->state == LINK_BUSY ? worker->request.documents : 0;
    uint64_t now = clock_now_ns();
    enum reply_verdict verdict =
        reply_check(message, link->request_id, documents, reason, sizeof reason);
    if (verdict == REPLY_BROKEN || (verdict == REPLY_ERROR && link->state == LINK_GREETING)) {
        worker_explain(worker, link->state == LINK_GREETING ? "hello" : "reply", reason);
        link_lost(worker, link, "reply", EPROTO);
        return;
    }
    if (link->state == LINK_GREETING) {
        link->state = LINK_READY;
        worker->opening--;
        worker->ready++;
        return;
    }
    link->state = LINK_READY;
    worker->busy--;
    if (verdict == REPLY_ERROR) {
        worker->result->errors++;
        worker_explain(worker, "command", reason);
    } else if (link->sent_ns >= worker->count_from_ns && worker->running) {
        histogram_record(&worker->result->latencies, now - link->sent_ns);
    }
    if (worker->options.operations == 0 && now >= worker->end_ns)
        worker->running = false;
    link_start(worker, link);
}

/* *whole: the reply that `data` begins with is all there. False when it cannot be one. */
static bool reply_is_whole(struct bytes data, struct bytes *message, bool *whole)
{
    *whole = false;
    if (bytes_left(&data) < WIRE_HEADER_BYTES)
        return true;
    struct wire_header header = wire_header_read(data.pos);
    if (!wire_header_check(&header, MAX_REPLY_BYTES, NULL))
        return false;
    *whole = bytes_take(&data, (size_t)header.length, message);
    /* A link has one request at a time, so nothing may follow its reply. */
    return !*whole || bytes_left(&data) == 0;
}

static void link_on_readable(struct worker *worker, struct link *link)
{
    ssize_t got = recv(link->fd, worker->scratch, sizeof worker->scratch, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        link_lost(worker, link, "recv", got < 0 ? errno : 0);
        return;
    }
    struct bytes data = bytes_of(worker->scratch, (size_t)got);
    bool gathered = link->in.len > 0;
    if (gathered) {
        if (!buffer_append(&link->in, data.pos, bytes_left(&data))) {
            link_lost(worker, link, "recv", ENOMEM);
            return;
        }
        data = bytes_of(link->in.data, link->in.len);
    }
    struct bytes message;
    bool whole = false;
    if (link->state == LINK_READY || !reply_is_whole(data, &message, &whole)) {
        link_lost(worker, link, "unexpected bytes", EPROTO);
        return;
    }
    if (whole) {
        link->in.len = 0;
        link_on_reply(worker, link, message);
    } else if (!gathered && !buffer_append(&link->in, data.pos, bytes_left(&data))) {
        link_lost(worker, link, "recv", ENOMEM);
    }
}

static void link_on_event(struct worker *worker, struct link *link, uint32_t events)
{
    if (link->state == LINK_CONNECTING) {
        link_on_connected(worker, link);
        return;
    }
    if (events & EPOLLOUT && link->out.len > 0)
        link_send_rest(worker, link);
    if (link->state != LINK_CLOSED && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        link_on_readable(worker, link);
}

/* One turn of the loop, which waits until `until_ns` at the longest. */
static void worker_turn(struct worker *worker, uint64_t until_ns)
{
    uint64_t now = clock_now_ns();
    uint64_t left_ms = until_ns > now ? (until_ns - now) / 1000000 + 1 : 0;
    int timeout = left_ms > 1000 ? 1000 : (int)left_ms;
    int count = epoll_wait(worker->epoll_fd, worker->events, EVENTS_A_TURN, timeout);
    for (int i = 0; i < count; i++)
        link_on_event(worker, worker->events[i].data.ptr, worker->events[i].events);
}

struct worker *worker_make(const struct worker_options *options, struct worker_result *result)
{
    const struct request_options hello = {.command = REQUEST_HELLO};
    struct worker *worker = memory_zalloc(sizeof *worker);
    if (worker == NULL)
        return NULL;
    memset(result, 0, sizeof *result);
    worker->options = *options;
    worker->result = result;
    worker->links = memory_array(options->connections, sizeof *worker->links);
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (worker->links != NULL && worker->epoll_fd >= 0 && request_make(&hello, &worker->hello) &&
        request_make(&options->request, &worker->request))
        return worker;
    worker_free(worker);
    return NULL;
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    for (size_t i = 0; worker->links != NULL && i < worker->options.connections; i++)
        if (worker->links[i].state != LINK_CLOSED)
            link_close(worker, &worker->links[i]);
    if (worker->epoll_fd >= 0)
        close(worker->epoll_fd);
    request_free(&worker->hello);
    request_free(&worker->request);
    memory_free(worker->links);
    memory_free(worker);
}

size_t worker_connect(struct worker *worker)
{
    uint64_t limit = clock_now_ns() + CONNECT_LIMIT_NS;
    while (clock_now_ns() < limit) {
        while (worker->opened < worker->options.connections && worker->opening < OPENING_AT_ONCE)
            link_open(worker, &worker->links[worker->opened++]);
        if (worker->opening == 0)
            break;
        worker_turn(worker, limit);
    }
    if (worker->opening > 0)
        worker_explain(worker, "hello", "no answer in 30 seconds");
    return worker->ready;
}

void worker_run(struct worker *worker)
{
    const struct worker_options *options = &worker->options;
    uint64_t start = clock_now_ns();
    worker->running = true;
    worker->count_from_ns = start + options->warmup_ns;
    worker->end_ns = worker->count_from_ns + options->run_ns;
    for (size_t i = 0; i < options->connections; i++)
        if (worker->links[i].state == LINK_READY)
            link_start(worker, &worker->links[i]);
    while (worker->running && worker->busy > 0) {
        worker_turn(worker, worker->end_ns);
        if (options->operations == 0 && clock_now_ns() >= worker->end_ns)
            worker->running = false;
    }
    uint64_t end = clock_now_ns();
    worker->running = false;
    if (end > worker->count_from_ns)
        worker->result->elapsed_ns = end - worker->count_from_ns;
    while (worker->busy > 0 && clock_now_ns() < end + LAST_REPLIES_NS)
        worker_turn(worker, end + LAST_REPLIES_NS);
    if (worker->busy > 0) {
        worker_explain(worker, "reply", "none within 10 seconds after the end");
        worker->result->errors += worker->busy;
    }
}

size_t worker_hold(struct worker *worker, uint64_t hold_ns)
{
    uint64_t end = clock_now_ns() + hold_ns;
    while (clock_now_ns() < end)
        worker_turn(worker, end);
    return worker->ready;
}
