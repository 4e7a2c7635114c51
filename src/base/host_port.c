#include "base/host_port.h"

#include <stdio.h>
#include <string.h>

static bool read_port(const char *text, size_t len, uint16_t *out)
{
    uint32_t port = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(text[i] - '0');
        if (port > UINT16_MAX)
            return false;
    }
    *out = (uint16_t)port;
    return len > 0;
}

bool host_port_read(const char *text, size_t len, struct host_port *out)
{
    *out = (struct host_port){.bracketed = len > 0 && text[0] == '['};
    const char *host = text + out->bracketed;
    size_t left = len - out->bracketed;
    const char *end = memchr(host, out->bracketed ? ']' : ':', left);
    if (end == NULL && out->bracketed)
        return false;
    size_t host_len = end == NULL ? left : (size_t)(end - host);
    if (host_len == 0 || host_len >= sizeof out->host)
        return false;
    memcpy(out->host, host, host_len);
    const char *rest = host + host_len + out->bracketed;
    size_t rest_len = (size_t)(text + len - rest);
    out->has_port = rest_len > 0;
    return !out->has_port || (*rest == ':' && read_port(rest + 1, rest_len - 1, &out->port));
}

void host_port_write(const char *host, uint16_t port, char *out, size_t size)
{
    bool bare_v6 = host[0] != '[' && strchr(host, ':') != NULL;
    (void)snprintf(out, size, bare_v6 ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
}
