#include "server/users.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passwords.h"
#include "server/operation.h"

/* Users that are created more often get a salt and a password of an earlier time again. */
enum { SALTS = APPLICATION_PASSWORDS };

static const EVP_MD *digest(bool is_sha256)
{
    return is_sha256 ? EVP_sha256() : EVP_sha1();
}

void user_hmac(bool is_sha256, const uint8_t *key, size_t key_len, const char *text,
               uint8_t out[32])
{
    unsigned len = 0;
    if (HMAC(digest(is_sha256), key, (int)key_len, (const uint8_t *)text, strlen(text), out,
             &len) == NULL)
        abort();
}

void user_hash(bool is_sha256, const uint8_t *data, size_t len, uint8_t out[32])
{
    if (EVP_Digest(data, len, out, NULL, digest(is_sha256), NULL) != 1)
        abort();
}

void encode_base64(const uint8_t *data, size_t len, char *out)
{
    (void)EVP_EncodeBlock((uint8_t *)out, data, (int)len);
}

size_t decode_base64(const char *text, uint8_t *out, size_t bytes)
{
    size_t len = strlen(text);
    if (len == 0 || len % 4 != 0 || len / 4 * 3 > bytes)
        return 0;
    int got = EVP_DecodeBlock(out, (const uint8_t *)text, (int)len);
    return got < 0 ? 0 : (size_t)got - (text[len - 1] == '=') - (text[len - 2] == '=');
}

/* For SCRAM-SHA-1, MongoDB hashes the password with the name first. */
static void write_password(unsigned user, unsigned number, bool is_sha256, char out[80])
{
    char plain[80];
    uint8_t hash[16];
    if (is_sha256) {
        (void)snprintf(out, 80, APPLICATION_PASS_FORMAT, user, number);
        return;
    }
    (void)snprintf(plain, sizeof plain, APPLICATION_USER_FORMAT ":mongo:" APPLICATION_PASS_FORMAT,
                   user, user, number);
    if (EVP_Digest(plain, strlen(plain), hash, NULL, EVP_md5(), NULL) != 1)
        abort();
    for (size_t i = 0; i < sizeof hash; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static void compute(struct user_keys *keys, unsigned user, unsigned number, bool is_sha256)
{
    char password[80];
    uint8_t salted[32];
    uint8_t client_key[32];
    keys->salt_len = is_sha256 ? 28 : 16;
    keys->key_len = is_sha256 ? 32 : 20;
    for (size_t i = 0; i < keys->salt_len; i++)
        keys->salt[i] = (uint8_t)((unsigned)i * 37 + user * 11 + number * 101 + is_sha256);
    write_password(user, (number + SALTS - 1) % SALTS, is_sha256,
                   password); /* incarnations begin with 1 */
    if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), keys->salt, (int)keys->salt_len,
                          APPLICATION_ITERATIONS, digest(is_sha256), (int)keys->key_len,
                          salted) != 1)
        abort();
    user_hmac(is_sha256, salted, keys->key_len, "Client Key", client_key);
    user_hash(is_sha256, client_key, keys->key_len, keys->stored_key);
    user_hmac(is_sha256, salted, keys->key_len, "Server Key", keys->server_key);
}

const struct user_keys *user_keys(unsigned user, unsigned incarnation, bool is_sha256)
{
    static struct user_keys all[SERVER_USERS_MAX + 1][SALTS][2];
    struct user_keys *keys = &all[user][incarnation % SALTS][is_sha256];
    if (keys->key_len == 0)
        compute(keys, user, incarnation % SALTS, is_sha256);
    return keys;
}

unsigned user_of_name(const struct cluster *cluster, const char *name, bool has_database)
{
    static const char prefix[] = APPLICATION_USER_DATABASE ".";
    char expected[32];
    if (has_database && strncmp(name, prefix, sizeof prefix - 1) != 0)
        return 0;
    name += has_database ? sizeof prefix - 1 : 0;
    for (unsigned i = 1; i <= cluster->plan->users && i <= SERVER_USERS_MAX; i++) {
        (void)snprintf(expected, sizeof expected, APPLICATION_USER_FORMAT, i);
        if (strcmp(name, expected) == 0)
            return cluster->users[i].incarnation != 0 ? i : 0;
    }
    return 0;
}

/* --- dropped and created anew --- */

struct return_of {
    struct cluster *cluster;
    unsigned user;
};

static void create_user(void *arg)
{
    struct return_of *of = arg;
    struct user *user = &of->cluster->users[of->user];
    user->back = NULL;
    user->incarnation = ++user->incarnations;
    passwords_create(of->cluster->world, of->user);
}

void cluster_drop_user(struct cluster *cluster, unsigned number, int64_t until_us)
{
    if (number == 0 || number > SERVER_USERS_MAX || cluster->users[number].incarnation == 0)
        return;
    struct user *user = &cluster->users[number];
    struct return_of *of = region_take(&cluster->region, sizeof *of);
    int64_t now_us = world_now_us(cluster->world);
    *of = (struct return_of){cluster, number};
    user->incarnation = 0;
    passwords_drop(cluster->world, number);
    user->back =
        world_after(cluster->world, until_us > now_us ? until_us - now_us : 0, create_user, of);
}

/* --- commands --- */

