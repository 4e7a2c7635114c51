/* Commands and replies in any order and shape: claims stay bounded, a reply to connectionStatus is
 * read or rejected, and a login is harmless only if it names a mechanism. Input: records of a kind
 * byte (even: command, odd: reply), a length (2 bytes, little-endian) and a body. */
#include "auth/certificate.h"
#include "auth/claim.h"
#include "auth/identity.h"
#include "auth/payload.h"
#include "fail_memory.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_claim(const struct claim *claim)
{
    char text[128];
    const char *name = NULL;
    const char *db = NULL;
    const char *mechanism = NULL;
    if (strlen(claim_describe(claim, text, sizeof text)) >= sizeof text)
        abort();
    claim_accepted(claim, &name, &db, &mechanism);
    if (name != NULL && strlen(name) > CLAIM_NAME_MAX)
        abort();
}

static void check_identity(struct bytes body)
{
    static const uint8_t nobody[IDENTITY_KEY_BYTES];
    struct identity identity;
    uint8_t key[IDENTITY_KEY_BYTES];
    (void)identity_is_doubted(body);
    if (!identity_read(body, &identity))
        return;
    /* a single user by its name */
    const char *at = strchr(identity.text, '@');
    if (at != NULL && strpbrk(at + 1, "@, ") == NULL &&
        strlen(identity.text) < sizeof identity.text - 1 &&
        identity_of_user(bytes_of(identity.text, (size_t)(at - identity.text)),
                         bytes_of(at + 1, strlen(at + 1)), key) &&
        strchr(identity.text, ' ') == NULL && memcmp(key, identity.users, sizeof key) != 0)
        abort();
    if (identity.nobody != (memcmp(identity.users, nobody, sizeof nobody) == 0) ||
        identity.nobody != (identity.text[0] == 0) ||
        strnlen(identity.text, sizeof identity.text) == sizeof identity.text)
        abort();
}

static bool holds(struct bytes body, const char *word)
{
    return memmem(body.pos, bytes_left(&body), word, strlen(word)) != NULL;
}

static void check_certificate(struct bytes body)
{
    bool may = certificate_may_log_in("saslStart", 9, body, true);
    if (!may && !holds(body, "mechanism"))
        abort();
    (void)certificate_may_log_in("hello", 5, body, true);
    (void)certificate_may_log_in("authenticate", 12, body, true);
    if (!certificate_may_log_in("saslStart", 9, body, false))
        abort();
}

static void run(const uint8_t *data, size_t size)
{
    struct claim *claim = NULL;
    struct bytes rest = bytes_of(data, size);
    struct bytes head;
    struct bytes body;
    while (bytes_take(&rest, 3, &head)) {
        size_t len = (size_t)head.pos[1] | (size_t)head.pos[2] << 8;
        if (!bytes_take(&rest, len, &body))
            break;
        if (head.pos[0] % 2 == 0) {
            bool named = head.pos[0] % 4 == 2;
            (void)claim_command(&claim, body, named ? "shop" : NULL, named ? 4 : 0);
            check_certificate(body);
        } else {
            (void)claim_reply(claim, body);
            check_identity(body);
        }
        check_claim(claim);
    }
    claim_free(claim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run(data, size);
    if (fail_memory_for(data, size))
        run(data, size);
    memory_fail_never();
    return 0;
}
