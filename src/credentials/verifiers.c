#include "credentials/verifiers.h"

#include <pthread.h>
#include <utlist.h>

#include "base/locked_memory.h"
#include "base/table.h"
#include "base/utf8.h"

/* Each needs about 300 bytes. A flood of invented names pushes out the oldest ones. */
enum { ENTRIES_MAX = 20000 };

/* Users for which the source is asked at one time. Further logins are not checked by the proxy. */
enum { WANTED_MAX = 2000 };

/* While the source is away, a login does not wait for another try if the last one is younger. */
enum { AWAY_PAUSE_US = 1000 * 1000 };

struct known_user {
    UT_hash_handle hh;
    bool unhashed;
    bool known;                     /* the source has answered */
    struct known_user *prev, *next; /* of `wanted`, if it is in it */
    bool wanted;                    /* the source is asked */
    int64_t read_us;                /* of the last answer */
    int64_t failed_us;              /* of the last failure since then; 0: none */
    int64_t doubted_us;             /* of the last wrong proof for one of its verifiers */
    struct verifier *of[SCRAM_HASHES];
    uint16_t user_len;
    uint16_t database_len;
    char name[]; /* user, NUL, database */
};

struct verifiers {
    struct verifiers_settings settings;
    pthread_mutex_t lock;       /* guards the rest */
    struct known_user *entries; /* in the order of their last answers */
    struct known_user *wanted;  /* oldest wish first; utlist */
    size_t wanted_count;
    int64_t expired_us;
    struct scram_shape shapes[SCRAM_HASHES];
    size_t secret_len;
    uint8_t *secret; /* in locked memory */
};

struct verifiers *verifiers_new(const struct verifiers_settings *settings)
{
    struct verifiers *verifiers = memory_zalloc(sizeof *verifiers);
    uint8_t *secret = locked_memory_alloc();
    if (verifiers == NULL || secret == NULL) {
        memory_free(verifiers);
        locked_memory_free(secret);
        return NULL;
    }
    verifiers->settings = *settings;
    verifiers->secret = secret;
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        verifiers->shapes[hash] = scram_default_shape(hash);
    pthread_mutex_init(&verifiers->lock, NULL);
    return verifiers;
}

/* It is in no table. */
static void free_user(struct known_user *entry)
{
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        verifier_release(entry->of[hash]);
    memory_free(entry);
}

static void end_wish(struct verifiers *verifiers, struct known_user *entry)
{
    if (!entry->wanted)
        return;
    DL_DELETE(verifiers->wanted, entry);
    verifiers->wanted_count--;
    entry->wanted = false;
}

static void drop(struct verifiers *verifiers, struct known_user *entry)
{
    HASH_DEL(verifiers->entries, entry);
    end_wish(verifiers, entry);
    free_user(entry);
}

void verifiers_free(struct verifiers *verifiers)
{
    if (verifiers == NULL)
        return;
    while (verifiers->entries != NULL)
        drop(verifiers, verifiers->entries);
    locked_memory_free(verifiers->secret);
    pthread_mutex_destroy(&verifiers->lock);
    memory_free(verifiers);
}

/* --- entries --- */

enum { KEY_BYTES = 2 * SCRAM_NAME_BYTES + 1 };

/* MongoDB's limits of names. Others never go to the source: one of them would spoil the question
 * for all. */
static bool may_exist(struct bytes user, struct bytes database)
{
    enum { DATABASE_BYTES_MAX = 63 };
    size_t user_len = bytes_left(&user);
    size_t database_len = bytes_left(&database);
    if (user_len == 0 || user_len > SCRAM_NAME_BYTES || database_len == 0 ||
        database_len > DATABASE_BYTES_MAX || memchr(user.pos, 0, user_len) != NULL)
        return false;
    for (size_t i = 0; i < database_len; i++)
        if (database.pos[i] == 0 || strchr("/\\. \"$", database.pos[i]) != NULL)
            return false;
    return utf8_check(user.pos, user_len) && utf8_check(database.pos, database_len);
}

