#include "auth/standing.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/table.h"

#include <openssl/evp.h>

struct principal {
    UT_hash_handle hh;
    uint8_t key[IDENTITY_KEY_BYTES]; /* users, roles, server */
    uint8_t users[IDENTITY_KEY_BYTES];
    bool nobody;
    bool unhashed; /* there was no memory to insert it */
    uint32_t references;
    uint64_t incarnation;
    /* a connection of this incarnation was logged in at every time from low_us to high_us */
    int64_t low_us;
    int64_t high_us;
    char text[]; /* the text from identity_read */
};

struct standings {
    struct principal *principals;
    uint64_t last_incarnation;
};

struct standings *standings_create(void)
{
    return memory_zalloc(sizeof(struct standings));
}

void standings_destroy(struct standings *standings)
{
    if (standings == NULL)
        return;
    sluice_assert(standings->principals == NULL);
    memory_free(standings);
}

static bool write_key(const struct identity *identity, const char *server,
                      uint8_t key[IDENTITY_KEY_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, identity->rights, sizeof identity->rights) == 1 &&
              EVP_DigestUpdate(ctx, server, strlen(server)) == 1 &&
              EVP_DigestFinal_ex(ctx, key, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

/* uthash's macro makes it long. */
// NOLINTNEXTLINE(readability-function-size)
static struct principal *add(struct standings *standings, const struct identity *identity,
                             const uint8_t key[IDENTITY_KEY_BYTES])
{
    size_t len = strlen(identity->text) + 1;
    struct principal *principal = memory_zalloc(sizeof *principal + len);
    if (principal == NULL)
        return NULL;
    memcpy(principal->key, key, sizeof principal->key);
    memcpy(principal->users, identity->users, sizeof principal->users);
    memcpy(principal->text, identity->text, len);
    principal->nobody = identity->nobody;
    HASH_ADD(hh, standings->principals, key, sizeof principal->key, principal);
    if (!principal->unhashed)
        return principal;
    memory_free(principal);
    return NULL;
}

/* uthash's macro makes it long. */
// NOLINTNEXTLINE(readability-function-size)
static void leave(struct standings *standings, struct principal *principal)
{
    if (principal == NULL || --principal->references > 0)
        return;
    HASH_DEL(standings->principals, principal);
    memory_free(principal);
}

void standing_forget(struct standings *standings, struct standing *standing)
{
    leave(standings, standing->principal);
    standing->principal = NULL;
    standing->asked_us = 0;
}

/* uthash's macro makes it long. */
// NOLINTNEXTLINE(readability-function-size)
static struct principal *find(struct standings *standings, const struct identity *identity,
                              const char *server)
{
    uint8_t key[IDENTITY_KEY_BYTES];
    struct principal *principal = NULL;
    if (!write_key(identity, server, key))
        return NULL;
    HASH_FIND(hh, standings->principals, key, sizeof key, principal);
    return principal != NULL ? principal : add(standings, identity, key);
}

/* Compares the time of the standing with that of the incarnation. */
static void meet(struct standings *standings, const struct standing *standing)
{
    struct principal *principal = standing->principal;
    bool meets = principal->nobody || standing->since_us <= principal->high_us;
    if (principal->incarnation == 0 || !meets) {
        principal->incarnation = ++standings->last_incarnation;
        principal->low_us = standing->since_us;
        principal->high_us = standing->asked_us;
    } else if (standing->asked_us >= principal->low_us) {
        if (standing->since_us < principal->low_us)
            principal->low_us = standing->since_us;
        if (standing->asked_us > principal->high_us)
            principal->high_us = standing->asked_us;
    } /* otherwise the answer is older than this incarnation */
}

bool standing_learn(struct standings *standings, struct standing *standing,
                    const struct identity *identity, const char *server, int64_t asked_us)
{
    struct principal *principal = NULL;
    if (identity != NULL && !standing->in_doubt)
        principal = find(standings, identity, server);
    if (principal != NULL && principal != standing->principal) {
        principal->references++;
        standing->since_us = asked_us;
        leave(standings, standing->principal);
        standing->principal = principal;
    } else if (principal == NULL) {
        standing_forget(standings, standing);
    }
    standing->asked_us = asked_us;
    if (principal == NULL)
        return identity == NULL || standing->in_doubt;
    meet(standings, standing);
    return true;
}

bool standing_is_known(const struct standing *standing)
{
    return standing->principal != NULL;
}

bool standing_is_certain(const struct standing *standing, int64_t now_us)
{
    const struct principal *principal = standing->principal;
    return principal != NULL &&
           (principal->nobody || (standing->since_us >= principal->low_us &&
                                  now_us - standing->asked_us < STANDING_AGE_US));
}

bool standing_may_ask(const struct standing *standing, int64_t now_us)
{
    if (standing->in_doubt || standing_is_certain(standing, now_us))
        return false;
    return standing->principal != NULL || standing->asked_us == 0 ||
           now_us - standing->asked_us >= STANDING_AGE_US;
}

bool standing_are_one(const struct standing *one, const struct standing *other)
{
    const struct principal *principal = one->principal;
    return principal != NULL && principal == other->principal &&
           one->since_us >= principal->low_us && other->since_us >= principal->low_us;
}

int64_t standings_proved_us(struct standings *standings, const struct identity *identity,
                            const char *server)
{
    uint8_t key[IDENTITY_KEY_BYTES];
    struct principal *principal = NULL;
    if (!write_key(identity, server, key))
        return 0;
    HASH_FIND(hh, standings->principals, key, sizeof key, principal);
    return principal != NULL ? principal->high_us : 0;
}

const uint8_t *standing_users(const struct standing *standing)
{
    return standing->principal->users;
}

uint64_t standing_incarnation(const struct standing *standing)
{
    return standing->principal->incarnation;
}

const char *standing_text(const struct standing *standing)
{
    return standing->principal->text;
}