static void append_user(bson_t *list, unsigned user)
{
    char name[32];
    bson_t one;
    (void)snprintf(name, sizeof name, APPLICATION_USER_FORMAT, user);
    bson_append_document_begin(list, "0", 1, &one);
    bson_append_utf8(&one, "user", 4, name, -1);
    bson_append_utf8(&one, "db", 2, APPLICATION_USER_DATABASE, -1);
    bson_append_document_end(list, &one);
}

static void append_role(bson_t *list)
{
    bson_t role;
    bson_append_document_begin(list, "0", 1, &role);
    bson_append_utf8(&role, "role", 4, "readWrite", -1);
    bson_append_utf8(&role, "db", 2, APPLICATION_DATABASE, -1);
    bson_append_document_end(list, &role);
}

enum step run_connection_status(struct operation *operation)
{
    bson_t info;
    bson_t list;
    unsigned user = server_connection_user(operation->connection);
    bson_append_document_begin(&operation->reply, "authInfo", -1, &info);
    bson_append_array_begin(&info, "authenticatedUsers", -1, &list);
    if (user != 0)
        append_user(&list, user);
    bson_append_array_end(&info, &list);
    bson_append_array_begin(&info, "authenticatedUserRoles", -1, &list);
    if (user != 0)
        append_role(&list);
    bson_append_array_end(&info, &list);
    bson_append_document_end(&operation->reply, &info);
    return STEP_DONE;
}

enum step run_logout(struct operation *operation)
{
    if (strcmp(operation->database, APPLICATION_USER_DATABASE) == 0)
        operation->connection->user = 0;
    return STEP_DONE;
}

static void append_credential(bson_t *credentials, const char *mechanism,
                              const struct user_keys *keys)
{
    char text[64];
    bson_t one;
    bson_append_document_begin(credentials, mechanism, -1, &one);
    bson_append_int32(&one, "iterationCount", -1, APPLICATION_ITERATIONS);
    encode_base64(keys->salt, keys->salt_len, text);
    bson_append_utf8(&one, "salt", -1, text, -1);
    encode_base64(keys->stored_key, keys->key_len, text);
    bson_append_utf8(&one, "storedKey", -1, text, -1);
    encode_base64(keys->server_key, keys->key_len, text);
    bson_append_utf8(&one, "serverKey", -1, text, -1);
    bson_append_document_end(credentials, &one);
}

static void describe_user(const struct cluster *cluster, unsigned user, bool secrets, bson_t *one)
{
    char name[32];
    char id[48];
    uint8_t uuid[16] = {0};
    bson_t list;
    unsigned incarnation = cluster->users[user].incarnation;
    (void)snprintf(name, sizeof name, APPLICATION_USER_FORMAT, user);
    (void)snprintf(id, sizeof id, APPLICATION_USER_DATABASE ".%s", name);
    uuid[0] = (uint8_t)user;
    uuid[15] = (uint8_t)incarnation;
    bson_append_utf8(one, "_id", 3, id, -1);
    bson_append_binary(one, "userId", -1, BSON_SUBTYPE_UUID, uuid, sizeof uuid);
    bson_append_utf8(one, "user", 4, name, -1);
    bson_append_utf8(one, "db", 2, APPLICATION_USER_DATABASE, -1);
    if (secrets) {
        bson_append_document_begin(one, "credentials", -1, &list);
        append_credential(&list, "SCRAM-SHA-1", user_keys(user, incarnation, false));
        append_credential(&list, "SCRAM-SHA-256", user_keys(user, incarnation, true));
        bson_append_document_end(one, &list);
    }
    bson_append_array_begin(one, "roles", -1, &list);
    append_role(&list);
    bson_append_array_end(one, &list);
    bson_append_array_begin(one, "mechanisms", -1, &list);
    bson_append_utf8(&list, "0", 1, "SCRAM-SHA-1", -1);
    bson_append_utf8(&list, "1", 1, "SCRAM-SHA-256", -1);
    bson_append_array_end(one, &list);
}

static void append_users(const struct cluster *cluster, bool secrets, bson_t *out)
{
    bson_t users;
    unsigned count = 0;
    bson_append_array_begin(out, "users", -1, &users);
    for (unsigned i = 1; i <= cluster->plan->users && i <= SERVER_USERS_MAX; i++) {
        const char *key = NULL;
        char space[16];
        bson_t one;
        if (cluster->users[i].incarnation == 0)
            continue;
        (void)bson_uint32_to_string(count++, &key, space, sizeof space);
        bson_append_document_begin(&users, key, -1, &one);
        describe_user(cluster, i, secrets, &one);
        bson_append_document_end(&users, &one);
    }
    bson_append_array_end(out, &users);
}

/* Answers all users, whichever are asked for. */
enum step run_users_info(struct operation *operation)
{
    append_users(operation->cluster, operation_int(operation, "showCredentials", 0) != 0,
                 &operation->reply);
    return STEP_DONE;
}

bool cluster_user_keys(const struct cluster *cluster, unsigned user, bool is_sha256,
                       struct cluster_user_keys *out)
{
    if (user == 0 || user > SERVER_USERS_MAX || cluster->users[user].incarnation == 0)
        return false;
    const struct user_keys *keys = user_keys(user, cluster->users[user].incarnation, is_sha256);
    *out = (struct cluster_user_keys){
        .iterations = APPLICATION_ITERATIONS, .salt_len = keys->salt_len, .key_len = keys->key_len};
    memcpy(out->salt, keys->salt, sizeof out->salt);
    memcpy(out->stored_key, keys->stored_key, sizeof out->stored_key);
    memcpy(out->server_key, keys->server_key, sizeof out->server_key);
    return true;
}