/* 0: such a user cannot exist. */
static size_t write_key(struct bytes user, struct bytes database, char key[KEY_BYTES])
{
    size_t user_len = bytes_left(&user);
    size_t database_len = bytes_left(&database);
    if (!may_exist(user, database))
        return 0;
    memcpy(key, user.pos, user_len);
    key[user_len] = 0;
    memcpy(key + user_len + 1, database.pos, database_len);
    return user_len + 1 + database_len;
}

static struct known_user *find(struct verifiers *verifiers, struct bytes user,
                               struct bytes database)
{
    char key[KEY_BYTES];
    struct known_user *entry = NULL;
    size_t len = write_key(user, database, key);
    if (len > 0)
        HASH_FIND(hh, verifiers->entries, key, len, entry);
    return entry;
}

/* Makes room: drops the entry whose answer is the oldest and that nobody waits for. */
static void make_room(struct verifiers *verifiers)
{
    struct known_user *entry = verifiers->entries;
    if (HASH_COUNT(verifiers->entries) < ENTRIES_MAX)
        return;
    while (entry != NULL && entry->wanted)
        entry = entry->hh.next;
    if (entry != NULL)
        drop(verifiers, entry);
}

static void add(struct verifiers *verifiers, struct known_user *entry)
{
    size_t len = (size_t)entry->user_len + 1 + entry->database_len;
    entry->unhashed = false;
    HASH_ADD(hh, verifiers->entries, name, len, entry);
}

/* The entry, made if needed. NULL without memory, or if there is no room. */
static struct known_user *demand(struct verifiers *verifiers, struct bytes user,
                                 struct bytes database)
{
    char key[KEY_BYTES];
    struct known_user *entry = find(verifiers, user, database);
    size_t len = write_key(user, database, key);
    if (entry != NULL || len == 0)
        return entry;
    if (!verifiers->settings.complete)
        make_room(verifiers);
    if (!verifiers->settings.complete && HASH_COUNT(verifiers->entries) >= ENTRIES_MAX)
        return NULL;
    entry = memory_zalloc(sizeof *entry + len);
    if (entry == NULL)
        return NULL;
    memcpy(entry->name, key, len);
    entry->user_len = (uint16_t)bytes_left(&user);
    entry->database_len = (uint16_t)bytes_left(&database);
    add(verifiers, entry);
    if (!entry->unhashed)
        return entry;
    memory_free(entry);
    return NULL;
}

/* --- logins --- */

static enum verifiers_result give(const struct known_user *entry, struct verifier *of[SCRAM_HASHES])
{
    bool any = false;
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        if (entry->of[hash] != NULL) {
            of[hash] = verifier_retain(entry->of[hash]);
            any = true;
        }
    return any ? VERIFIERS_FOUND : VERIFIERS_NO_USER;
}

static bool is_fresh(const struct verifiers *verifiers, const struct known_user *entry,
                     const struct verifiers_question *question)
{
    if (!entry->known)
        return false;
    if (verifiers->settings.complete)
        return true;
    if (question->since_us != 0 && entry->read_us >= question->since_us)
        return true;
    return entry->read_us >= verifiers->expired_us &&
           question->now_us - entry->read_us <= verifiers->settings.max_age_us;
}

/* The source failed: known verifiers serve for a while, and the source is asked again. That there
 * was no such user, or no credential, says nothing about now. */
static enum verifiers_result find_while_away(const struct verifiers *verifiers,
                                             const struct known_user *entry,
                                             const struct verifiers_question *question,
                                             struct verifier *of[SCRAM_HASHES])
{
    if (entry->known && entry->read_us >= verifiers->expired_us &&
        entry->read_us >= entry->doubted_us &&
        question->now_us - entry->read_us <= verifiers->settings.away_use_us &&
        give(entry, of) == VERIFIERS_FOUND)
        return VERIFIERS_FOUND;
    return VERIFIERS_AWAY;
}

