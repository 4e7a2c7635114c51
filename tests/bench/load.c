#include "bench/load_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "bench/buffer.h"
#include "bench/clock.h"
#include "bench/packed.h"
#include "bench/stream.h"
#include "wire/compressed.h"
#include "wire/header.h"

#define MAX_REPLY_BYTES  48000000
#define OPENING_AT_ONCE  256 /* well below any listener's backlog */
#define CONNECT_LIMIT_NS (30 * CLOCK_NS_A_SECOND)

void load_explain(struct load *load, const char *what, const char *why)
{
    if (load->result->reason[0] == '\0')
        snprintf(load->result->reason, LOAD_REASON_BYTES, "%s: %s", what, why);
}

static void client_close(struct load *load, struct client *client)
{
    if (client->state < CLIENT_READY)
        load->opening--;
    else
        load->ready--;
    if (client->state == CLIENT_BUSY)
        load->busy--;
    client->state = CLIENT_CLOSED;
    stream_close(&client->stream);
    bench_buffer_free(&client->in);
    bench_buffer_free(&client->out);
}

static void client_lost(struct load *load, struct client *client, const char *what, int error)
{
    if (client->state == CLIENT_BUSY || client->state == CLIENT_READY) {
        load->result->lost_connections++;
        load->result->errors += client->state == CLIENT_BUSY;
    }
    load_explain(load, what, error == 0 ? "closed by the other side" : strerror(error));
    client_close(load, client);
}

static void client_watch(struct load *load, struct client *client, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    epoll_ctl(load->epoll_fd, operation, client->stream.fd, &event);
}

