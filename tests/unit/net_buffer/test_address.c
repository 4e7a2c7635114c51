/* Addresses as text: of connected sockets, and the ones that are dialled. */
#include "../cmocka_all.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.h"
#include "net/connector.h"

struct pair {
    int client;
    int server;
    unsigned client_port;
};

/* Listens on `family`'s loopback or any address, dials it over `dial`. False where the machine has
 * no IPv6. */
static bool connect_pair(const struct sockaddr *listen_at, const struct sockaddr *dial,
                         socklen_t dial_len, struct pair *pair)
{
    struct sockaddr_in6 bound = {0};
    struct sockaddr_in6 peer = {0};
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to = {0};
    socklen_t len = sizeof bound;
    socklen_t listen_len = listen_at->sa_family == AF_INET ? sizeof to.v4 : sizeof to.v6;
    int listener = socket(listen_at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, listen_at, listen_len) != 0 || listen(listener, 1) != 0) {
        if (listener >= 0)
            close(listener);
        return false;
    }
    assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &len), 0);
    memcpy(&to, dial, dial_len);
    to.v4.sin_port = bound.sin6_port; /* the port is at the same place in both */
    pair->client = socket(dial->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair->client, &to.any, dial_len), 0);
    pair->server = accept(listener, NULL, NULL);
    assert_true(pair->server >= 0);
    len = sizeof peer;
    assert_int_equal(getsockname(pair->client, (struct sockaddr *)&peer, &len), 0);
    pair->client_port = ntohs(peer.sin6_port);
    close(listener);
    return true;
}

static void disconnect(struct pair *pair)
{
    close(pair->client);
    close(pair->server);
}

static uint64_t key_of(int fd)
{
    struct address_peer peer = address_peer_of(fd);
    return address_peer_key(&peer);
}

static void assert_unknown(int fd)
{
    char text[ADDRESS_TEXT_BYTES];
    struct address_peer peer = address_peer_of(fd);
    address_describe_peer(&peer, text);
    assert_string_equal(text, "unknown");
    assert_int_equal(address_peer_key(&peer), 0);
}

static void assert_peer(const struct pair *pair, const char *host)
{
    char text[ADDRESS_TEXT_BYTES];
    char want[ADDRESS_TEXT_BYTES];
    struct address_peer peer = address_peer_of(pair->server);
    address_describe_peer(&peer, text);
    (void)snprintf(want, sizeof want, "%s:%u", host, pair->client_port);
    assert_string_equal(text, want);
    address_describe_local_host(pair->server, text);
    assert_string_equal(text, host);
}

static void an_ipv4_client(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr *any = (const struct sockaddr *)&at;
    struct pair pair = {.client = -1, .server = -1};
    assert_true(connect_pair(any, any, sizeof at, &pair));
    assert_peer(&pair, "127.0.0.1");
    assert_int_equal(key_of(pair.server), INADDR_LOOPBACK);
    disconnect(&pair);
}

static void an_ipv6_client(void **state)
{
    (void)state;
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr *any = (const struct sockaddr *)&at;
    struct pair pair = {.client = -1, .server = -1};
    if (!connect_pair(any, any, sizeof at, &pair))
        skip();
    assert_peer(&pair, "[::1]");
    assert_int_not_equal(key_of(pair.server), 0);
    disconnect(&pair);
}

static void an_ipv4_client_of_an_ipv6_socket(void **state)
{
    (void)state;
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct pair pair = {.client = -1, .server = -1};
    if (!connect_pair((const struct sockaddr *)&at, (const struct sockaddr *)&to, sizeof to, &pair))
        skip();
    assert_peer(&pair, "127.0.0.1");
    assert_int_equal(key_of(pair.server), INADDR_LOOPBACK);
    disconnect(&pair);
}

static void who_has_no_address_is_unknown(void **state)
{
    (void)state;
    char text[ADDRESS_TEXT_BYTES];
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct address_peer peer = address_peer_of(ends[0]);
    address_describe_peer(&peer, text);
    assert_string_equal(text, "unix socket");
    assert_int_not_equal(address_peer_key(&peer), 0);
    address_describe_local_host(ends[0], text);
    assert_string_equal(text, "localhost");
    close(ends[0]);
    close(ends[1]);
    assert_unknown(-1);
    address_describe_local_host(-1, text);
    assert_string_equal(text, "localhost");
}

static void addresses_are_split(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        const char *host;
        const char *port;
    } cases[] = {
        {"db.example.net:27018", "db.example.net", "27018"},
        {"localhost", "localhost", "27017"},
        {"localhost:", "localhost", "27017"},
        {"[::1]:4", "::1", "4"},
        {"[::1]", "::1", "27017"},
        {"[fe80::1%eth0]:65535", "fe80::1%eth0", "65535"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char host[256];
        char port[8];
        assert_true(connector_split_address(cases[i].address, host, port));
        assert_string_equal(host, cases[i].host);
        assert_string_equal(port, cases[i].port);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",       ":27017",     "[::1",    "[::1]x", "[]:1",        "host:123456", "host:65536",
        "host:0", "host:mongo", "host:-1", "::1",    "fe80::1:2:3", "a:b:c",       "[::1]:x"};
    char host[256];
    char port[8];
    char name[257];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(connector_split_address(wrong[i], host, port));
    memset(name, 'x', 256);
    name[256] = 0;
    assert_false(connector_split_address(name, host, port));
    assert_true(connector_split_address(name + 1, host, port));
    assert_int_equal(strlen(host), 255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv4_client),
        cmocka_unit_test(an_ipv6_client),
        cmocka_unit_test(an_ipv4_client_of_an_ipv6_socket),
        cmocka_unit_test(who_has_no_address_is_unknown),
        cmocka_unit_test(addresses_are_split),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
