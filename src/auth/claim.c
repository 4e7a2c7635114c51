#include "auth/claim.h"

#include "base/memory.h"
#include "wire/command_names.h"

#include <stdio.h>

enum { DB_MAX = 255 };

/* The kind of command whose reply is awaited. */
enum awaited {
    AWAIT_NOTHING,
    AWAIT_SASL, /* saslStart or saslContinue */
    AWAIT_AUTHENTICATE,
    AWAIT_LOGOUT,
    AWAIT_HELLO
};

struct claimed_user {
    char *name; /* owned; NULL: not seen, ambiguous, or too long */
    char *db;   /* owned; NULL: the same */
    enum auth_mechanism mechanism;
};

struct claim {
    enum awaited awaited;
    bool has_accepted;
    struct claimed_user present; /* of the current conversation */
    struct claimed_user accepted;
};

static void user_free(struct claimed_user *user)
{
    memory_free(user->name);
    memory_free(user->db);
    *user = (struct claimed_user){0};
}

void claim_free(struct claim *claim)
{
    if (claim == NULL)
        return;
    user_free(&claim->present);
    user_free(&claim->accepted);
    memory_free(claim);
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

static bool find_string(struct bytes document, const char *field, size_t max, const char **text,
                        size_t *len)
{
    struct scan_element element;
    return scan_find_once(document, field, &element) && scan_as_string(&element, text, len) &&
           *len > 0 && *len <= max && memchr(*text, '\0', *len) == NULL;
}

static bool find_object(struct bytes document, const char *field, struct bytes *out)
{
    struct scan_element element;
    if (!scan_find_once(document, field, &element) || element.kind != BSON_KIND_OBJECT)
        return false;
    *out = element.value;
    return true;
}

static bool is_true(struct bytes document, const char *field)
{
    struct scan_element element;
    return scan_find_once(document, field, &element) && scan_is_true(&element);
}

/* The database of a command: the caller's, or the field `db_field` of the body. */
static void claim_db(struct claimed_user *user, struct bytes body, const char *db_field,
                     const char *db, size_t db_len)
{
    if (db == NULL && !find_string(body, db_field, DB_MAX, &db, &db_len))
        return;
    if (db_len > 0 && db_len <= DB_MAX)
        user->db = copy_text(db, db_len);
}

static enum auth_mechanism find_mechanism(struct bytes body, enum auth_mechanism otherwise)
{
    const char *text = NULL;
    size_t len = 0;
    return find_string(body, "mechanism", 64, &text, &len) ? auth_mechanism_of(text, len)
                                                           : otherwise;
}

static void claim_sasl(struct claimed_user *user, struct bytes body)
{
    char name[CLAIM_NAME_MAX];
    size_t len = 0;
    struct scan_element payload;
    user->mechanism = find_mechanism(body, AUTH_OTHER);
    if (scan_find_once(body, "payload", &payload) &&
        payload_user(user->mechanism, &payload, name, &len))
        user->name = copy_text(name, len);
}

/* Without a name, the server takes it from the certificate and returns it in the reply. */
static void claim_authenticate(struct claimed_user *user, struct bytes body)
{
    const char *name = NULL;
    size_t len = 0;
    user->mechanism = find_mechanism(body, AUTH_CR);
    if (find_string(body, "user", CLAIM_NAME_MAX, &name, &len))
        user->name = copy_text(name, len);
}

static enum command_name name_of(struct bytes body)
{
    struct scan scan;
    struct scan_element first;
    return scan_open(&scan, body) && scan_next(&scan, &first)
               ? command_name_find(first.name, first.name_len)
               : COMMAND_UNKNOWN;
}

static bool has_field(struct bytes body, const char *name)
{
    struct scan_element element;
    return scan_find(body, name, &element);
}

/* A hello may contain the first step of a login. If it contains several, the server chooses one,
 * and the name is ambiguous. */
static enum awaited begin_hello(struct claimed_user *user, struct bytes body)
{
    struct bytes inside;
    user_free(user);
    if (!find_object(body, "speculativeAuthenticate", &inside))
        return AWAIT_HELLO;
    claim_db(user, inside, "db", NULL, 0);
    if (name_of(inside) == COMMAND_AUTHENTICATE)
        claim_authenticate(user, inside);
    else
        claim_sasl(user, inside);
    return AWAIT_HELLO;
}

static enum awaited begin(struct claimed_user *user, struct bytes body, const char *db,
                          size_t db_len)
{
    switch (name_of(body)) {
    case COMMAND_SASL_CONTINUE:
        return AWAIT_SASL;
    case COMMAND_LOGOUT:
        return AWAIT_LOGOUT;
    case COMMAND_SASL_START:
        user_free(user);
        claim_db(user, body, "$db", db, db_len);
        claim_sasl(user, body);
        return AWAIT_SASL;
    case COMMAND_AUTHENTICATE:
        user_free(user);
        claim_db(user, body, "$db", db, db_len);
        claim_authenticate(user, body);
        return AWAIT_AUTHENTICATE;
    default:
        return begin_hello(user, body);
    }
}

/* True if the command may start, continue or end a login. */
static bool concerns(const struct claim *claim, struct bytes body)
{
    switch (name_of(body)) {
    case COMMAND_SASL_START:
    case COMMAND_AUTHENTICATE:
        return true;
    case COMMAND_SASL_CONTINUE:
    case COMMAND_LOGOUT:
        return claim != NULL;
    case COMMAND_HELLO:
    case COMMAND_IS_MASTER:
    case COMMAND_ISMASTER:
        return has_field(body, "speculativeAuthenticate");
    default:
        return false;
    }
}

bool claim_command(struct claim **claim, struct bytes body, const char *db, size_t db_len)
{
    if (!concerns(*claim, body))
        return false;
    if (*claim == NULL)
        *claim = memory_zalloc(sizeof **claim);
    if (*claim == NULL)
        return false;
    enum awaited awaited = begin(&(*claim)->present, body, db, db_len);
    /* two at once: the next reply would be ambiguous. No driver does this */
    if ((*claim)->awaited != AWAIT_NOTHING)
        user_free(&(*claim)->present);
    (*claim)->awaited = awaited;
    return true;
}

static enum claim_event accept(struct claim *claim)
{
    user_free(&claim->accepted);
    claim->accepted = claim->present;
    claim->present = (struct claimed_user){0};
    claim->has_accepted = true;
    return CLAIM_ACCEPTED;
}

static enum claim_event refuse(struct claim *claim)
{
    user_free(&claim->present);
    return CLAIM_REFUSED;
}

static enum claim_event on_sasl(struct claim *claim, struct bytes reply)
{
    return is_true(reply, "done") ? accept(claim) : CLAIM_UNCHANGED;
}

/* The server names the user. */
static enum claim_event on_authenticate(struct claim *claim, struct bytes reply)
{
    const char *text = NULL;
    size_t len = 0;
    if (claim->present.name == NULL && find_string(reply, "user", CLAIM_NAME_MAX, &text, &len))
        claim->present.name = copy_text(text, len);
    if (claim->present.db == NULL && find_string(reply, "dbname", DB_MAX, &text, &len))
        claim->present.db = copy_text(text, len);
    return accept(claim);
}

/* A server that refuses the speculative login does not mention it. */
static enum claim_event on_hello(struct claim *claim, struct bytes reply)
{
    struct bytes inside;
    if (!find_object(reply, "speculativeAuthenticate", &inside))
        return CLAIM_UNCHANGED;
    if (has_field(inside, "done"))
        return on_sasl(claim, inside);
    return has_field(inside, "user") ? on_authenticate(claim, inside) : CLAIM_UNCHANGED;
}

enum claim_event claim_reply(struct claim *claim, struct bytes body)
{
    if (claim == NULL)
        return CLAIM_UNCHANGED;
    bool ok = is_true(body, "ok");
    enum awaited awaited = claim->awaited;
    claim->awaited = AWAIT_NOTHING;
    switch (awaited) {
    case AWAIT_SASL:
        return ok ? on_sasl(claim, body) : refuse(claim);
    case AWAIT_AUTHENTICATE:
        return ok ? on_authenticate(claim, body) : refuse(claim);
    case AWAIT_LOGOUT:
        if (!ok || !claim->has_accepted)
            return CLAIM_UNCHANGED;
        user_free(&claim->accepted);
        claim->has_accepted = false;
        return CLAIM_LOGGED_OUT;
    case AWAIT_HELLO:
        return ok ? on_hello(claim, body) : CLAIM_UNCHANGED;
    default:
        return CLAIM_UNCHANGED;
    }
}

void claim_accepted(const struct claim *claim, const char **name, const char **db,
                    const char **mechanism)
{
    static const struct claimed_user nothing = {0};
    const struct claimed_user *user = claim != NULL ? &claim->accepted : &nothing;
    *name = user->name != NULL ? user->name : "?";
    *db = user->db != NULL ? user->db : "?";
    *mechanism = auth_mechanism_name(user->mechanism);
}

char *claim_describe(const struct claim *claim, char *out, size_t cap)
{
    const char *name = NULL;
    const char *db = NULL;
    const char *mechanism = NULL;
    out[0] = '\0';
    if (claim == NULL || !claim->has_accepted)
        return out;
    claim_accepted(claim, &name, &db, &mechanism);
    (void)snprintf(out, cap, "%s@%s (%s, claimed)", name, db, mechanism);
    return out;
}