/* Sends as much as the socket takes; the rest waits in client->out. */
static void client_write(struct load *load, struct client *client, const uint8_t *data, size_t len)
{
    ssize_t sent = stream_send(&client->stream, data, len);
    if (sent < 0 && errno != EAGAIN) {
        client_lost(load, client, "send", errno);
        return;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == len)
        return;
    client->out_sent = 0;
    client->out.len = 0;
    if (!bench_buffer_append(&client->out, data + done, len - done))
        client_lost(load, client, "send", ENOMEM);
    else
        client_watch(load, client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void client_send(struct load *load, struct client *client, struct request *request)
{
    const struct request_stamp stamp = {.request_id = ++client->request_id,
                                        .first_document =
                                            load->options.first_number + load->documents,
                                        .lsid = client->lsid,
                                        .txn_number = ++client->txn_number};
    load->documents += (uint64_t)request->documents;
    request_set(request, &stamp);
    client->sent_ns = clock_now_ns();
    uint8_t *packed = NULL;
    size_t packed_len = 0;
    if (load->options.compressor == WIRE_COMPRESSOR_NOOP || request == &load->hello)
        client_write(load, client, request->bytes, request->len);
    else if (wire_compressed_write(load->options.compressor, request->bytes, request->len, &packed,
                                   &packed_len))
        client_write(load, client, packed, packed_len);
    else
        client_lost(load, client, "compress", ENOMEM);
    memory_free(packed);
}

static void client_send_rest(struct load *load, struct client *client)
{
    size_t left = client->out.len - client->out_sent;
    ssize_t sent = stream_send(&client->stream, client->out.data + client->out_sent, left);
    if (sent < 0 && errno != EAGAIN) {
        client_lost(load, client, "send", errno);
        return;
    }
    client->out_sent += sent > 0 ? (size_t)sent : 0;
    if (client->out_sent == client->out.len) {
        client->out.len = 0;
        client->out_sent = 0;
        client_watch(load, client, EPOLL_CTL_MOD, EPOLLIN);
    }
}

void client_start(struct load *load, struct client *client)
{
    const struct load_options *options = &load->options;
    if (!load->running || (options->operations > 0 && load->started >= options->operations))
        return;
    uint64_t due_ns = client->due_ns;
    if (options->pace_ns > 0 && due_ns > clock_now_ns())
        return;
    load->started++;
    load->busy++;
    client->state = CLIENT_BUSY;
    client_send(load, client, &load->request);
    if (options->pace_ns == 0)
        return;
    client->sent_ns = due_ns;
    client->due_ns = due_ns + options->pace_ns;
}

static void client_open(struct load *load, struct client *client)
{
    const struct load_options *options = &load->options;
    int on = 1;
    client->stream.fd =
        socket(options->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->stream.fd < 0) {
        load_explain(load, "socket", strerror(errno));
        return;
    }
    setsockopt(client->stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (getrandom(client->lsid, sizeof client->lsid, 0) != (ssize_t)sizeof client->lsid)
        load_explain(load, "getrandom", strerror(errno));
    client->state = CLIENT_CONNECTING;
    load->opening++;
    if (connect(client->stream.fd, (const struct sockaddr *)&options->address,
                options->address_len) != 0 &&
        errno != EINPROGRESS)
        client_lost(load, client, "connect", errno);
    else
        client_watch(load, client, EPOLL_CTL_ADD, EPOLLOUT);
}

static void client_greet(struct load *load, struct client *client)
{
    client->state = CLIENT_GREETING;
    client_send(load, client, &load->hello);
}

static void client_shake(struct load *load, struct client *client)
{
    bool wants_write = false;
    int done = stream_shake(&client->stream, &wants_write);
    if (done < 0) {
        client_lost(load, client, "TLS handshake", EPROTO);
        return;
    }
    client_watch(load, client, EPOLL_CTL_MOD, wants_write ? EPOLLOUT : EPOLLIN);
    if (done == 1)
        client_greet(load, client);
}

static void client_on_connected(struct load *load, struct client *client)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(client->stream.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        client_lost(load, client, "connect", error);
        return;
    }
    client_watch(load, client, EPOLL_CTL_MOD, EPOLLIN);
    if (load->tls == NULL) {
        client_greet(load, client);
    } else if (stream_begin_tls(&client->stream, load->tls)) {
        client->state = CLIENT_SHAKING;
        client_shake(load, client);
    } else {
        client_lost(load, client, "TLS", ENOMEM);
    }
}

/* As reply_check, for a reply that may be compressed. */
static enum reply_verdict check(struct bytes message, int32_t request_id, int32_t documents,
                                char *reason, size_t reason_bytes)
{
    uint8_t *plain = NULL;
    size_t len = 0;
    uint8_t compressor = 0;
    if (!packed_is(message))
        return reply_check(message, request_id, documents, reason, reason_bytes);
    if (!packed_open(message, MAX_REPLY_BYTES, &plain, &len, &compressor)) {
        snprintf(reason, reason_bytes, "the reply cannot be decompressed");
        return REPLY_BROKEN;
    }
    enum reply_verdict verdict =
        reply_check(bytes_of(plain, len), request_id, documents, reason, reason_bytes);
    memory_free(plain);
    return verdict;
}

static void client_on_reply(struct load *load, struct client *client, struct bytes message)
{
    char reason[LOAD_REASON_BYTES - 16]; /* load_explain puts a word in front */
    int32_t documents = client->state == CLIENT_BUSY ? load->request.documents : 0;
    uint64_t now = clock_now_ns();
    enum reply_verdict verdict =
        check(message, client->request_id, documents, reason, sizeof reason);
    if (verdict == REPLY_BROKEN || (verdict == REPLY_ERROR && client->state == CLIENT_GREETING)) {
        load_explain(load, client->state == CLIENT_GREETING ? "hello" : "reply", reason);
        client_lost(load, client, "reply", EPROTO);
        return;
    }
    if (client->state == CLIENT_GREETING) {
        client->state = CLIENT_READY;
        load->opening--;
        load->ready++;
        return;
    }
    client->state = CLIENT_READY;
    load->busy--;
    if (verdict == REPLY_ERROR) {
        load->result->errors++;
        load_explain(load, "command", reason);
    } else if (load->counting && load->running) {
        histogram_record(&load->result->latencies, now - client->sent_ns);
        client->waited_ns += now - client->sent_ns;
        client->answered++;
    }
    load->answered++;
    load_look(load, now);
    client_start(load, client);
}

/* *whole: `data` begins with a complete reply. Returns false if it cannot be a reply. */
static bool reply_is_whole(struct bytes data, struct bytes *message, bool *whole)
{
    *whole = false;
    if (bytes_left(&data) < WIRE_HEADER_BYTES)
        return true;
    struct wire_header header = wire_header_read(data.pos);
    if (!wire_header_check(&header, MAX_REPLY_BYTES, NULL))
        return false;
    *whole = bytes_take(&data, (size_t)header.length, message);
    /* A client has one request at a time, so no byte may follow its reply. */
    return !*whole || bytes_left(&data) == 0;
}

static void client_read(struct load *load, struct client *client)
{
    ssize_t got = stream_recv(&client->stream, load->scratch, sizeof load->scratch);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_lost(load, client, "recv", got < 0 ? errno : 0);
        return;
    }
    struct bytes data = bytes_of(load->scratch, (size_t)got);
    bool gathered = client->in.len > 0;
    if (gathered) {
        if (!bench_buffer_append(&client->in, data.pos, bytes_left(&data))) {
            client_lost(load, client, "recv", ENOMEM);
            return;
        }
        data = bytes_of(client->in.data, client->in.len);
    }
    struct bytes message;
    bool whole = false;
    if (client->state == CLIENT_READY || !reply_is_whole(data, &message, &whole)) {
        client_lost(load, client, "unexpected bytes", EPROTO);
        return;
    }
    if (whole) {
        client->in.len = 0;
        client_on_reply(load, client, message);
    } else if (!gathered && !bench_buffer_append(&client->in, data.pos, bytes_left(&data))) {
        client_lost(load, client, "recv", ENOMEM);
    }
}

static void client_on_readable(struct load *load, struct client *client)
{
    do {
        client_read(load, client);
    } while (client->state != CLIENT_CLOSED && stream_has_more(&client->stream));
}

static void client_on_event(struct load *load, struct client *client, uint32_t events)
{
    if (client->state == CLIENT_CONNECTING) {
        client_on_connected(load, client);
        return;
    }
    if (client->state == CLIENT_SHAKING) {
        client_shake(load, client);
        return;
    }
    if (events & EPOLLOUT && client->out.len > 0)
        client_send_rest(load, client);
    if (client->state != CLIENT_CLOSED && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        client_on_readable(load, client);
}

void load_turn(struct load *load, uint64_t until_ns)
{
    uint64_t now = clock_now_ns();
    uint64_t left_ns = until_ns > now ? until_ns - now : 0;
    struct timespec wait = {.tv_sec = (time_t)(left_ns / CLOCK_NS_A_SECOND),
                            .tv_nsec = (long)(left_ns % CLOCK_NS_A_SECOND)};
    int count = epoll_pwait2(load->epoll_fd, load->events, EVENTS_A_TURN, &wait, NULL);
    if (count < 0 && errno == ENOSYS) { /* a kernel before 5.11 */
        fputs("loadgen: this kernel has no epoll_pwait2\n", stderr);
        exit(2);
    }
    for (int i = 0; i < count; i++)
        client_on_event(load, load->events[i].data.ptr, load->events[i].events);
}

struct load *load_make(const struct load_options *options, struct load_result *result)
{
    static const char *const compressors[] = {NULL, "snappy", "zlib", "zstd"};
    const struct request_options hello = {.command = REQUEST_HELLO,
                                          .compression = compressors[options->compressor]};
    struct load *load = memory_zalloc(sizeof *load);
    if (load == NULL)
        return NULL;
    memset(result, 0, sizeof *result);
    load->options = *options;
    load->result = result;
    load->clients = memory_array(options->connections, sizeof *load->clients);
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load->tls = options->tls ? stream_make_context() : NULL;
    if ((!options->tls || load->tls != NULL) && load->clients != NULL && load->epoll_fd >= 0 &&
        request_make(&hello, &load->hello) && request_make(&options->request, &load->request))
        return load;
    load_free(load);
    return NULL;
}

void load_free(struct load *load)
{
    if (load == NULL)
        return;
    for (size_t i = 0; load->clients != NULL && i < load->options.connections; i++)
        if (load->clients[i].state != CLIENT_CLOSED)
            client_close(load, &load->clients[i]);
    if (load->epoll_fd >= 0)
        close(load->epoll_fd);
    request_free(&load->hello);
    request_free(&load->request);
    SSL_CTX_free(load->tls);
    memory_free(load->clients);
    memory_free(load);
}

size_t load_connect(struct load *load)
{
    uint64_t limit = clock_now_ns() + CONNECT_LIMIT_NS;
    while (clock_now_ns() < limit) {
        while (load->opened < load->options.connections && load->opening < OPENING_AT_ONCE)
            client_open(load, &load->clients[load->opened++]);
        if (load->opening == 0)
            break;
        load_turn(load, limit);
    }
    if (load->opening > 0)
        load_explain(load, "hello", "no answer in 30 seconds");
    return load->ready;
}

size_t load_hold(struct load *load, uint64_t hold_ns)
{
    uint64_t end = clock_now_ns() + hold_ns;
    while (clock_now_ns() < end)
        load_turn(load, end);
    return load->ready;
}
