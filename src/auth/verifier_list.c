#include "auth/verifier_list.h"

#include <bson/bson.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/table.h"
#include "bson/scan.h"

/* The name of a user in a list, for errors. */
struct list_place {
    unsigned index;
    char text[64]; /* "users[3].credentials.SCRAM-SHA-1" */
};

static bool read_bytes(struct bytes object, const struct list_place *place, const char *name,
                       uint8_t *out, size_t cap, size_t *len, struct error *err)
{
    struct scan_element element;
    const char *text = NULL;
    size_t text_len = 0;
    if (scan_find_once(object, name, &element) && scan_as_string(&element, &text, &text_len) &&
        text_len > 0 && base64_read(bytes_of(text, text_len), out, cap, len))
        return true;
    return error_set(err, ERROR_BAD_VALUE, "%s.%s must be base64, and given once", place->text,
                     name);
}

static bool read_key(struct bytes object, const struct list_place *place, const char *name,
                     size_t key_bytes, uint8_t out[SCRAM_KEY_BYTES], struct error *err)
{
    size_t len = 0;
    if (!read_bytes(object, place, name, out, SCRAM_KEY_BYTES, &len, err))
        return false;
    if (len == key_bytes)
        return true;
    return error_set(err, ERROR_BAD_VALUE, "%s.%s must have %zu bytes", place->text, name,
                     key_bytes);
}

static bool read_keys(struct bytes object, const struct list_place *place, enum scram_hash hash,
                      struct scram_keys *out, struct error *err)
{
    struct scan_element element;
    int64_t iterations = 0;
    size_t salt_len = 0;
    size_t key_bytes = scram_key_bytes(hash);
    *out = (struct scram_keys){.hash = hash};
    if (!scan_find_once(object, "iterationCount", &element) ||
        !scan_as_int64(&element, &iterations) || iterations < 1 ||
        iterations > SCRAM_ITERATIONS_MAX)
        return error_set(err, ERROR_BAD_VALUE,
                         "%s.iterationCount must be a number from 1 to %d, and given once",
                         place->text, SCRAM_ITERATIONS_MAX);
    out->iterations = (int32_t)iterations;
    if (!read_bytes(object, place, "salt", out->salt, sizeof out->salt, &salt_len, err) ||
        !read_key(object, place, "storedKey", key_bytes, out->stored_key, err) ||
        !read_key(object, place, "serverKey", key_bytes, out->server_key, err))
        return false;
    out->salt_bytes = (uint8_t)salt_len;
    return true;
}

static bool read_credentials(struct bytes credentials, unsigned index, struct verifier_user *out,
                             struct error *err)
{
    struct list_place place;
    struct scan_element element;
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++) {
        if (!scan_find(credentials, scram_mechanism_names[hash], &element))
            continue;
        (void)snprintf(place.text, sizeof place.text, "users[%u].credentials.%s", index,
                       scram_mechanism_names[hash]);
        if (!scan_find_once(credentials, scram_mechanism_names[hash], &element) ||
            element.kind != BSON_KIND_OBJECT)
            return error_set(err, ERROR_BAD_VALUE, "%s must be an object, and given once",
                             place.text);
        if (!read_keys(element.value, &place, hash, &out->keys[hash], err))
            return false;
        out->has[hash] = true;
    }
    return true;
}

static bool read_name(struct bytes object, unsigned index, const char *name, struct bytes *out,
                      struct error *err)
{
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    if (!scan_find_once(object, name, &element) || !scan_as_string(&element, &text, &len) ||
        len == 0 || len > SCRAM_NAME_BYTES || memchr(text, 0, len) != NULL)
        return error_set(err, ERROR_BAD_VALUE,
                         "users[%u].%s must be a string of 1 to %d bytes without a NUL, and given "
                         "once",
                         index, name, SCRAM_NAME_BYTES);
    *out = bytes_of(text, len);
    return true;
}

static bool read_user(struct bytes object, unsigned index, struct verifier_user *out,
                      struct error *err)
{
    struct scan_element element;
    if (!read_name(object, index, "user", &out->user, err) ||
        !read_name(object, index, "db", &out->database, err))
        return false;
    if (scan_find_once(object, "userId", &element))
        out->id = element.value;
    if (!scan_find(object, "credentials", &element))
        return true;
    if (!scan_find_once(object, "credentials", &element) || element.kind != BSON_KIND_OBJECT)
        return error_set(err, ERROR_BAD_VALUE,
                         "users[%u].credentials must be an object, and given once", index);
    return read_credentials(element.value, index, out, err);
}

