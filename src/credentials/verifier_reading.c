#include "credentials/verifier_reading.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "upstream/reading_client.h"

/* The server knows no user of this name; reading it needs the right to read others. */
static const char nobody[] = "mongosluice: a user that does not exist";

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

/* A command without an answer is sent again if it failed sooner. */
enum { AGAIN_MS = 1000 };

static struct bytes text_bytes(const char *text)
{
    return bytes_of(text, strlen(text));
}

/* --- the upstream -------------------------------------------------------------------------------
 */

/* Errors of a server that cannot answer now. Every other one may be about a name in the question.
 */
static bool is_passing(uint32_t code)
{
    static const uint32_t codes[] = {6,    7,     89,    91,    189,   262,  462,
                                     9001, 10107, 11600, 11602, 13435, 13436};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (code == codes[i])
            return true;
    return false;
}

static enum reading_result fail(const bson_error_t *why, struct error *err)
{
    bool login =
        (why->domain == MONGOC_ERROR_CLIENT && why->code == MONGOC_ERROR_CLIENT_AUTHENTICATE) ||
        (why->domain == MONGOC_ERROR_SERVER && why->code == ERROR_AUTHENTICATION_FAILED);
    bool denied = why->domain == MONGOC_ERROR_SERVER && why->code == 13;
    bool refused = why->domain == MONGOC_ERROR_SERVER && !is_passing(why->code);
    if (login)
        (void)error_set(err, ERROR_AUTHENTICATION_FAILED,
                        "auth.verifiers: the server refuses the account in upstream: %.250s",
                        why->message);
    else if (denied)
        (void)error_set(err, ERROR_AUTHENTICATION_FAILED,
                        "auth.verifiers: the account in upstream may not read users. Grant it the "
                        "action viewUser on all databases: a role with {resource: {db: \"\", "
                        "collection: \"\"}, actions: [\"viewUser\"]}. The server says: %.150s",
                        why->message);
    else
        (void)error_set(err, ERROR_HOST_UNREACHABLE,
                        "auth.verifiers: the upstream does not tell users: %.300s", why->message);
    return login ? READING_NO_LOGIN : refused ? READING_DENIED : READING_AWAY;
}

/* On the primary if there is one. */
static bool run_once(mongoc_client_t **client, const bson_t *command, bson_t *reply,
                     bson_error_t *why)
{
    mongoc_read_prefs_t *prefs = mongoc_read_prefs_new(MONGOC_READ_PRIMARY_PREFERRED);
    bool ok = mongoc_client_command_simple(*client, "admin", command, prefs, reply, why);
    mongoc_read_prefs_destroy(prefs);
    if (!ok && why->domain != MONGOC_ERROR_SERVER)
        reading_client_renew(client);
    return ok;
}

/* Runs a command on admin. `reply` is always initialized. A connection that the server or the
 * network closed says little about the server, so there is a second try on another one; not after a
 * silence, because logins wait. */
static bool run(mongoc_client_t **client, const bson_t *command, bson_t *reply, bson_error_t *why)
{
    int64_t began_ms = clock_now_ms();
    bool ok = run_once(client, command, reply, why);
    if (ok || why->domain == MONGOC_ERROR_SERVER || clock_now_ms() - began_ms > AGAIN_MS)
        return ok;
    bson_destroy(reply);
    return run_once(client, command, reply, why);
}

static void wipe(bson_t *reply)
{
    explicit_bzero((void *)(uintptr_t)bson_get_data(reply), reply->len);
    bson_destroy(reply);
}

static void add_name(bson_t *list, unsigned index, const char *user, const char *database)
{
    char key[16];
    bson_t name;
    (void)snprintf(key, sizeof key, "%u", index);
    BSON_APPEND_DOCUMENT_BEGIN(list, key, &name);
    BSON_APPEND_UTF8(&name, "user", user);
    BSON_APPEND_UTF8(&name, "db", database);
    bson_append_document_end(list, &name);
}

static bool ask_for(mongoc_client_t **client, const struct verifiers_name *names, size_t count,
                    bson_t *reply, bson_error_t *why)
{
    bson_t command = BSON_INITIALIZER;
    bson_t list;
    BSON_APPEND_ARRAY_BEGIN(&command, "usersInfo", &list);
    for (size_t i = 0; i < count; i++)
        add_name(&list, (unsigned)i, names[i].user, names[i].database);
    bson_append_array_end(&command, &list);
    BSON_APPEND_BOOL(&command, "showCredentials", true);
    bool ok = run(client, &command, reply, why);
    bson_destroy(&command);
    return ok;
}

/* A reading of several users. */
struct users_reading {
    struct verifiers *verifiers;
    const struct verifiers_name *names;
    size_t count;
    int64_t began_us;
    bool found[VERIFIER_READING_MAX];
};

static bool is_named(struct bytes text, const char *name)
{
    return bytes_left(&text) == strlen(name) && memcmp(text.pos, name, bytes_left(&text)) == 0;
}

