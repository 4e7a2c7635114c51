#include "auth/payload.h"

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

/* The longest name with every character escaped, and the text around it. */
enum { DECODED_MAX = CLAIM_NAME_MAX * 3 + 64 };

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Decodes as many bytes as fit, because the name is at the front. Stops at the padding. */
static size_t decode_base64(struct bytes text, uint8_t out[DECODED_MAX])
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t len = 0;
    uint8_t c = 0;
    while (len < DECODED_MAX && bytes_read_u8(&text, &c)) {
        int value = base64_value(c);
        if (value < 0)
            break;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[len++] = (uint8_t)(bits >> bit_count);
        }
    }
    return len;
}

static bool put(char name[CLAIM_NAME_MAX], size_t *len, char c)
{
    if (c == '\0' || *len == CLAIM_NAME_MAX)
        return false;
    name[(*len)++] = c;
    return true;
}

/* RFC 5802: "=2C" is a comma and "=3D" an equals sign; no other '=' may occur. */
static bool read_saslname(struct bytes at, char name[CLAIM_NAME_MAX], size_t *len)
{
    uint8_t c = 0;
    *len = 0;
    while (bytes_read_u8(&at, &c)) {
        struct bytes escape;
        if (c == ',')
            return *len > 0;
        if (c == '=') {
            if (!bytes_take(&at, 2, &escape))
                return false;
            if (memcmp(escape.pos, "2C", 2) == 0)
                c = ',';
            else if (memcmp(escape.pos, "3D", 2) == 0)
                c = '=';
            else
                return false;
        }
        if (!put(name, len, (char)c))
            return false;
    }
    return false; /* a nonce must follow */
}

/* client-first-message: gs2-cbind-flag "," [authzid] "," "n=" name ",r=" nonce. A non-empty authzid
 * would let a user act as another; the name is then unknown. */
static bool scram_user(struct bytes at, char name[CLAIM_NAME_MAX], size_t *name_len)
{
    struct bytes tag;
    const uint8_t *comma = memchr(at.pos, ',', bytes_left(&at));
    if (comma == NULL || !bytes_skip(&at, (size_t)(comma - at.pos) + 1))
        return false;
    if (!bytes_take(&at, 3, &tag) || memcmp(tag.pos, ",n=", 3) != 0)
        return false;
    return read_saslname(at, name, name_len);
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
    size_t decoded_len = decode_base64(bytes_of(text, len), decoded);
    bool ok = read_user(mechanism, bytes_of(decoded, decoded_len), name, name_len);
    explicit_bzero(decoded, sizeof decoded); /* PLAIN: a password */
    return ok;
}
