#include "auth/identity.h"

#include "bson/scan.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

struct user_part {
    const char *text;
    size_t len;
};

struct identity_user {
    struct user_part db;
    struct user_part name;
};

static bool find_name(struct bytes document, const char *field, struct user_part *name)
{
    struct scan_element element;
    return scan_find_once(document, field, &element) &&
           scan_as_string(&element, &name->text, &name->len) && name->len > 0 &&
           memchr(name->text, '\0', name->len) == NULL;
}

static int compare_names(const struct user_part *a, const struct user_part *b)
{
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int compare_users(const struct identity_user *a, const struct identity_user *b)
{
    int order = compare_names(&a->db, &b->db);
    return order != 0 ? order : compare_names(&a->name, &b->name);
}

/* A set has no order, but the server lists users in the order of their logins: sort them. */
static void add_user(struct identity_user users[IDENTITY_USERS_MAX], size_t count,
                     struct identity_user user)
{
    size_t at = count;
    for (; at > 0 && compare_users(&users[at - 1], &user) > 0; at--)
        users[at] = users[at - 1];
    users[at] = user;
}

static void describe(struct identity *out, const struct identity_user *user)
{
    size_t used = strlen(out->text);
    (void)snprintf(out->text + used, sizeof out->text - used, "%s%.*s@%.*s", used > 0 ? ", " : "",
                   (int)user->name.len, user->name.text, (int)user->db.len, user->db.text);
}

static bool read_users(struct bytes list, struct identity_user users[IDENTITY_USERS_MAX],
                       size_t *count, struct identity *out)
{
    struct scan scan;
    struct scan_element each;
    *count = 0;
    if (!scan_open(&scan, list))
        return false;
    while (scan_next(&scan, &each)) {
        struct identity_user user;
        if (each.kind != BSON_KIND_OBJECT || *count == IDENTITY_USERS_MAX ||
            !find_name(each.value, "user", &user.name) || !find_name(each.value, "db", &user.db))
            return false;
        describe(out, &user);
        add_user(users, (*count)++, user);
    }
    return !scan.broken;
}

/* Includes inherited roles, so there can be many. */
enum { ROLES_MAX = 256 };

static int compare_roles(const void *a, const void *b)
{
    const struct bytes *one = a;
    const struct bytes *other = b;
    size_t len = bytes_left(one);
    size_t other_len = bytes_left(other);
    int order = memcmp(one->pos, other->pos, len < other_len ? len : other_len);
    return order != 0 ? order : (len > other_len) - (len < other_len);
}

/* Servers list roles in no order. Beyond ROLES_MAX they are taken in the server's order; two equal
 * sets in different order then count as different, which is harmless. */
static bool add_roles(EVP_MD_CTX *ctx, struct bytes list)
{
    struct bytes roles[ROLES_MAX];
    struct scan scan;
    struct scan_element each;
    size_t count = 0;
    if (!scan_open(&scan, list))
        return false;
    while (scan_next(&scan, &each)) {
        if (count == ROLES_MAX)
            return EVP_DigestUpdate(ctx, list.pos, bytes_left(&list)) == 1;
        roles[count++] = each.value;
    }
    qsort(roles, count, sizeof roles[0], compare_roles);
    for (size_t i = 0; i < count; i++)
        if (EVP_DigestUpdate(ctx, roles[i].pos, bytes_left(&roles[i])) != 1)
            return false;
    return !scan.broken;
}

static bool add_name(EVP_MD_CTX *ctx, const struct user_part *name)
{
    /* with a NUL, which no name contains */
    return EVP_DigestUpdate(ctx, name->text, name->len) == 1 && EVP_DigestUpdate(ctx, "", 1) == 1;
}

/* Hashes the users' strings, and their roles unless NULL. */
static bool digest(const struct identity_user *users, size_t count, const struct bytes *roles,
                   uint8_t key[IDENTITY_KEY_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = add_name(ctx, &users[i].db) && add_name(ctx, &users[i].name);
    ok = ok && (roles == NULL || (EVP_DigestUpdate(ctx, "", 1) == 1 && add_roles(ctx, *roles))) &&
         EVP_DigestFinal_ex(ctx, key, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool find_roles(struct bytes info, struct bytes *roles)
{
    static const uint8_t none[5] = {5};
    struct scan_element element;
    *roles = bytes_of(none, sizeof none);
    if (!scan_find(info, "authenticatedUserRoles", &element))
        return true;
    *roles = element.value;
    return scan_find_once(info, "authenticatedUserRoles", &element) &&
           element.kind == BSON_KIND_ARRAY;
}

bool identity_read(struct bytes reply, struct identity *out)
{
    struct identity_user users[IDENTITY_USERS_MAX];
    struct scan_element ok;
    struct scan_element info;
    struct scan_element list;
    struct bytes roles;
    size_t count = 0;
    *out = (struct identity){0};
    if (!scan_find_once(reply, "ok", &ok) || !scan_is_true(&ok) ||
        !scan_find_once(reply, "authInfo", &info) || info.kind != BSON_KIND_OBJECT ||
        !scan_find_once(info.value, "authenticatedUsers", &list) || list.kind != BSON_KIND_ARRAY ||
        !read_users(list.value, users, &count, out) || !find_roles(info.value, &roles))
        return false;
    out->nobody = count == 0;
    return out->nobody ||
           (digest(users, count, NULL, out->users) && digest(users, count, &roles, out->rights));
}

bool identity_is_doubted(struct bytes reply)
{
    enum { UNAUTHORIZED = 13, AUTHENTICATION_FAILED = 18, REAUTHENTICATION_REQUIRED = 391 };
    struct scan_element element;
    int64_t code = 0;
    return scan_find(reply, "code", &element) && scan_as_int64(&element, &code) &&
           (code == UNAUTHORIZED || code == AUTHENTICATION_FAILED ||
            code == REAUTHENTICATION_REQUIRED);
}

bool identity_of_user(struct bytes name, struct bytes database, uint8_t out[IDENTITY_KEY_BYTES])
{
    struct identity_user user = {.db = {(const char *)database.pos, bytes_left(&database)},
                                 .name = {(const char *)name.pos, bytes_left(&name)}};
    return digest(&user, 1, NULL, out);
}
