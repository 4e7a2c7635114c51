/* Asking an admin endpoint, from another process: `mongosluice status` and `top`. Blocks. */
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

/* The body of a GET. False when no answer came, or it is no 200: err says which, and what the
 * endpoint said. text_release(body) is due whatever happens. */
bool client_get(const struct client_target *target, const char *path, struct text *body,
                struct error *err);

#endif
