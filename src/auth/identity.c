#include "auth/identity.h"

#include "auth/payload.h"
#include "base/memory.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { DB_MAX = 255 };

/* What the reply that is waited for answers. */
enum awaited {
    AWAIT_NOTHING,
    AWAIT_SASL, /* saslStart or saslContinue */
    AWAIT_AUTHENTICATE,
    AWAIT_LOGOUT,
    AWAIT_HELLO_SASL, /* hello with a speculative saslStart */
    AWAIT_HELLO_AUTHENTICATE
};

struct user {
    char *name; /* owned; NULL: it did not cross the wire, or is too long */
    char *db;   /* owned; NULL: likewise */
    enum auth_mechanism mechanism;
};

struct identity {
    enum awaited awaited;
    bool unclear; /* commands crossed or memory was out: who this is can not be told any more */
    bool has_key; /* `key` is that of `users` */
    uint8_t user_count;
    struct user claim;
    struct user users[IDENTITY_USERS_MAX]; /* one for each database */
    uint8_t key[IDENTITY_KEY_BYTES];
};

static const char *const watched[] = {"saslStart", "saslContinue", "authenticate", "logout",
                                      "hello",     "isMaster",     "ismaster"};

bool identity_watches(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++)
        if (strlen(watched[i]) == len && memcmp(watched[i], name, len) == 0)
            return true;
    return false;
}

static void user_free(struct user *user)
{
    memory_free(user->name);
    memory_free(user->db);
    *user = (struct user){0};
}

