#include "base/http_url.h"

#include <ctype.h>
#include <string.h>

static bool has_only_url_characters(const char *text)
{
    for (; *text != 0; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static bool is_host(const struct host_port *read)
{
    for (const char *at = read->host; *at != 0; at++)
        if (!isalnum((unsigned char)*at) && strchr(read->bracketed ? ".-_:%" : ".-_", *at) == NULL)
            return false;
    return true;
}

bool http_url_read(const char *text, struct http_url *out)
{
    static const char plain[] = "http://";
    static const char encrypted[] = "https://";
    struct host_port read;
    out->tls = strncmp(text, encrypted, sizeof encrypted - 1) == 0;
    if (!out->tls && strncmp(text, plain, sizeof plain - 1) != 0)
        return false;
    const char *host = text + (out->tls ? sizeof encrypted : sizeof plain) - 1;
    size_t len = strcspn(host, "/");
    if (!host_port_read(host, len, &read) || !is_host(&read) || !has_only_url_characters(text))
        return false;
    memcpy(out->host, read.host, sizeof out->host);
    out->port = read.has_port ? read.port : 0;
    out->path = host + len;
    return true;
}
