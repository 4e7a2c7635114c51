#include "accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bson/build.h"
#include "bson/scan.h"
#include "wire/header.h"
#include "wire/sections.h"

#define MAGIC ((int64_t)0x5A17C0DE0BADF00D)

/* Who is logged in: an incarnation of each user, 0 for none. */
struct who {
    uint32_t of[ACCOUNTS_USERS];
};

/* A connection: the one of a client, or in shared mode one that clients share. */
struct life {
    int slot;                /* of its upstream connection; -1: it is gone, or none */
    uint32_t uses;           /* of its slot, for shared ones */
    const struct life *last; /* the sender of its last command, for shared ones */
    struct who who;
    int begun; /* the user of the conversation that is under way; -1: none */
    uint32_t begun_incarnation;
    bool proven; /* one more step, and it is done */
};

struct accounts {
    struct rig *rig;
    unsigned manner;
    uint32_t incarnation[ACCOUNTS_USERS];
    uint32_t count;
    struct life lives[ACCOUNTS_LIVES_MAX];
    bool shared;
    struct life carriers[RIG_UPSTREAMS]; /* by slot, if clients share */
    uint64_t handed_over;
};

static const char *const names[ACCOUNTS_USERS] = {"alice", "bob"};

struct accounts *accounts_open(struct rig *rig, enum rig_mode mode)
{
    struct accounts *accounts = calloc(1, sizeof *accounts);
    if (accounts == NULL)
        abort();
    accounts->rig = rig;
    accounts->shared = mode == RIG_SHARED;
    return accounts;
}

void accounts_reset(struct accounts *accounts, unsigned manner)
{
    accounts->manner = manner;
    accounts->count = 0;
    for (size_t i = 0; i < ACCOUNTS_USERS; i++)
        accounts->incarnation[i] = 1;
}

accounts_life accounts_next(const struct accounts *accounts)
{
    return accounts->count;
}

uint64_t accounts_handed_over(const struct accounts *accounts)
{
    return accounts->handed_over;
}

unsigned accounts_tag(accounts_life life)
{
    return life + 1;
}

accounts_life accounts_begin(struct accounts *accounts)
{
    int slot = -1;
    struct timespec wait = {.tv_nsec = 100000};
    if (accounts->count == ACCOUNTS_LIVES_MAX)
        abort(); /* the play is to be shorter */
    for (int i = 0; !accounts->shared && slot < 0 && i < 100000; i++) {
        rig_settle(accounts->rig);
        slot = rig_accept(accounts->rig);
        if (slot >= 0)
            break;
        nanosleep(&wait, NULL);
        if (i % 50 == 49) /* ended connections may have all the room; first they want answers */
            accounts_serve(accounts, ACCOUNTS_RIGHT);
    }
    if (slot < 0 && !accounts->shared) {
        (void)fprintf(stderr, "accounts: the proxy has made no connection\n");
        abort();
    }
    accounts->lives[accounts->count] = (struct life){.slot = slot, .begun = -1};
    return accounts->count++;
}

void accounts_renew(struct accounts *accounts, unsigned user)
{
    accounts->incarnation[user]++;
    for (uint32_t i = 0; i < accounts->count; i++)
        accounts->lives[i].who.of[user] = 0;
    for (size_t i = 0; i < RIG_UPSTREAMS; i++)
        accounts->carriers[i].who.of[user] = 0;
}

/* --- what commands say --------------------------------------------------------------------------
 */

static bool find(const struct accounts *accounts, struct bytes document, const char *name,
                 struct scan_element *element)
{
    struct scan scan;
    struct scan_element next;
    bool found = false;
    if (!scan_open(&scan, document))
        return false;
    while (scan_next(&scan, &next)) {
        if (!scan_name_is(&next, name) || (found && (accounts->manner & ACCOUNTS_LAST_FIELD) == 0))
            continue;
        *element = next;
        found = true;
    }
    return found;
}

/* The user whose name follows `word` in that field; -1: none. */
static int find_user(const struct accounts *accounts, struct bytes document, const char *field,
                     const char *word)
{
    struct scan_element element;
    if (!find(accounts, document, field, &element))
        return -1;
    for (int i = 0; i < ACCOUNTS_USERS; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%s%s", word, names[i]);
        if (memmem(element.value.pos, bytes_left(&element.value), text, strlen(text)) != NULL)
            return i;
    }
    return -1;
}

static void log_in(struct accounts *accounts, struct life *life, int user, uint32_t incarnation)
{
    if ((accounts->manner & ACCOUNTS_ADDS_LOGINS) == 0)
        life->who = (struct who){{0}};
    life->who.of[user] = incarnation;
}

/* --- answers ------------------------------------------------------------------------------------
 */