static bool take_user(void *arg, const struct verifier_user *user, struct error *err)
{
    struct users_reading *reading = arg;
    (void)err;
    for (size_t i = 0; i < reading->count; i++) {
        if (!is_named(user->user, reading->names[i].user) ||
            !is_named(user->database, reading->names[i].database))
            continue;
        reading->found[i] = true;
        (void)verifiers_store(reading->verifiers, user->user, user->database, user,
                              reading->began_us); /* otherwise it is read again */
    }
    return true;
}

/* One usersInfo. */
static enum reading_result read_together(mongoc_client_t **client, struct users_reading *reading,
                                         struct error *err)
{
    bson_t reply;
    bson_error_t why;
    enum reading_result result = READING_DONE;
    if (!ask_for(client, reading->names, reading->count, &reply, &why))
        result = fail(&why, err);
    else if (!verifier_list_read(bytes_of(bson_get_data(&reply), reply.len), take_user, reading,
                                 err))
        result = READING_DENIED;
    wipe(&reply);
    for (size_t i = 0; i < reading->count; i++) {
        struct bytes user = text_bytes(reading->names[i].user);
        struct bytes database = text_bytes(reading->names[i].database);
        if (reading->found[i])
            continue;
        if (result == READING_DONE)
            (void)verifiers_store(reading->verifiers, user, database, NULL, reading->began_us);
        else
            verifiers_fail(reading->verifiers, user, database, reading->began_us);
    }
    return result;
}

/* If the server refuses the list, or a user in it cannot be understood, reads each half alone: the
 * account may have the right in other databases only. */
enum reading_result verifier_reading_users(mongoc_client_t **client, struct verifiers *verifiers,
                                           const struct verifiers_name *names, size_t count,
                                           struct error *err)
{
    struct users_reading reading = {
        .verifiers = verifiers, .names = names, .count = count, .began_us = clock_now_us()};
    enum reading_result result = read_together(client, &reading, err);
    if (result != READING_DENIED || count < 2)
        return result;
    enum reading_result first = verifier_reading_users(client, verifiers, names, count / 2, err);
    if (first == READING_NO_LOGIN || first == READING_AWAY)
        return first;
    struct error second_err = {0};
    enum reading_result second = verifier_reading_users(client, verifiers, names + count / 2,
                                                        count - count / 2, &second_err);
    if (first == READING_DONE)
        *err = second_err;
    return first == READING_DONE ? second : first;
}

/* --- the account itself --- */

struct own_account {
    struct verifiers *verifiers;
    bool found;
    bool has_secret;
};

static void take_shapes(struct verifiers *verifiers, const struct verifier_user *user)
{
    struct scram_shape none = {0};
    if (!user->has[SCRAM_SHA_1] && !user->has[SCRAM_SHA_256])
        return;
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++) {
        const struct scram_keys *keys = &user->keys[hash];
        struct scram_shape shape = {.iterations = keys->iterations, .salt_bytes = keys->salt_bytes};
        verifiers_set_shape(verifiers, hash, user->has[hash] ? shape : none);
    }
}