void identity_free(struct identity *identity)
{
    if (identity == NULL)
        return;
    user_free(&identity->claim);
    for (size_t i = 0; i < identity->user_count; i++)
        user_free(&identity->users[i]);
    memory_free(identity);
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = memory_alloc(len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* A field that stands there twice counts as not there: which one the server takes is its business,
 * and a wrong guess would make somebody another. */
static bool find_once(struct bytes document, const char *name, struct scan_element *element)
{
    struct scan scan;
    struct scan_element next;
    bool found = false;
    if (!scan_open(&scan, document))
        return false;
    while (scan_next(&scan, &next)) {
        if (!scan_name_is(&next, name))
            continue;
        if (found)
            return false;
        *element = next;
        found = true;
    }
    return found && !scan.broken;
}

static bool find_string(struct bytes document, const char *field, size_t max, const char **text,
                        size_t *len)
{
    struct scan_element element;
    return find_once(document, field, &element) && scan_as_string(&element, text, len) &&
           *len > 0 && *len <= max && memchr(*text, '\0', *len) == NULL;
}

static bool find_object(struct bytes document, const char *field, struct bytes *out)
{
    struct scan_element element;
    if (!find_once(document, field, &element) || element.kind != BSON_KIND_OBJECT)
        return false;
    *out = element.value;
    return true;
}

static bool is_true(struct bytes document, const char *field)
{
    struct scan_element element;
    return find_once(document, field, &element) && scan_is_true(&element);
}

/* The database that a command runs on: as the caller says, or the field `db_field` of the body. */
static bool claim_db(struct user *claim, struct bytes body, const char *db_field, const char *db,
                     size_t db_len)
{
    if (db == NULL && !find_string(body, db_field, DB_MAX, &db, &db_len))
        return true;
    if (db_len == 0 || db_len > DB_MAX)
        return true;
    claim->db = copy_text(db, db_len);
    return claim->db != NULL;
}

static enum auth_mechanism find_mechanism(struct bytes body, enum auth_mechanism otherwise)
{
    const char *text = NULL;
    size_t len = 0;
    return find_string(body, "mechanism", 64, &text, &len) ? auth_mechanism_of(text, len)
                                                           : otherwise;
}

/* The claim of a saslStart. False: memory is out. */
static bool claim_sasl(struct user *claim, struct bytes body)
{
    char name[IDENTITY_NAME_MAX];
    size_t len = 0;
    struct scan_element payload;
    claim->mechanism = find_mechanism(body, AUTH_OTHER);
    if (!find_once(body, "payload", &payload) ||
        !payload_user(claim->mechanism, &payload, name, &len))
        return true;
    claim->name = copy_text(name, len);
    return claim->name != NULL;
}

/* The claim of an authenticate; without a name the server takes it from the certificate and says it
 * in the reply. */
static bool claim_authenticate(struct user *claim, struct bytes body)
{
    const char *name = NULL;
    size_t len = 0;
    claim->mechanism = find_mechanism(body, AUTH_CR);
    if (!find_string(body, "user", IDENTITY_NAME_MAX, &name, &len))
        return true;
    claim->name = copy_text(name, len);
    return claim->name != NULL;
}

static bool first_name_is(struct bytes body, const char *name)
{
    struct scan scan;
    struct scan_element first;
    return scan_open(&scan, body) && scan_next(&scan, &first) && scan_name_is(&first, name);
}

/* What a command says about authentication. */
struct request {
    enum awaited awaited;
    bool continues;       /* saslContinue */
    struct bytes body;    /* that of the authentication, maybe inside a hello */
    const char *db_field; /* where that body names its database */
};

static struct request classify(struct bytes body)
{
    struct request request = {.body = body, .db_field = "$db"};
    struct scan scan;
    struct scan_element first;
    if (!scan_open(&scan, body) || !scan_next(&scan, &first) ||
        !identity_watches(first.name, first.name_len))
        return request;
    if (scan_name_is(&first, "saslStart")) {
        request.awaited = AWAIT_SASL;
    } else if (scan_name_is(&first, "saslContinue")) {
        request.awaited = AWAIT_SASL;
        request.continues = true;
    } else if (scan_name_is(&first, "authenticate")) {
        request.awaited = AWAIT_AUTHENTICATE;
    } else if (scan_name_is(&first, "logout")) {
        request.awaited = AWAIT_LOGOUT;
    } else if (find_object(body, "speculativeAuthenticate", &request.body)) {
        request.db_field = "db";
        request.awaited = first_name_is(request.body, "authenticate") ? AWAIT_HELLO_AUTHENTICATE
                                                                      : AWAIT_HELLO_SASL;
    }
    return request;
}

static bool begin_claim(struct identity *identity, const struct request *request, const char *db,
                        size_t db_len)
{
    struct user *claim = &identity->claim;
    bool speculative =
        request->awaited == AWAIT_HELLO_SASL || request->awaited == AWAIT_HELLO_AUTHENTICATE;
    user_free(claim);
    if (!claim_db(claim, request->body, request->db_field, speculative ? NULL : db, db_len))
        return false;
    switch (request->awaited) {
    case AWAIT_SASL:
    case AWAIT_HELLO_SASL:
        return claim_sasl(claim, request->body);
    case AWAIT_AUTHENTICATE:
    case AWAIT_HELLO_AUTHENTICATE:
        return claim_authenticate(claim, request->body);
    default:
        return true;
    }
}

enum identity_watch identity_command(struct identity **identity, struct bytes body, const char *db,
                                     size_t db_len)
{
    struct request request = classify(body);
    if (request.awaited == AWAIT_NOTHING)
        return IDENTITY_PASS;
    if (*identity == NULL) {
        if (request.awaited == AWAIT_LOGOUT || request.continues)
            return IDENTITY_PASS; /* there is nobody, and there will be nobody */
        *identity = memory_zalloc(sizeof **identity);
        if (*identity == NULL)
            return IDENTITY_NO_MEMORY;
    }
    struct identity *id = *identity;
    /* Two at once: whose is the next reply? No driver does this, and who wants to pass for another
     * must not gain from it. */
    if (id->awaited != AWAIT_NOTHING)
        id->unclear = true;
    id->awaited = request.awaited;
    if (request.continues)
        return IDENTITY_WATCH;
    if (begin_claim(id, &request, db, db_len))
        return IDENTITY_WATCH;
    id->unclear = true;
    return IDENTITY_NO_MEMORY;
}

static int compare_users(const struct user *a, const struct user *b)
{
    int order = strcmp(a->db, b->db);
    return order != 0 ? order : strcmp(a->name, b->name);
}

/* A set has no order: the digest takes the users sorted, while they stand in the order of their
 * logins. */
static void sort_users(const struct user *users, size_t count,
                       const struct user *sorted[IDENTITY_USERS_MAX])
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && compare_users(sorted[at - 1], &users[i]) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &users[i];
    }
}

