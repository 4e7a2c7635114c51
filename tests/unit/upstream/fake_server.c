#include "fake_server.h"

#include "base/bytes.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER_BYTES = 16, MESSAGE_MAX = 65536, OP_REPLY = 1, OP_QUERY = 2004, OP_MSG = 2013 };

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static void common_hello(bson_t *hello)
{
    BSON_APPEND_INT32(hello, "maxBsonObjectSize", 16777216);
    BSON_APPEND_INT32(hello, "maxMessageSizeBytes", 48000000);
    BSON_APPEND_INT32(hello, "maxWriteBatchSize", 100000);
    BSON_APPEND_INT32(hello, "logicalSessionTimeoutMinutes", 30);
    BSON_APPEND_INT32(hello, "minWireVersion", 0);
    BSON_APPEND_INT32(hello, "maxWireVersion", 21);
    BSON_APPEND_DOUBLE(hello, "ok", 1);
}

bson_t *fake_standalone_hello(void)
{
    bson_t *hello = BCON_NEW("ismaster", BCON_BOOL(true));
    common_hello(hello);
    return hello;
}

bson_t *fake_mongos_hello(void)
{
    bson_t *hello = BCON_NEW("ismaster", BCON_BOOL(true), "msg", BCON_UTF8("isdbgrid"));
    common_hello(hello);
    return hello;
}

bson_t *fake_member_hello(const char *set_name, const char *const *hosts, const char *me,
                          const char *primary)
{
    bool is_primary = primary != NULL && strcmp(me, primary) == 0;
    bson_t *hello =
        BCON_NEW("ismaster", BCON_BOOL(is_primary), "secondary", BCON_BOOL(!is_primary), "setName",
                 BCON_UTF8(set_name), "setVersion", BCON_INT32(1), "me", BCON_UTF8(me));
    bson_t list = BSON_INITIALIZER;
    for (uint32_t i = 0; hosts[i] != NULL; i++) {
        char key[12];
        (void)snprintf(key, sizeof key, "%u", i);
        BSON_APPEND_UTF8(&list, key, hosts[i]);
    }
    BSON_APPEND_ARRAY(hello, "hosts", &list);
    bson_destroy(&list);
    if (primary != NULL)
        BSON_APPEND_UTF8(hello, "primary", primary);
    common_hello(hello);
    return hello;
}

static void note_command(struct fake_server *fake, const uint8_t *message, size_t len)
{
    bson_t command;
    bson_iter_t iter;
    bson_iter_t name;
    int32_t opcode = bytes_load_i32(message + 12);
    /* OP_MSG: flags and the section's kind; OP_QUERY: flags, collection, skip and limit. */
    size_t at = opcode == OP_MSG ? HEADER_BYTES + 5
                                 : HEADER_BYTES + 4 + strlen((const char *)message + 20) + 1 + 8;
    if (at >= len ||
        !bson_init_static(&command, message + at, (size_t)bytes_load_i32(message + at)))
        return;
    if (bson_iter_init_find(&iter, &command, "speculativeAuthenticate") ||
        bson_iter_init_find(&iter, &command, "saslSupportedMechs") ||
        bson_iter_init_find(&iter, &command, "saslStart"))
        fake->saw_auth = true;
    if (bson_iter_init(&iter, &command) &&
        bson_iter_find_descendant(&iter, "client.application.name", &name))
        (void)snprintf(fake->app_name, sizeof fake->app_name, "%s", bson_iter_utf8(&name, NULL));
}

