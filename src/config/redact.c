#include <string.h>
#include <strings.h>

#include "config/config.h"

static const char REDACTED[] = "<redacted>";

/* Parts of the names of URI options whose values are secrets. */
static bool is_secret_name(const char *name, size_t len)
{
    static const char *const parts[] = {"password", "secret", "token", "properties", "username"};
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        size_t part_len = strlen(parts[p]);
        for (size_t i = 0; part_len <= len && i <= len - part_len; i++)
            if (strncasecmp(name + i, parts[p], part_len) == 0)
                return true;
    }
    return false;
}

static void add_options(const char *options, struct text *out)
{
    while (*options != '\0') {
        size_t len = strcspn(options, "&;");
        const char *equals = memchr(options, '=', len);
        size_t name_len = equals == NULL ? len : (size_t)(equals - options);
        if (equals != NULL && is_secret_name(options, name_len)) {
            text_add_bytes(out, options, name_len + 1);
            text_add(out, REDACTED);
        } else {
            text_add_bytes(out, options, len);
        }
        options += len;
        if (*options != '\0')
            text_add_bytes(out, options++, 1);
    }
}

void config_redact_uri(const char *uri, struct text *out)
{
    const char *scheme_end = strstr(uri, "://");
    if (scheme_end == NULL) {
        /* Without its scheme, "user:password@host" is probably a mistyped URI. */
        const char *at = strrchr(uri, '@');
        text_add(out, at == NULL ? "" : REDACTED);
        text_add(out, at == NULL ? uri : at);
        return;
    }
    const char *rest = scheme_end + 3;
    const char *at = strrchr(rest, '@');
    text_add_bytes(out, uri, (size_t)(rest - uri));
    if (at != NULL) {
        text_add(out, REDACTED);
        rest = at;
    }
    size_t hosts = strcspn(rest, "?");
    text_add_bytes(out, rest, hosts);
    add_options(rest + hosts, out);
}
