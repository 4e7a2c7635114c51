/* The page at /: one document with inline style and script. The browser runs only these
 * (Content-Security-Policy by hashes). The page contains no figures: its script requests them. */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "admin/dashboard/files.h"
#include "admin/pages.h"

/* The 'sha256-…' of an inline block. */
static void add_hash(struct text *out, const unsigned char *block, size_t len)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    unsigned char base64[64];
    SHA256(block, len, digest);
    (void)EVP_EncodeBlock(base64, digest, sizeof digest);
    text_format(out, "'sha256-%s'", (const char *)base64);
}

/* Adds the page up to the mark, then the mark's replacement. Returns the rest. */
static const char *add_until(struct text *out, const char *from, const char *end, const char *mark,
                             const void *replacement, size_t len)
{
    size_t mark_len = strlen(mark);
    const char *at = memmem(from, (size_t)(end - from), mark, mark_len);
    if (at == NULL)
        return from;
    text_add_bytes(out, from, (size_t)(at - from));
    text_add_bytes(out, replacement, len);
    return at + mark_len;
}

void admin_get_dashboard(struct admin *admin, const struct admin_request *request)
{
    char policy[400];
    struct text rules = text_over(policy, sizeof policy);
    struct text body = text_growing();
    const char *at = (const char *)dashboard_page;
    const char *end = at + dashboard_page_len;
    const char *token = admin->settings->token.set ? "yes" : "no";
    text_add(&rules, "default-src 'none'; base-uri 'none'; form-action 'none'; "
                     "frame-ancestors 'none'; connect-src 'self'; img-src data:; script-src ");
    add_hash(&rules, dashboard_script, dashboard_script_len);
    text_add(&rules, "; style-src ");
    add_hash(&rules, dashboard_style, dashboard_style_len);
    at = add_until(&body, at, end, "<!--STYLE-->", dashboard_style, dashboard_style_len);
    at = add_until(&body, at, end, "<!--TOKEN-->", token, strlen(token));
    at = add_until(&body, at, end, "<!--SCRIPT-->", dashboard_script, dashboard_script_len);
    text_add_bytes(&body, at, (size_t)(end - at));
    http_send(
        request->http,
        &(struct http_reply){.status = 200, .type = "text/html; charset=utf-8", .policy = policy},
        &body);
}
