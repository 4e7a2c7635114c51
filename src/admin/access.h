/* Who may ask what of the admin endpoint. Pure but for the hash. */
#ifndef SLUICE_ADMIN_ACCESS_H
#define SLUICE_ADMIN_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { ACCESS_DIGEST_BYTES = 32, ACCESS_TOKEN_MIN = 8, ACCESS_TOKEN_MAX = 1024 };

/* The token, by its SHA-256: comparing digests takes the same time whatever was guessed. */
struct access_token {
    bool set;
    uint8_t digest[ACCESS_DIGEST_BYTES];
};

/* The first line of a file, without white space around it. False where it is no token that can
 * stand in a header. */
bool access_token_read(const char *path, struct access_token *token, struct error *err);
bool access_token_set(struct access_token *token, const char *text, size_t len, struct error *err);

/* What a request says about itself. NULL: not there. */
struct access_request {
    const char *authorization;
    const char *host;
    const char *origin;
    const char *peer;          /* numeric address */
    const char *allowed_hosts; /* option admin.allowed_hosts */
    bool changes;              /* it is not only read */
};

/* The HTTP status: 200 where it is allowed, 401 or 403 with *reason. Without a token
 *   - what changes something is taken from this machine only, and
 *   - every request has to name a numeric address, localhost or one of allowed_hosts as its host,
 *     and no other site as its origin: a web page that an operator looks at must neither command
 *     the proxy nor read from it (cross-site requests, DNS rebinding).
 * With a token the token decides: no page of another site knows it. */
int access_check(const struct access_token *token, const struct access_request *request,
                 const char **reason);

#endif