/* Whether the login need not wait for the next try of the source. */
static bool is_away(const struct known_user *entry, const struct verifiers_question *question)
{
    if (entry->failed_us == 0)
        return false;
    return question->since_us != 0 ? entry->failed_us >= question->since_us
                                   : question->now_us - entry->failed_us <= AWAY_PAUSE_US;
}

static enum verifiers_result look_up(struct verifiers *verifiers,
                                     const struct verifiers_question *question,
                                     struct verifier *of[SCRAM_HASHES], bool *ask)
{
    char key[KEY_BYTES];
    if (write_key(question->user, question->database, key) == 0)
        return VERIFIERS_NO_USER;
    struct known_user *entry = verifiers->settings.complete
                                   ? find(verifiers, question->user, question->database)
                                   : demand(verifiers, question->user, question->database);
    if (entry == NULL)
        return verifiers->settings.complete ? VERIFIERS_NO_USER : VERIFIERS_AWAY;
    if (is_fresh(verifiers, entry, question))
        return give(entry, of);
    if (is_away(entry, question))
        return find_while_away(verifiers, entry, question, of);
    if (!entry->wanted && verifiers->wanted_count >= WANTED_MAX)
        return VERIFIERS_AWAY;
    *ask = !entry->wanted;
    if (*ask) {
        DL_APPEND(verifiers->wanted, entry);
        verifiers->wanted_count++;
        entry->wanted = true;
    }
    return VERIFIERS_WAIT;
}

enum verifiers_result verifiers_find(struct verifiers *verifiers,
                                     const struct verifiers_question *question,
                                     struct verifier *of[SCRAM_HASHES])
{
    bool ask = false;
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        of[hash] = NULL;
    pthread_mutex_lock(&verifiers->lock);
    enum verifiers_result result = look_up(verifiers, question, of, &ask);
    pthread_mutex_unlock(&verifiers->lock);
    if (ask)
        verifiers->settings.ask(verifiers->settings.arg);
    return result;
}

bool verifiers_invent(struct verifiers *verifiers, enum scram_hash hash, struct bytes user,
                      struct bytes database, struct scram_keys *out)
{
    pthread_mutex_lock(&verifiers->lock);
    struct scram_shape shape = verifiers->shapes[hash];
    if (shape.iterations == 0)
        shape = scram_default_shape(hash);
    bool ok = scram_invent_keys(hash, shape, bytes_of(verifiers->secret, verifiers->secret_len),
                                user, database, out);
    pthread_mutex_unlock(&verifiers->lock);
    return ok;
}

bool verifiers_invents(struct verifiers *verifiers, enum scram_hash hash)
{
    pthread_mutex_lock(&verifiers->lock);
    bool has = verifiers->shapes[hash].iterations != 0;
    pthread_mutex_unlock(&verifiers->lock);
    return has;
}

void verifiers_forget(struct verifiers *verifiers, struct bytes user, struct bytes database)
{
    pthread_mutex_lock(&verifiers->lock);
    struct known_user *entry = find(verifiers, user, database);
    if (entry != NULL && !verifiers->settings.complete)
        entry->known = false;
    pthread_mutex_unlock(&verifiers->lock);
}

void verifiers_doubt(struct verifiers *verifiers, const struct verifier *verifier, int64_t now_us)
{
    pthread_mutex_lock(&verifiers->lock);
    struct known_user *entry =
        find(verifiers, verifier_user(verifier), verifier_database(verifier));
    if (entry != NULL && entry->of[verifier_keys(verifier)->hash] == verifier)
        entry->doubted_us = now_us;
    pthread_mutex_unlock(&verifiers->lock);
}

void verifiers_expire(struct verifiers *verifiers, int64_t now_us)
{
    pthread_mutex_lock(&verifiers->lock);
    verifiers->expired_us = now_us;
    pthread_mutex_unlock(&verifiers->lock);
}

/* --- the source --- */