static bool take_account(void *arg, const struct verifier_user *user, struct error *err)
{
    static const char label[] = "mongosluice: salts of users that do not exist";
    uint8_t text[sizeof label + 64];
    uint8_t secret[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    size_t id_len = bytes_left(&user->id);
    struct own_account *account = arg;
    (void)err;
    take_shapes(account->verifiers, user);
    account->found = true;
    if (id_len < 16 || id_len > 64)
        return true;
    memcpy(text, label, sizeof label);
    memcpy(text + sizeof label, user->id.pos, id_len);
    if (EVP_Digest(text, sizeof label + id_len, secret, &len, EVP_sha256(), NULL) == 1) {
        verifiers_set_secret(account->verifiers, bytes_of(secret, len));
        account->has_secret = true;
    }
    explicit_bzero(text, sizeof text);
    explicit_bzero(secret, sizeof secret);
    return true;
}

/* The first user of the connection. False: nobody, or the server does not tell. */
static bool find_account(mongoc_client_t **client, struct verifiers_name *out, bson_error_t *why)
{
    bson_t reply;
    bson_iter_t at;
    bson_iter_t user;
    bson_iter_t name;
    bson_t *command = BCON_NEW("connectionStatus", BCON_INT32(1));
    bool ok = run(client, command, &reply, why);
    bool found = ok && bson_iter_init(&at, &reply) &&
                 bson_iter_find_descendant(&at, "authInfo.authenticatedUsers.0", &user) &&
                 BSON_ITER_HOLDS_DOCUMENT(&user) && bson_iter_recurse(&user, &name);
    *out = (struct verifiers_name){0};
    while (found && bson_iter_next(&name)) {
        if (!BSON_ITER_HOLDS_UTF8(&name))
            continue;
        const char *text = bson_iter_utf8(&name, NULL);
        if (strcmp(bson_iter_key(&name), "user") == 0)
            (void)snprintf(out->user, sizeof out->user, "%s", text);
        if (strcmp(bson_iter_key(&name), "db") == 0)
            (void)snprintf(out->database, sizeof out->database, "%s", text);
    }
    bson_destroy(&reply);
    bson_destroy(command);
    return ok;
}

enum reading_result verifier_reading_probe(mongoc_client_t **client, struct verifiers *verifiers,
                                           bool *has_secret, struct error *err)
{
    bson_t reply;
    bson_error_t why;
    struct verifiers_name name;
    struct verifiers_name other = {.database = "admin"};
    struct own_account account = {.verifiers = verifiers};
    memcpy(other.user, nobody, sizeof nobody);
    *has_secret = false;
    if (!find_account(client, &name, &why))
        return fail(&why, err);
    bool ok = ask_for(client, &other, 1, &reply, &why);
    wipe(&reply);
    if (!ok)
        return fail(&why, err);
    if (name.user[0] == 0)
        return READING_DONE; /* a server without access control */
    if (!ask_for(client, &name, 1, &reply, &why)) {
        wipe(&reply);
        return fail(&why, err);
    }
    ok =
        verifier_list_read(bytes_of(bson_get_data(&reply), reply.len), take_account, &account, err);
    wipe(&reply);
    *has_secret = account.has_secret;
    return ok ? READING_DONE : READING_DENIED;
}

/* --- a file -------------------------------------------------------------------------------------
 */

static bool file_fault(const char *path, const char *problem, struct error *err)
{
    return error_set(err, ERROR_BAD_VALUE, "auth.verifiers: %.200s: %.250s", path, problem);
}

static bool read_descriptor(int fd, char *text, size_t len)
{
    size_t have = 0;
    while (have < len) {
        ssize_t more = read(fd, text + have, len - have);
        if (more <= 0)
            return false;
        have += (size_t)more;
    }
    return true;
}

/* The text, from memory_alloc; the caller wipes it. */
static char *read_file(const char *path, size_t *len, struct error *err)
{
    struct stat stat;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        (void)file_fault(path, strerror(errno), err);
    } else if (!S_ISREG(stat.st_mode) || stat.st_size > FILE_BYTES_MAX) {
        (void)file_fault(path, "it is not a file of at most 64 MiB", err);
    } else if ((text = memory_alloc((size_t)stat.st_size + 1)) == NULL) {
        (void)error_no_memory(err, "the file of auth.verifiers");
    } else if (!read_descriptor(fd, text, (size_t)stat.st_size)) {
        (void)file_fault(path, "it cannot be read to its end", err);
        memory_free(text);
        text = NULL;
    } else {
        *len = (size_t)stat.st_size;
        if ((stat.st_mode & S_IRWXO) != 0)
            LOG_W(LOG_ACCESS, 2010, "verifiers",
                  "Everybody on this machine may read the file of auth.verifiers",
                  LOG_STR("file", path));
    }
    if (fd >= 0)
        (void)close(fd);
    return text;
}

struct file_reading_pass {
    struct verifiers *verifiers; /* NULL: only check */
    int64_t began_us;
    bool has[SCRAM_HASHES];
    struct scram_shape shapes[SCRAM_HASHES]; /* of the first user */
};

static bool take_listed(void *arg, const struct verifier_user *user, struct error *err)
{
    struct file_reading_pass *pass = arg;
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++) {
        if (!user->has[hash] || pass->has[hash])
            continue;
        pass->has[hash] = true;
        pass->shapes[hash] = (struct scram_shape){.iterations = user->keys[hash].iterations,
                                                  .salt_bytes = user->keys[hash].salt_bytes};
    }
    return pass->verifiers == NULL ||
           verifiers_store(pass->verifiers, user->user, user->database, user, pass->began_us) ||
           error_no_memory(err, "the users in it");
}

static void put_in_force(struct verifiers *verifiers, const struct file_reading_pass *pass,
                         struct bytes secret, bool *has_secret)
{
    verifiers_drop_before(verifiers, pass->began_us);
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        if (pass->has[SCRAM_SHA_1] || pass->has[SCRAM_SHA_256])
            verifiers_set_shape(verifiers, hash, pass->shapes[hash]);
    *has_secret = bytes_left(&secret) > 0;
    if (*has_secret)
        verifiers_set_secret(verifiers, secret);
}

bool verifier_reading_file(const char *path, struct verifiers *verifiers, bool *has_secret,
                           struct error *err)
{
    uint8_t space[VERIFIER_SECRET_BYTES_MAX];
    struct bytes secret;
    struct error why;
    size_t len = 0;
    char *text = read_file(path, &len, err);
    if (text == NULL)
        return false;
    struct file_reading_pass check = {0};
    struct file_reading_pass pass = {.verifiers = verifiers, .began_us = clock_now_us()};
    bool ok = verifier_file_read(text, len, take_listed, &check, space, &secret, &why) &&
              verifier_file_read(text, len, take_listed, &pass, space, &secret, &why);
    if (ok)
        put_in_force(verifiers, &pass, secret, has_secret);
    else if (why.code == ERROR_EXCEEDED_MEMORY_LIMIT)
        *err = why;
    else
        (void)file_fault(path, why.message, err);
    explicit_bzero(space, sizeof space);
    explicit_bzero(text, len);
    memory_free(text);
    return ok;
}
