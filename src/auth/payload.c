#include "auth/payload.h"

#include "auth/scram.h"
#include "base/base64.h"
#include "base/text.h"

static const char *const mechanism_names[] = {
    [AUTH_OTHER] = "unknown mechanism",
    [AUTH_SCRAM_SHA_1] = "SCRAM-SHA-1",
    [AUTH_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [AUTH_PLAIN] = "PLAIN",
    [AUTH_X509] = "MONGODB-X509",
    [AUTH_OIDC] = "MONGODB-OIDC",
    [AUTH_AWS] = "MONGODB-AWS",
    [AUTH_GSSAPI] = "GSSAPI",
    [AUTH_CR] = "MONGODB-CR",
};

enum auth_mechanism auth_mechanism_of(const char *text, size_t len)
{
    for (size_t i = AUTH_OTHER + 1; i < sizeof mechanism_names / sizeof mechanism_names[0]; i++)
        if (text_is(text, len, mechanism_names[i]))
            return (enum auth_mechanism)i;
    return AUTH_OTHER;
}

const char *auth_mechanism_name(enum auth_mechanism mechanism)
{
    return mechanism_names[mechanism];
}

/* The longest name with every character escaped, and the text around it: the name is at the front.
 */
enum { DECODED_MAX = CLAIM_NAME_MAX * 3 + 64 };

_Static_assert(CLAIM_NAME_MAX == SCRAM_NAME_BYTES, "a name of SCRAM fits");

static bool scram_user(struct bytes at, char name[CLAIM_NAME_MAX], size_t *name_len)
{
    struct scram_first first;
    struct error ignored;
    if (!scram_first_read(at, &first, &ignored))
        return false;
    memcpy(name, first.name, first.name_len);
    *name_len = first.name_len;
    return true;
}

/* RFC 4616: [authzid] NUL authcid NUL password. */
static bool plain_user(struct bytes at, char name[CLAIM_NAME_MAX], size_t *name_len)
{
    const char *authzid = NULL;
    const char *authcid = NULL;
    size_t authzid_len = 0;
    size_t len = 0;
    if (!bytes_read_cstring(&at, &authzid, &authzid_len) ||
        !bytes_read_cstring(&at, &authcid, &len) || len == 0 || len > CLAIM_NAME_MAX)
        return false;
    if (authzid_len != 0 && (authzid_len != len || memcmp(authzid, authcid, len) != 0))
        return false;
    memcpy(name, authcid, len);
    *name_len = len;
    return true;
}

static bool read_user(enum auth_mechanism mechanism, struct bytes payload,
                      char name[CLAIM_NAME_MAX], size_t *name_len)
{
    if (bytes_left(&payload) == 0)
        return false;
    switch (mechanism) {
    case AUTH_SCRAM_SHA_1:
    case AUTH_SCRAM_SHA_256:
        return scram_user(payload, name, name_len);
    case AUTH_PLAIN:
        return plain_user(payload, name, name_len);
    default:
        return false;
    }
}

bool payload_user(enum auth_mechanism mechanism, const struct scan_element *payload,
                  char name[CLAIM_NAME_MAX], size_t *name_len)
{
    const char *text = NULL;
    size_t len = 0;
    struct bytes raw = payload->value;
    if (payload->kind == BSON_KIND_BINARY) /* int32 length, subtype */
        return bytes_skip(&raw, 5) && read_user(mechanism, raw, name, name_len);
    if (!scan_as_string(payload, &text, &len))
        return false;
    uint8_t decoded[DECODED_MAX];
    size_t decoded_len = base64_read_front(bytes_of(text, len), decoded, sizeof decoded);
    bool ok = read_user(mechanism, bytes_of(decoded, decoded_len), name, name_len);
    explicit_bzero(decoded, sizeof decoded); /* PLAIN: a password */
    return ok;
}