size_t verifiers_take_wanted(struct verifiers *verifiers, struct verifiers_name *names, size_t cap)
{
    size_t count = 0;
    pthread_mutex_lock(&verifiers->lock);
    while (count < cap && verifiers->wanted != NULL) {
        struct known_user *entry = verifiers->wanted;
        struct verifiers_name *name = &names[count++];
        end_wish(verifiers, entry);
        memcpy(name->user, entry->name, (size_t)entry->user_len + 1);
        memcpy(name->database, entry->name + entry->user_len + 1, entry->database_len);
        name->database[entry->database_len] = 0;
    }
    pthread_mutex_unlock(&verifiers->lock);
    return count;
}

/* Keeps the object if the keys are the same: it stands for the credential. False without memory. */
static bool take_keys(struct known_user *entry, enum scram_hash hash,
                      const struct verifier_user *found)
{
    struct verifier *old = entry->of[hash];
    bool has = found != NULL && found->has[hash];
    if (has && old != NULL && !verifier_is_stale(old) &&
        scram_keys_equal(verifier_keys(old), &found->keys[hash]))
        return true;
    struct verifier *fresh =
        has ? verifier_new(found->user, found->database, &found->keys[hash]) : NULL;
    if (has && fresh == NULL)
        return false;
    if (old != NULL)
        verifier_note_stale(old);
    verifier_release(old);
    entry->of[hash] = fresh;
    return true;
}

static bool store(struct verifiers *verifiers, struct bytes user, struct bytes database,
                  const struct verifier_user *found, int64_t read_us)
{
    struct known_user *entry = demand(verifiers, user, database);
    if (entry == NULL)
        return false;
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        if (!take_keys(entry, hash, found))
            return false;
    entry->known = true;
    entry->read_us = read_us;
    entry->failed_us = 0;
    if (entry->hh.next == NULL || verifiers->settings.complete)
        return true;
    HASH_DEL(verifiers->entries, entry); /* to the end: it is the youngest */
    add(verifiers, entry);
    if (entry->unhashed) { /* without memory it is forgotten */
        end_wish(verifiers, entry);
        free_user(entry);
        return false;
    }
    return true;
}

bool verifiers_store(struct verifiers *verifiers, struct bytes user, struct bytes database,
                     const struct verifier_user *found, int64_t read_us)
{
    pthread_mutex_lock(&verifiers->lock);
    bool stored = store(verifiers, user, database, found, read_us);
    pthread_mutex_unlock(&verifiers->lock);
    return stored;
}

void verifiers_fail(struct verifiers *verifiers, struct bytes user, struct bytes database,
                    int64_t read_us)
{
    pthread_mutex_lock(&verifiers->lock);
    struct known_user *entry = find(verifiers, user, database);
    if (entry != NULL)
        entry->failed_us = read_us;
    pthread_mutex_unlock(&verifiers->lock);
}

void verifiers_drop_before(struct verifiers *verifiers, int64_t read_us)
{
    struct known_user *entry = NULL;
    struct known_user *next = NULL;
    pthread_mutex_lock(&verifiers->lock);
    HASH_ITER(hh, verifiers->entries, entry, next)
    {
        if (entry->read_us < read_us)
            drop(verifiers, entry);
    }
    pthread_mutex_unlock(&verifiers->lock);
}

void verifiers_set_secret(struct verifiers *verifiers, struct bytes secret)
{
    size_t len = bytes_left(&secret);
    pthread_mutex_lock(&verifiers->lock);
    verifiers->secret_len = len < LOCKED_BLOCK_BYTES ? len : LOCKED_BLOCK_BYTES;
    if (verifiers->secret_len > 0)
        memcpy(verifiers->secret, secret.pos, verifiers->secret_len);
    pthread_mutex_unlock(&verifiers->lock);
}

void verifiers_set_shape(struct verifiers *verifiers, enum scram_hash hash,
                         struct scram_shape shape)
{
    pthread_mutex_lock(&verifiers->lock);
    verifiers->shapes[hash] = shape;
    pthread_mutex_unlock(&verifiers->lock);
}
