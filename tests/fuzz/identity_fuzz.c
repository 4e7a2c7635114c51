/* Commands and replies in any order and shape: the identity stays bounded, and nobody who logged in
 * has nobody's key. Input: records of a kind byte (even: command, odd: reply), a length (2 bytes,
 * little-endian) and a body. */
#include "auth/identity.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct identity *identity)
{
    uint8_t key[IDENTITY_KEY_BYTES];
    static const uint8_t nobody[IDENTITY_KEY_BYTES];
    char text[128];
    identity_key(identity, 1, key);
    if (identity_user_count(identity) > IDENTITY_USERS_MAX)
        abort();
    if (identity_user_count(identity) > 0 && memcmp(key, nobody, sizeof key) == 0)
        abort();
    if (strlen(identity_describe(identity, text, sizeof text)) >= sizeof text)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct identity *identity = NULL;
    struct bytes rest = bytes_of(data, size);
    struct bytes head;
    struct bytes body;
    while (bytes_take(&rest, 3, &head)) {
        size_t len = (size_t)head.pos[1] | (size_t)head.pos[2] << 8;
        if (!bytes_take(&rest, len, &body))
            break;
        if (head.pos[0] % 2 == 0)
            (void)identity_command(&identity, body, NULL, 0);
        else
            (void)identity_reply(identity, body);
        check(identity);
    }
    identity_free(identity);
    return 0;
}