static void put_error(struct build *reply, int32_t code)
{
    build_int32(reply, "ok", 0);
    build_int32(reply, "code", code);
    build_text(reply, "errmsg", "no");
}

static void put_step(struct build *reply, bool done)
{
    build_int32(reply, "conversationId", 1);
    build_bool(reply, "done", done);
    build_text(reply, "payload", "");
}

static void begin(struct accounts *accounts, struct life *life, int user)
{
    life->begun = user;
    life->begun_incarnation = accounts->incarnation[user];
    life->proven = false;
}

static void on_start(struct accounts *accounts, struct life *life, struct bytes body,
                     struct build *reply)
{
    int user = find_user(accounts, body, "payload", "n=");
    if (user < 0) {
        put_error(reply, 18);
        return;
    }
    begin(accounts, life, user);
    put_step(reply, false);
    build_int32(reply, "ok", 1);
}

static void on_continue(struct accounts *accounts, struct life *life, struct bytes body,
                        struct build *reply)
{
    int user = find_user(accounts, body, "payload", "proof=");
    bool last = life->proven;
    if (life->begun < 0 || (!last && user != life->begun) ||
        life->begun_incarnation != accounts->incarnation[life->begun]) {
        life->begun = -1;
        put_error(reply, 18);
        return;
    }
    life->proven = true;
    if (last || (accounts->manner & ACCOUNTS_EMPTY_STEP) == 0) {
        log_in(accounts, life, life->begun, life->begun_incarnation);
        life->begun = -1;
        last = true;
    }
    put_step(reply, last);
    build_int32(reply, "ok", 1);
}

static void on_authenticate(struct accounts *accounts, struct life *life, struct bytes body,
                            struct build *reply)
{
    int user = find_user(accounts, body, "key", "proof=");
    if (user < 0 || find_user(accounts, body, "user", "") != user) {
        put_error(reply, 18);
        return;
    }
    log_in(accounts, life, user, accounts->incarnation[user]);
    build_text(reply, "dbname", "admin");
    build_text(reply, "user", names[user]);
    build_int32(reply, "ok", 1);
}

static void on_logout(struct accounts *accounts, struct life *life, struct bytes body,
                      struct build *reply)
{
    struct scan_element db;
    const char *text = NULL;
    size_t len = 0;
    if (find(accounts, body, "$db", &db) && scan_as_string(&db, &text, &len) && len == 5 &&
        memcmp(text, "admin", 5) == 0)
        life->who = (struct who){{0}};
    build_int32(reply, "ok", 1);
}

static void on_hello(struct accounts *accounts, struct life *life, struct bytes body,
                     struct build *reply)
{
    struct scan_element inside;
    build_bool(reply, "isWritablePrimary", true);
    if (find(accounts, body, "speculativeAuthenticate", &inside) &&
        inside.kind == BSON_KIND_OBJECT) {
        int user = find_user(accounts, inside.value, "payload", "n=");
        if (user >= 0) {
            begin(accounts, life, user);
            build_open_object(reply, "speculativeAuthenticate");
            put_step(reply, false);
            build_close(reply);
        }
    }
    build_int32(reply, "ok", 1);
}

static void on_status(struct accounts *accounts, const struct life *life, struct build *reply)
{
    const struct life *first = accounts->shared ? accounts->carriers : accounts->lives;
    if ((accounts->manner & ACCOUNTS_DOES_NOT_SAY) != 0 && (life - first) % 3 == 0) {
        put_error(reply, 13);
        return;
    }
    build_open_object(reply, "authInfo");
    build_open_array(reply, "authenticatedUsers");
    for (size_t i = 0; i < ACCOUNTS_USERS; i++) {
        if (life->who.of[i] == 0)
            continue;
        build_open_object(reply, NULL);
        build_text(reply, "user", names[i]);
        build_text(reply, "db", "admin");
        build_close(reply);
    }
    build_close(reply);
    build_close(reply);
    build_int32(reply, "ok", 1);
}

/* --- documents ----------------------------------------------------------------------------------
 */

size_t accounts_document(accounts_life life, uint32_t number, uint8_t *out)
{
    struct build build;
    struct bytes document;
    int64_t id = (int64_t)life << 32 | number;
    build_begin(&build, RIG_MESSAGE_BYTES);
    build_int64(&build, "_id", id);
    build_int64(&build, "same", id ^ MAGIC);
    if (!build_finish(&build, &document))
        abort();
    size_t len = bytes_left(&document);
    memcpy(out, document.pos, len);
    build_free(&build);
    return len;
}

