/* Any text as the upstream's connection string, alone or behind a user and a password: it is read
 * or refused with a reason, and nothing that is shown holds the password. Its hosts go through the
 * map of addresses. Input: a byte (odd: with the password), the text. */
#include <stdlib.h>
#include <string.h>

#include "base/host_port.h"
#include "fail_memory.h"
#include "upstream/address_map.h"
#include "upstream/uri.h"

#define PASSWORD "hush7secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool without_memory; /* an allocation fails */

static void require(bool holds)
{
    if (!holds && !without_memory)
        abort();
}

static bool hides; /* the text has the password in its place, and nowhere else */

static void require_hidden(const char *text)
{
    require(text == NULL || !hides || strstr(text, PASSWORD) == NULL);
}

/* The port of each host is its number, counted from 1. */
static void map_host(void *arg, const char *host, uint16_t port)
{
    static uint16_t next;
    struct address_map *map = arg;
    struct error err;
    char address[HOST_PORT_BYTES];
    uint16_t found = 0;
    require(host[0] != 0);
    host_port_write(host, port, address, sizeof address);
    if (address_map_add(map, address, ++next, &err))
        require(address_map_port(map, address, strlen(address), &found) && found == next);
    if (next % 2 == 0)
        (void)address_map_remove(map, address);
}

static void run(const char *text)
{
    struct error err = {0};
    struct uri *uri = uri_parse(text, &err);
    require(uri != NULL || (err.code != 0 && err.message[0] != 0));
    require_hidden(err.message);
    if (uri == NULL)
        return;
    struct address_map *map = address_map_new();
    require_hidden(uri_redacted(uri));
    require_hidden(uri_warning(uri));
    require_hidden(uri_for_monitoring(uri));
    require(strcmp(uri_with_credentials(uri), text) == 0);
    (void)uri_has_account(uri);
    (void)uri_tls(uri);
    require(map != NULL);
    if (map != NULL) {
        uint16_t port = 0;
        uri_each_host(uri, map_host, map);
        (void)address_map_port(map, text, strlen(text), &port);
        (void)address_map_remove(map, "no host:1");
    }
    address_map_free(map);
    uri_free(uri);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char credentials[] = "mongodb://ann:" PASSWORD "@";
    size_t front = size > 0 && (data[0] & 1) != 0 ? strlen(credentials) : 0;
    if (size < 1)
        return 0;
    char *text = malloc(front + size);
    if (text == NULL)
        return 0;
    memcpy(text, credentials, front);
    memcpy(text + front, data + 1, size - 1);
    text[front + size - 1] = 0;
    hides = front > 0 && strstr(text + front, PASSWORD) == NULL;
    run(text);
    without_memory = fail_memory_for(data, size);
    if (without_memory)
        run(text);
    memory_fail_never();
    without_memory = false;
    free(text);
    return 0;
}
