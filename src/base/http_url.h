/* "http://HOST[:PORT][/PATH]", or https. */
#ifndef SLUICE_BASE_HTTP_URL_H
#define SLUICE_BASE_HTTP_URL_H

#include "base/host_port.h"

struct http_url {
    char host[HOST_BYTES]; /* without brackets */
    uint16_t port;         /* 0: none is given */
    bool tls;
    const char *path; /* points into the text; "" or "/…" */
};

/* False for another scheme, for a user name, and for characters that no URL has. */
bool http_url_read(const char *text, struct http_url *out);

#endif
