/* Asks an admin endpoint from another process: `mongosluice status` and `top`. Blocks. */
#ifndef SLUICE_CLI_ADMIN_CLIENT_H
#define SLUICE_CLI_ADMIN_CLIENT_H

#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

enum { CLIENT_TIMEOUT_SECONDS = 5, CLIENT_TOKEN_BYTES = 1100 };

struct client_target {
    char host[256];
    uint16_t port;
    bool tls;
    const char *ca_file;            /* NULL: the system's authorities */
    char token[CLIENT_TOKEN_BYTES]; /* "": none */
};

/* Returns the body of a GET. False without an answer or with a status other than 200; err holds the
 * status and the endpoint's message. The caller always calls text_release(body). */
bool client_get(const struct client_target *target, const char *path, struct text *body,
                struct error *err);

#endif
