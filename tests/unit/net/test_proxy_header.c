/* The header of the PROXY protocol, version 2. */
#include "../cmocka_all.h"

#include <arpa/inet.h>

#include "net/proxy_header.h"

#define SIGNATURE "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"

static enum proxy_header_step read(const char *data, size_t len, struct proxy_header *header)
{
    struct error err = {0};
    enum proxy_header_step step = proxy_header_read((const uint8_t *)data, len, header, &err);
    assert_int_equal(step == PROXY_HEADER_BROKEN, err.message[0] != '\0');
    return step;
}

#define READ(text, header) read(text, sizeof(text) - 1, header)

static const char v4[] =
    SIGNATURE "\x21\x11\x00\x0C\x0A\x01\x02\x03\x7F\x00\x00\x01\x1F\x90\x69\x89";

static void a_client_over_ipv4(void **state)
{
    (void)state;
    struct proxy_header header;
    char peer[ADDRESS_TEXT_BYTES];
    assert_int_equal(READ(v4, &header), PROXY_HEADER_READ);
    assert_true(header.names_client);
    assert_int_equal(header.bytes, 28);
    address_describe_peer(&header.peer, peer);
    assert_string_equal(peer, "10.1.2.3:8080");
}

/* The bytes come one by one; what follows is not part of it. */
static void every_cut(void **state)
{
    (void)state;
    struct proxy_header header;
    for (size_t len = 0; len < sizeof v4 - 1; len++) {
        assert_int_equal(read(v4, len, &header), PROXY_HEADER_MORE);
        assert_int_equal(header.bytes, len < 16 ? 16 : 28);
    }
    assert_int_equal(READ(SIGNATURE "\x20\x00\x00\x02xxmore", &header), PROXY_HEADER_READ);
    assert_int_equal(header.bytes, 18);
}

static void nobody_is_named(void **state)
{
    (void)state;
    struct proxy_header header;
    /* LOCAL, even with addresses; unspecified; UDP; a Unix socket */
    assert_int_equal(READ(SIGNATURE "\x20\x11\x00\x0C"
                                    "abcdefghijkl",
                          &header),
                     PROXY_HEADER_READ);
    assert_false(header.names_client);
    assert_int_equal(READ(SIGNATURE "\x21\x00\x00\x00", &header), PROXY_HEADER_READ);
    assert_false(header.names_client);
    assert_int_equal(READ(SIGNATURE "\x21\x12\x00\x0C"
                                    "abcdefghijkl",
                          &header),
                     PROXY_HEADER_READ);
    assert_false(header.names_client);
    assert_int_equal(READ(SIGNATURE "\x21\x31\x00\x01x", &header), PROXY_HEADER_READ);
    assert_false(header.names_client);
}

static void broken_ones(void **state)
{
    (void)state;
    struct proxy_header header;
    assert_int_equal(READ("\x3A", &header), PROXY_HEADER_BROKEN);               /* a message */
    assert_int_equal(READ("PROXY TCP4 1.2.3.4", &header), PROXY_HEADER_BROKEN); /* version 1 */
    assert_int_equal(READ("\x16\x03\x01", &header), PROXY_HEADER_BROKEN);       /* TLS */
    assert_int_equal(READ(SIGNATURE "\x11\x11\x00\x0C", &header), PROXY_HEADER_BROKEN);
    assert_int_equal(READ(SIGNATURE "\x22\x11\x00\x0C", &header), PROXY_HEADER_BROKEN);
    assert_int_equal(READ(SIGNATURE "\x21\x11\x00\x0B", &header), PROXY_HEADER_BROKEN);
    assert_int_equal(READ(SIGNATURE "\x21\x21\x00\x23", &header), PROXY_HEADER_BROKEN);
    assert_int_equal(READ(SIGNATURE "\x20\x00\x0F\xF1", &header), PROXY_HEADER_BROKEN);
    assert_int_equal(READ(SIGNATURE "\x20\x00\x0F\xF0", &header), PROXY_HEADER_MORE);
    assert_int_equal(header.bytes, PROXY_HEADER_MAX_BYTES);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t out[PROXY_HEADER_WRITTEN_BYTES];
    struct proxy_header header;
    struct error err;
    struct address_peer from = {.family = AF_INET6, .port = htons(51234)};
    struct address_peer to = {.family = AF_INET6, .port = htons(27017)};
    for (uint8_t i = 0; i < 16; i++)
        from.host[i] = i;
    to.host[15] = 1;
    size_t len = proxy_header_write(&from, &to, out);
    assert_int_equal(len, sizeof out);
    assert_int_equal(proxy_header_read(out, len, &header, &err), PROXY_HEADER_READ);
    assert_true(header.names_client);
    assert_memory_equal(&header.peer, &from, sizeof from);
    to = (struct address_peer){.family = AF_INET, .port = htons(27017), .host = {10, 1, 2, 3}};
    len = proxy_header_write(&to, &from, out); /* one is IPv4 */
    assert_int_equal(len, sizeof out);
    assert_int_equal(proxy_header_read(out, len, &header, &err), PROXY_HEADER_READ);
    static const uint8_t mapped[16] = {[10] = 0xFF, 0xFF, 10, 1, 2, 3};
    assert_memory_equal(header.peer.host, mapped, sizeof mapped);
    to.family = AF_UNIX; /* it cannot be said */
    len = proxy_header_write(&from, &to, out);
    assert_int_equal(len, PROXY_HEADER_START_BYTES);
    assert_int_equal(proxy_header_read(out, len, &header, &err), PROXY_HEADER_READ);
    assert_false(header.names_client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_over_ipv4),      cmocka_unit_test(every_cut),
        cmocka_unit_test(nobody_is_named),         cmocka_unit_test(broken_ones),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
