/* The clients of a rig. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session_rig_internal.h"

/* A requestID with a tag. No garbage looks like one. */
enum { TAG_MARK = 0x5A, TAG_MARK_AT = 24, TAG_AT = 16 };

uint32_t rig_request_id(unsigned tag, uint32_t number)
{
    return (uint32_t)TAG_MARK << TAG_MARK_AT | (tag & 0xFF) << TAG_AT | (number & 0xFFFF);
}

void rig_watch(struct rig *rig, size_t client, unsigned tag)
{
    rig->watches[client] = (struct rig_watching){.tag = tag};
}

static void check_reply(struct rig_watching *watch, size_t client)
{
    uint32_t to = bytes_load_u32(watch->header + 8);
    uint32_t length = bytes_load_u32(watch->header);
    if (to >> TAG_MARK_AT == TAG_MARK && (to >> TAG_AT & 0xFF) != watch->tag) {
        (void)fprintf(stderr, "client %zu of tag %u got the reply to a request of tag %u\n", client,
                      watch->tag, to >> TAG_AT & 0xFF);
        abort();
    }
    watch->left = length > WIRE_HEADER_BYTES ? length - WIRE_HEADER_BYTES : 0;
    watch->have = 0;
}

static void watch_replies(struct rig_watching *watch, size_t client, struct bytes data)
{
    while (bytes_left(&data) > 0) {
        size_t skip = watch->left < bytes_left(&data) ? watch->left : bytes_left(&data);
        (void)bytes_skip(&data, skip);
        watch->left -= skip;
        while (watch->left == 0 && watch->have < WIRE_HEADER_BYTES && bytes_left(&data) > 0)
            (void)bytes_read_u8(&data, &watch->header[watch->have++]);
        if (watch->have == WIRE_HEADER_BYTES)
            check_reply(watch, client);
    }
}

static void drink(struct rig *rig, size_t client)
{
    uint8_t waste[RIG_READ_BYTES];
    for (;;) {
        ssize_t got = recv(rig->clients[client], waste, sizeof waste, MSG_DONTWAIT);
        if (got <= 0)
            return;
        rig->received += (uint64_t)got;
        if (rig->watches[client].tag != 0)
            watch_replies(&rig->watches[client], client, bytes_of(waste, (size_t)got));
    }
}

struct bytes rig_receive(struct rig *rig, size_t client, uint8_t out[RIG_MESSAGE_BYTES])
{
    ssize_t got = rig->clients[client] < 0
                      ? 0
                      : recv(rig->clients[client], out, RIG_MESSAGE_BYTES, MSG_DONTWAIT);
    rig->received += got > 0 ? (uint64_t)got : 0;
    return bytes_of(out, got > 0 ? (size_t)got : 0);
}

/* Both ends of a connection through the loopback. */
static bool connect_pair(struct rig *rig, int pair[2])
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pair[0] < 0 || getsockname(rig->entrance_fd, (struct sockaddr *)&at, &len) != 0 ||
        connect(pair[0], (struct sockaddr *)&at, len) != 0)
        return false;
    pair[1] = accept4(rig->entrance_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return pair[1] >= 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0;
}

void rig_send(struct rig *rig, size_t client, const uint8_t *data, size_t len)
{
    int pair[2];
    int *fd = &rig->clients[client];
    if (*fd < 0) {
        bool made = rig->uses_tcp ? connect_pair(rig, pair)
                                  : socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                                               0, pair) == 0;
        rig_require(made, "no socket pair");
        *fd = pair[0];
        session_worker_accept(rig->worker, pair[1],
                              rig->has_no_address ? ""
                              : rig->uses_tcp     ? rig->tcp_path
                                                  : rig->path);
    }
    drink(rig, client);
    if (send(*fd, data, len, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        rig_leave(rig, client, false); /* it was thrown out */
}

void rig_send_large(struct rig *rig, size_t client, uint32_t number)
{
    enum { PORTIONS_MAX = 40 };
    size_t len = 0;
    const uint8_t *message = rig_large_message(number, &len);
    rig_send(rig, client, message, WIRE_HEADER_BYTES);
    size_t at = WIRE_HEADER_BYTES;
    for (int i = 0; i < PORTIONS_MAX && at < len && rig->clients[client] >= 0; i++) {
        ssize_t sent = send(rig->clients[client], message + at, len - at, MSG_NOSIGNAL);
        at += sent > 0 ? (size_t)sent : 0;
        rig_settle(rig);
    }
}

void rig_leave(struct rig *rig, size_t client, bool reset)
{
    if (rig->clients[client] < 0)
        return;
    if (!reset) /* otherwise unread bytes turn the close into a reset */
        drink(rig, client);
    close(rig->clients[client]);
    rig->clients[client] = -1;
    rig->watches[client].tag = 0;
}

void rig_finish(struct rig *rig, size_t client)
{
    if (rig->clients[client] >= 0)
        (void)shutdown(rig->clients[client], SHUT_WR);
}

bool rig_is_there(struct rig *rig, size_t client)
{
    uint8_t one = 0;
    if (rig->clients[client] < 0)
        return false;
    drink(rig, client);
    ssize_t got = recv(rig->clients[client], &one, 1, MSG_DONTWAIT | MSG_PEEK);
    if (got > 0 || (got < 0 && errno == EAGAIN))
        return true;
    rig_leave(rig, client, false);
    return false;
}

uint64_t rig_received(const struct rig *rig)
{
    return rig->received;
}