/* Something runs as another user than its client's: the finding. */
static void compare(struct accounts *accounts, const struct life *life, struct life *carrier,
                    const char *what)
{
    if (memcmp(&life->who, &carrier->who, sizeof life->who) == 0) {
        if (carrier->last != NULL && carrier->last != life &&
            (life->who.of[0] != 0 || life->who.of[1] != 0))
            accounts->handed_over++;
        carrier->last = life;
        return;
    }
    (void)fprintf(stderr,
                  "%s of connection %u (alice %u, bob %u) runs on connection %u (alice %u, bob "
                  "%u)\n",
                  what, (unsigned)(life - accounts->lives), life->who.of[0], life->who.of[1],
                  (unsigned)(carrier - (accounts->shared ? accounts->carriers : accounts->lives)),
                  carrier->who.of[0], carrier->who.of[1]);
    abort();
}

static void check_document(struct accounts *accounts, struct life *carrier, struct bytes document)
{
    struct scan_element id;
    struct scan_element same;
    int64_t a = 0;
    int64_t b = 0;
    if (!scan_find(document, "_id", &id) || !scan_find(document, "same", &same) ||
        !scan_as_int64(&id, &a) || !scan_as_int64(&same, &b) || (a ^ MAGIC) != b ||
        (uint64_t)a >> 32 >= accounts->count)
        return; /* it was changed on its way to the proxy */
    compare(accounts, &accounts->lives[(uint64_t)a >> 32], carrier, "a document");
}

static int32_t check_sequence(struct accounts *accounts, struct life *carrier, struct bytes section)
{
    int32_t count = 0;
    const uint8_t *name = section.pos + 4;
    const uint8_t *end = memchr(name, 0, (size_t)(section.end - name));
    if (end == NULL)
        return 0;
    section.pos = end + 1;
    while (bytes_left(&section) >= 5) {
        struct bytes document;
        int32_t len = bytes_load_i32(section.pos);
        if (len < 5 || !bytes_take(&section, (size_t)len, &document))
            break;
        check_document(accounts, carrier, document);
        count++;
    }
    return count;
}

static void on_insert(struct accounts *accounts, struct life *carrier, struct bytes payload,
                      enum accounts_answer how, struct build *reply)
{
    int32_t count = 0;
    struct bytes section;
    uint8_t kind = 0;
    (void)bytes_skip(&payload, 4);
    while (bytes_read_u8(&payload, &kind) && bytes_left(&payload) >= 4) {
        int32_t len = bytes_load_i32(payload.pos);
        if (len < 5 || !bytes_take(&payload, (size_t)len, &section))
            break;
        if (kind == 1)
            count += check_sequence(accounts, carrier, section);
    }
    if (how == ACCOUNTS_ERROR) {
        put_error(reply, 91);
        build_open_array(reply, "errorLabels");
        build_text(reply, NULL, "RetryableWriteError");
        build_close(reply);
        return;
    }
    build_int32(reply, "n", count);
    build_int32(reply, "ok", 1);
}

/* --- messages -----------------------------------------------------------------------------------
 */

static void run(struct accounts *accounts, struct life *life, struct bytes payload,
                struct bytes body, enum accounts_answer how, struct build *reply)
{
    struct scan scan;
    struct scan_element first = {.name = ""};
    if (scan_open(&scan, body))
        (void)scan_next(&scan, &first);
    if (scan_name_is(&first, "saslStart"))
        on_start(accounts, life, body, reply);
    else if (scan_name_is(&first, "saslContinue"))
        on_continue(accounts, life, body, reply);
    else if (scan_name_is(&first, "authenticate"))
        on_authenticate(accounts, life, body, reply);
    else if (scan_name_is(&first, "logout"))
        on_logout(accounts, life, body, reply);
    else if (scan_name_is(&first, "hello") || scan_name_is(&first, "isMaster") ||
             scan_name_is(&first, "ismaster"))
        on_hello(accounts, life, body, reply);
    else if (scan_name_is(&first, "connectionStatus"))
        on_status(accounts, life, reply);
    else if (scan_name_is(&first, "insert"))
        on_insert(accounts, life, payload, how, reply);
    else if (scan_name_is(&first, "ping"))
        build_int32(reply, "ok", 1);
    else
        put_error(reply, 59);
}

/* The life that sent the request; NULL: the proxy itself sent it. */
static struct life *sender(struct accounts *accounts, const struct wire_header *request)
{
    uint32_t id = (uint32_t)request->request_id;
    for (accounts_life i = 0; i < accounts->count; i++)
        if (rig_request_id(accounts_tag(i), id) == id)
            return &accounts->lives[i];
    return NULL;
}

/* The proxy's own messages have random requestIDs. Documents tell their client themselves. */
static bool may_be_of_proxy(struct bytes body)
{
    struct scan scan;
    struct scan_element first = {.name = ""};
    return !scan_open(&scan, body) || !scan_next(&scan, &first) ||
           scan_name_is(&first, "connectionStatus") || scan_name_is(&first, "insert");
}

