#include "admin/access.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool access_token_set(struct access_token *token, const char *text, size_t len, struct error *err)
{
    while (len > 0 && is_space(text[len - 1]))
        len--;
    while (len > 0 && is_space(*text)) {
        text++;
        len--;
    }
    if (len < ACCESS_TOKEN_MIN || len > ACCESS_TOKEN_MAX)
        return error_set(err, ERROR_BAD_VALUE, "a token has %d to %d characters; this one has %zu",
                         ACCESS_TOKEN_MIN, ACCESS_TOKEN_MAX, len);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return error_set(
                err, ERROR_BAD_VALUE,
                "a token contains visible ASCII characters only; character %zu is not visible",
                i + 1);
    SHA256((const unsigned char *)text, len, token->digest);
    token->set = true;
    return true;
}

bool access_token_read(const char *path, struct access_token *token, struct error *err)
{
    char line[ACCESS_TOKEN_MAX + 3] = ""; /* and the end of the line */
    struct error why;
    FILE *file = fopen(path, "re");
    bool got = file != NULL && fgets(line, sizeof line, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (!got)
        return error_set(
            err, ERROR_BAD_VALUE,
            "admin.token_file: cannot read %.300s, or it is empty; write the token into "
            "its first line",
            path);
    bool ok = access_token_set(token, line, strlen(line), &why);
    OPENSSL_cleanse(line, sizeof line);
    if (!ok)
        return error_set(err, ERROR_BAD_VALUE, "admin.token_file: %.200s: %.200s", path,
                         why.message);
    return true;
}

static bool carries_token(const struct access_token *token, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    uint8_t digest[ACCESS_DIGEST_BYTES];
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *given = authorization + sizeof scheme - 1;
    SHA256((const unsigned char *)given, strlen(given), digest);
    return CRYPTO_memcmp(digest, token->digest, sizeof digest) == 0;
}

static bool is_loopback(const char *peer)
{
    return peer != NULL && (strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0 ||
                            strncmp(peer, "::ffff:127.", 11) == 0);
}

static bool is_listed(const char *list, const char *host, size_t len)
{
    while (list != NULL && *list != 0) {
        size_t listed = strcspn(list, ",");
        if (listed == len && strncasecmp(list, host, len) == 0)
            return true;
        list += listed + (list[listed] == ',');
    }
    return false;
}

/* True for "localhost", a numeric address, or a name that the operator allows: no foreign DNS can
 * point such a name to this machine. */
static bool is_own_host(const char *host, const char *allowed_hosts)
{
    if (host == NULL)
        return true; /* every browser sends it */
    if (*host == '[')
        return true;
    size_t len = strcspn(host, ":");
    return (len == 9 && strncasecmp(host, "localhost", len) == 0) ||
           strspn(host, "0123456789.") == len || is_listed(allowed_hosts, host, len);
}

/* "http://HOST" or "https://HOST" of the request itself. */
static bool is_own_origin(const char *origin, const char *host)
{
    if (origin == NULL)
        return true;
    const char *slashes = strstr(origin, "://");
    return slashes != NULL && host != NULL && strcasecmp(slashes + 3, host) == 0;
}

int access_check(const struct access_token *token, const struct access_request *request,
                 const char **reason)
{
    *reason = NULL;
    if (token->set) {
        if (carries_token(token, request->authorization))
            return 200;
        *reason = "this request needs the header 'Authorization: Bearer TOKEN' with the token of "
                  "admin.token_file";
        return 401;
    }
    if (request->changes && !is_loopback(request->peer)) {
        *reason =
            "without a token (option admin.token_file) the proxy accepts this request from its own "
            "machine only";
        return 403;
    }
    if (!is_own_host(request->host, request->allowed_hosts)) {
        *reason =
            "the Host header contains a name that is not in the option admin.allowed_hosts; use "
            "the numeric address, localhost, or a token (option admin.token_file)";
        return 403;
    }
    if (!is_own_origin(request->origin, request->host)) {
        *reason = "the Origin header names another site; without a token (option "
                  "admin.token_file) its pages have no access";
        return 403;
    }
    return 200;
}