/* Over the strings with their NULs, which neither of them can hold otherwise. */
static bool digest_users(const struct user *users, size_t count, uint8_t key[IDENTITY_KEY_BYTES])
{
    const struct user *sorted[IDENTITY_USERS_MAX];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    sort_users(users, count, sorted);
    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_DigestUpdate(ctx, sorted[i]->db, strlen(sorted[i]->db) + 1) == 1 &&
             EVP_DigestUpdate(ctx, sorted[i]->name, strlen(sorted[i]->name) + 1) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, key, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static void renew_key(struct identity *identity)
{
    identity->has_key = false;
    for (size_t i = 0; i < identity->user_count; i++)
        if (identity->users[i].name == NULL || identity->users[i].db == NULL)
            return;
    identity->has_key = digest_users(identity->users, identity->user_count, identity->key);
}

static bool same_db(const struct user *a, const struct user *b)
{
    return a->db != NULL && b->db != NULL && strcmp(a->db, b->db) == 0;
}

static bool remove_user(struct identity *identity, const struct user *of_db)
{
    for (size_t i = 0; i < identity->user_count; i++) {
        if (!same_db(&identity->users[i], of_db))
            continue;
        user_free(&identity->users[i]);
        identity->user_count--;
        memmove(&identity->users[i], &identity->users[i + 1],
                (identity->user_count - i) * sizeof identity->users[0]);
        identity->users[identity->user_count] = (struct user){0};
        return true;
    }
    return false;
}

static enum identity_event accept_claim(struct identity *identity)
{
    (void)remove_user(identity, &identity->claim);
    if (identity->user_count == IDENTITY_USERS_MAX) {
        identity->unclear = true;
        user_free(&identity->claim);
    } else {
        identity->users[identity->user_count++] = identity->claim;
        identity->claim = (struct user){0};
    }
    renew_key(identity);
    return IDENTITY_AUTHENTICATED;
}

static enum identity_event refuse_claim(struct identity *identity, enum identity_event event)
{
    user_free(&identity->claim);
    return event;
}

static enum identity_event on_sasl(struct identity *identity, struct bytes reply)
{
    return is_true(reply, "done") ? accept_claim(identity) : IDENTITY_UNCHANGED;
}

static enum identity_event on_authenticate(struct identity *identity, struct bytes reply)
{
    const char *text = NULL;
    size_t len = 0;
    if (identity->claim.name == NULL && find_string(reply, "user", IDENTITY_NAME_MAX, &text, &len))
        identity->claim.name = copy_text(text, len);
    if (identity->claim.db == NULL && find_string(reply, "dbname", DB_MAX, &text, &len))
        identity->claim.db = copy_text(text, len);
    return accept_claim(identity);
}

static enum identity_event on_logout(struct identity *identity)
{
    bool was_there = remove_user(identity, &identity->claim);
    user_free(&identity->claim);
    renew_key(identity);
    return was_there ? IDENTITY_LOGGED_OUT : IDENTITY_UNCHANGED;
}

enum identity_event identity_reply(struct identity *identity, struct bytes body)
{
    struct bytes speculative;
    bool ok = is_true(body, "ok");
    if (identity == NULL)
        return IDENTITY_UNCHANGED;
    enum awaited awaited = identity->awaited;
    identity->awaited = AWAIT_NOTHING;
    switch (awaited) {
    case AWAIT_SASL:
        return ok ? on_sasl(identity, body) : refuse_claim(identity, IDENTITY_FAILED);
    case AWAIT_AUTHENTICATE:
        return ok ? on_authenticate(identity, body) : refuse_claim(identity, IDENTITY_FAILED);
    case AWAIT_LOGOUT:
        return ok ? on_logout(identity) : refuse_claim(identity, IDENTITY_UNCHANGED);
    case AWAIT_HELLO_SASL:
    case AWAIT_HELLO_AUTHENTICATE:
        /* A server that does not take the guess says nothing about it. */
        if (!ok || !find_object(body, "speculativeAuthenticate", &speculative))
            return refuse_claim(identity, IDENTITY_UNCHANGED);
        return awaited == AWAIT_HELLO_SASL ? on_sasl(identity, speculative)
                                           : on_authenticate(identity, speculative);
    default:
        return IDENTITY_UNCHANGED;
    }
}

size_t identity_user_count(const struct identity *identity)
{
    return identity != NULL ? identity->user_count : 0;
}

void identity_key(const struct identity *identity, uint64_t connection_id,
                  uint8_t key[IDENTITY_KEY_BYTES])
{
    memset(key, 0, IDENTITY_KEY_BYTES);
    if (identity == NULL || (identity->user_count == 0 && !identity->unclear))
        return;
    if (identity->has_key && !identity->unclear) {
        memcpy(key, identity->key, IDENTITY_KEY_BYTES);
        return;
    }
    memset(key, 0xFF, IDENTITY_KEY_BYTES - sizeof connection_id);
    memcpy(key + IDENTITY_KEY_BYTES - sizeof connection_id, &connection_id, sizeof connection_id);
}

void identity_user(const struct identity *identity, size_t index, const char **name,
                   const char **db, const char **mechanism)
{
    const struct user *user = &identity->users[index];
    *name = user->name != NULL ? user->name : "?";
    *db = user->db != NULL ? user->db : "?";
    *mechanism = auth_mechanism_name(user->mechanism);
}

char *identity_describe(const struct identity *identity, char *out, size_t cap)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < identity_user_count(identity) && used < cap; i++) {
        const char *name = NULL;
        const char *db = NULL;
        const char *mechanism = NULL;
        identity_user(identity, i, &name, &db, &mechanism);
        int n = snprintf(out + used, cap - used, "%s%s@%s (%s)", i > 0 ? ", " : "", name, db,
                         mechanism);
        used += n > 0 ? (size_t)n : 0;
    }
    return out;
}