static void answer(struct fake_server *fake, int fd, const uint8_t *message, size_t len)
{
    uint8_t reply[MESSAGE_MAX] = {0};
    bool is_msg = bytes_load_i32(message + 12) == OP_MSG;
    size_t head = HEADER_BYTES + (is_msg ? 5 : 20);
    (void)pthread_mutex_lock(&fake->lock);
    note_command(fake, message, len);
    size_t size = head + fake->hello->len;
    memcpy(reply + head, bson_get_data(fake->hello), fake->hello->len);
    (void)pthread_mutex_unlock(&fake->lock);
    bytes_store_i32(reply, (int32_t)size);
    memcpy(reply + 8, message + 4, 4); /* responseTo */
    bytes_store_i32(reply + 12, is_msg ? OP_MSG : OP_REPLY);
    if (!is_msg)
        bytes_store_i32(reply + HEADER_BYTES + 16, 1); /* one document */
    (void)send(fd, reply, size, MSG_NOSIGNAL);
}

/* False: the client is gone. */
static bool serve(struct fake_server *fake, int fd)
{
    uint8_t message[MESSAGE_MAX];
    if (recv(fd, message, HEADER_BYTES, MSG_WAITALL) != HEADER_BYTES)
        return false;
    int32_t len = bytes_load_i32(message);
    if (len <= HEADER_BYTES || len > MESSAGE_MAX ||
        recv(fd, message + HEADER_BYTES, (size_t)len - HEADER_BYTES, MSG_WAITALL) !=
            len - HEADER_BYTES)
        return false;
    answer(fake, fd, message, (size_t)len);
    return true;
}

static void accept_one(struct fake_server *fake)
{
    int fd = accept(fake->listener, NULL, NULL);
    for (size_t i = 0; fd >= 0 && i < FAKE_CONNECTIONS_MAX; i++) {
        if (fake->connections[i] >= 0)
            continue;
        fake->connections[i] = fd;
        return;
    }
    if (fd >= 0)
        (void)close(fd);
}

static void *run(void *arg)
{
    struct fake_server *fake = arg;
    for (;;) {
        struct pollfd fds[FAKE_CONNECTIONS_MAX + 2] = {{fake->wake[0], POLLIN, 0},
                                                       {fake->listener, POLLIN, 0}};
        for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++)
            fds[i + 2] = (struct pollfd){fake->connections[i], POLLIN, 0};
        if (poll(fds, FAKE_CONNECTIONS_MAX + 2, -1) < 0)
            continue;
        if (fds[0].revents != 0)
            return NULL;
        if (fds[1].revents != 0)
            accept_one(fake);
        for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++) {
            if (fds[i + 2].revents == 0 || serve(fake, fake->connections[i]))
                continue;
            (void)close(fake->connections[i]);
            fake->connections[i] = -1;
        }
    }
}

void fake_server_start(struct fake_server *fake)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    *fake = (struct fake_server){.hello = fake_standalone_hello()};
    for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        fake->connections[i] = -1;
    fake->listener = socket(AF_INET, SOCK_STREAM, 0);
    must(fake->listener >= 0 && bind(fake->listener, (struct sockaddr *)&at, len) == 0 &&
             listen(fake->listener, 16) == 0 &&
             getsockname(fake->listener, (struct sockaddr *)&at, &len) == 0,
         "a listener");
    fake->port = ntohs(at.sin_port);
    (void)snprintf(fake->address, sizeof fake->address, "127.0.0.1:%u", fake->port);
    must(pipe(fake->wake) == 0, "a pipe");
    (void)pthread_mutex_init(&fake->lock, NULL);
    must(pthread_create(&fake->thread, NULL, run, fake) == 0, "a thread");
}

void fake_server_hello(struct fake_server *fake, bson_t *hello)
{
    (void)pthread_mutex_lock(&fake->lock);
    bson_destroy(fake->hello);
    fake->hello = hello;
    (void)pthread_mutex_unlock(&fake->lock);
}

void fake_server_stop(struct fake_server *fake)
{
    (void)close(fake->wake[1]);
    (void)pthread_join(fake->thread, NULL);
    (void)close(fake->wake[0]);
    (void)close(fake->listener);
    for (size_t i = 0; i < FAKE_CONNECTIONS_MAX; i++)
        if (fake->connections[i] >= 0)
            (void)close(fake->connections[i]);
    bson_destroy(fake->hello);
    (void)pthread_mutex_destroy(&fake->lock);
}
