/* Decides on requests to the admin endpoint. Pure except for the hash. */
#ifndef SLUICE_ADMIN_ACCESS_H
#define SLUICE_ADMIN_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { ACCESS_DIGEST_BYTES = 32, ACCESS_TOKEN_MIN = 8, ACCESS_TOKEN_MAX = 1024 };

/* The token, by its SHA-256: the comparison of digests takes the same time for every guess. */
struct access_token {
    bool set;
    uint8_t digest[ACCESS_DIGEST_BYTES];
};

/* Reads the first line of a file without surrounding white space. False if it is no token that a
 * header can carry. */
bool access_token_read(const char *path, struct access_token *token, struct error *err);
bool access_token_set(struct access_token *token, const char *text, size_t len, struct error *err);

/* The properties of a request. NULL: absent. */
struct access_request {
    const char *authorization;
    const char *host;
    const char *origin;
    const char *peer;          /* numeric address */
    const char *allowed_hosts; /* option admin.allowed_hosts */
    bool changes;              /* the request changes something */
};

/* The HTTP status: 200 if the request is allowed, 401 or 403 with *reason otherwise. Without a
 * token
 *   - requests that change something must come from this machine, and
 *   - every request must name a numeric address, localhost or one of allowed_hosts as its host, and
 *     no other site as its origin: a web page in an operator's browser must neither command the
 *     proxy nor read from it (cross-site requests, DNS rebinding).
 * With a token, the token decides: no page of another site knows it. */
int access_check(const struct access_token *token, const struct access_request *request,
                 const char **reason);

#endif