bool verifier_list_read(struct bytes document, verifier_found *found, void *arg, struct error *err)
{
    struct scan scan;
    struct scan_element element;
    if (!scan_find_once(document, "users", &element) || element.kind != BSON_KIND_ARRAY ||
        !scan_open(&scan, element.value))
        return error_set(err, ERROR_BAD_VALUE, "users must be an array, and given once");
    for (unsigned index = 0; scan_next(&scan, &element); index++) {
        struct verifier_user user = {0};
        if (element.kind != BSON_KIND_OBJECT)
            return error_set(err, ERROR_BAD_VALUE, "users[%u] must be an object", index);
        bool ok = read_user(element.value, index, &user, err) && found(arg, &user, err);
        explicit_bzero(&user, sizeof user);
        if (!ok)
            return false;
    }
    return !scan.broken || error_set(err, ERROR_BAD_VALUE, "users is broken");
}

/* --- a file --- */

struct seen_user {
    UT_hash_handle hh;
    bool unhashed;
    char name[]; /* user, NUL, database */
};

struct file_reading {
    verifier_found *found;
    void *arg;
    struct seen_user *seen;
    unsigned count;
};

/* uthash's macros make it long. */
// NOLINTNEXTLINE(readability-function-size)
static bool note_seen(struct file_reading *reading, const struct verifier_user *user,
                      struct error *err)
{
    size_t user_len = bytes_left(&user->user);
    size_t len = user_len + 1 + bytes_left(&user->database);
    struct seen_user *before = NULL;
    struct seen_user *seen = memory_zalloc(sizeof *seen + len);
    if (seen == NULL)
        return error_no_memory(err, "the file's users");
    memcpy(seen->name, user->user.pos, user_len);
    memcpy(seen->name + user_len + 1, user->database.pos, bytes_left(&user->database));
    HASH_FIND(hh, reading->seen, seen->name, len, before);
    if (before == NULL)
        HASH_ADD(hh, reading->seen, name, len, seen);
    if (before == NULL && !seen->unhashed)
        return true;
    memory_free(seen);
    return before == NULL
               ? error_no_memory(err, "the file's users")
               : error_set(err, ERROR_BAD_VALUE,
                           "users[%u] names the same user as an earlier entry", reading->count);
}

static bool take_user(void *arg, const struct verifier_user *user, struct error *err)
{
    struct file_reading *reading = arg;
    if (!user->has[SCRAM_SHA_1] && !user->has[SCRAM_SHA_256])
        return error_set(err, ERROR_BAD_VALUE,
                         "users[%u].credentials has no SCRAM-SHA-1 and no SCRAM-SHA-256: take it "
                         "from usersInfo with showCredentials: true",
                         reading->count);
    if (!note_seen(reading, user, err))
        return false;
    reading->count++;
    return reading->found(reading->arg, user, err);
}

static bool read_secret(struct bytes document, uint8_t space[VERIFIER_SECRET_BYTES_MAX],
                        struct bytes *secret, struct error *err)
{
    struct scan_element element;
    const char *text = NULL;
    size_t text_len = 0;
    size_t len = 0;
    *secret = bytes_of(space, 0);
    if (!scan_find(document, "secret", &element))
        return true;
    if (!scan_find_once(document, "secret", &element) ||
        !scan_as_string(&element, &text, &text_len) ||
        !base64_read(bytes_of(text, text_len), space, VERIFIER_SECRET_BYTES_MAX, &len) ||
        len < VERIFIER_SECRET_BYTES_MIN)
        return error_set(err, ERROR_BAD_VALUE,
                         "secret must be base64 of %d to %d random bytes, and given once",
                         VERIFIER_SECRET_BYTES_MIN, VERIFIER_SECRET_BYTES_MAX);
    *secret = bytes_of(space, len);
    return true;
}

static void free_seen(struct file_reading *reading)
{
    struct seen_user *seen = NULL;
    struct seen_user *next = NULL;
    HASH_ITER(hh, reading->seen, seen, next)
    {
        HASH_DEL(reading->seen, seen);
        memory_free(seen);
    }
}

bool verifier_file_read(const char *text, size_t len, verifier_found *found, void *arg,
                        uint8_t space[VERIFIER_SECRET_BYTES_MAX], struct bytes *secret,
                        struct error *err)
{
    struct file_reading reading = {.found = found, .arg = arg};
    bson_error_t ignored; /* its message may quote a key */
    bson_t *bson = len > 0 && len <= INT32_MAX && memchr(text, 0, len) == NULL
                       ? bson_new_from_json((const uint8_t *)text, (ssize_t)len, &ignored)
                       : NULL;
    if (bson == NULL)
        return error_set(err, ERROR_FAILED_TO_PARSE, "it is not one JSON object");
    struct bytes document = bytes_of(bson_get_data(bson), bson->len);
    bool ok = read_secret(document, space, secret, err) &&
              verifier_list_read(document, take_user, &reading, err);
    free_seen(&reading);
    explicit_bzero((void *)(uintptr_t)bson_get_data(bson), bson->len);
    bson_destroy(bson);
    return ok;
}