/* Plays the command on the connection that its client would have without a proxy. */
static void play_beside(struct accounts *accounts, struct life *carrier,
                        const struct wire_header *request, struct bytes payload, struct bytes body,
                        enum accounts_answer how)
{
    struct build unsent;
    struct life *life = sender(accounts, request);
    if (life == NULL || may_be_of_proxy(body))
        return;
    compare(accounts, life, carrier, "a command");
    build_begin(&unsent, RIG_MESSAGE_BYTES);
    run(accounts, life, payload, body, how, &unsent);
    build_free(&unsent);
}

static void send_reply(struct accounts *accounts, const struct life *life,
                       const struct wire_header *request, struct build *reply)
{
    uint8_t out[RIG_MESSAGE_BYTES];
    struct bytes document;
    if (!build_finish(reply, &document) || bytes_left(&document) > sizeof out - 21)
        abort();
    size_t len = 21 + bytes_left(&document);
    struct wire_header header = {.length = (int32_t)len,
                                 .request_id = 1,
                                 .response_to = request->request_id,
                                 .opcode = WIRE_OP_MSG};
    wire_header_write(out, &header);
    memset(out + WIRE_HEADER_BYTES, 0, 5);
    memcpy(out + 21, document.pos, bytes_left(&document));
    rig_reply(accounts->rig, (size_t)life->slot, out, len);
}

static void take(struct accounts *accounts, struct life *life, struct bytes message,
                 enum accounts_answer how)
{
    struct build reply;
    struct bytes body;
    struct error err;
    uint32_t flags = 0;
    struct wire_header header = wire_header_read(message.pos);
    struct bytes payload =
        bytes_of(message.pos + WIRE_HEADER_BYTES, bytes_left(&message) - WIRE_HEADER_BYTES);
    build_begin(&reply, RIG_MESSAGE_BYTES);
    if (header.opcode == WIRE_OP_MSG && wire_sections_find_body(payload, &body, &flags, &err)) {
        if (accounts->shared)
            play_beside(accounts, life, &header, payload, body, how);
        run(accounts, life, payload, body, how, &reply);
    } else
        put_error(&reply, 22);
    if ((flags & WIRE_FLAG_MORE_TO_COME) == 0 && how != ACCOUNTS_HANGUP)
        send_reply(accounts, life, &header, &reply);
    build_free(&reply);
}

/* Nobody else may get the slot while it is thought to be this one's. */
static void notice_end(struct accounts *accounts, struct life *life)
{
    if (life->slot >= 0 && !rig_is_open(accounts->rig, (size_t)life->slot))
        life->slot = -1;
}

static void serve(struct accounts *accounts, struct life *life, enum accounts_answer how)
{
    uint8_t message[RIG_MESSAGE_BYTES];
    bool took = false;
    size_t len = 0;
    while (life->slot >= 0 && (len = rig_take(accounts->rig, (size_t)life->slot, message)) > 0) {
        take(accounts, life, bytes_of(message, len), how);
        took = true;
    }
    if (took && how == ACCOUNTS_HANGUP && life->slot >= 0)
        rig_hang_up(accounts->rig, (size_t)life->slot);
    notice_end(accounts, life);
}

/* A connection that has the slot anew is nobody's. */
static void serve_slot(struct accounts *accounts, size_t slot, enum accounts_answer how)
{
    struct life *carrier = &accounts->carriers[slot];
    if (!rig_is_open(accounts->rig, slot))
        return;
    if (carrier->uses != rig_slot_uses(accounts->rig, slot))
        *carrier = (struct life){
            .slot = (int)slot, .uses = rig_slot_uses(accounts->rig, slot), .begun = -1};
    serve(accounts, carrier, how);
}

static void serve_part(struct accounts *accounts, size_t first, size_t step,
                       enum accounts_answer how)
{
    (void)rig_accept(accounts->rig);
    for (size_t slot = first; slot < RIG_UPSTREAMS; slot += step)
        serve_slot(accounts, slot, how);
}

void accounts_serve_one(struct accounts *accounts, accounts_life which, enum accounts_answer how)
{
    if (accounts->shared)
        serve_part(accounts, which % 2, 2, how);
    else
        serve(accounts, &accounts->lives[which], how);
}

void accounts_serve(struct accounts *accounts, enum accounts_answer how)
{
    if (accounts->shared)
        serve_part(accounts, 0, 1, how);
    for (accounts_life i = 0; i < accounts->count; i++)
        if (!accounts->shared)
            accounts_serve_one(accounts, i, how);
}
