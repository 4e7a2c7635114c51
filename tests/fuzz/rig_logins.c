/* The user of a rig whose proxy checks logins: at the proxy, at the server, and as a client. */
#include <stdlib.h>

#include "auth/sasl.h"
#include "auth/scram_keys.h"
#include "base/base64.h"
#include "bson/scan.h"
#include "credentials/verifiers.h"
#include "session_rig_internal.h"
#include "wire/sections.h"

static const uint8_t client_key[SCRAM_KEY_BYTES] = {7, 7, 7};
static const uint8_t random_bytes[SCRAM_RANDOM_BYTES] = {9};

static struct scram_keys make_keys(void)
{
    struct scram_keys keys = {.hash = SCRAM_SHA_256,
                              .iterations = 5000,
                              .salt_bytes = 4,
                              .salt = "salt",
                              .server_key = {4}};
    rig_require(scram_hash_key(SCRAM_SHA_256, client_key, keys.stored_key), "no hash");
    return keys;
}

/* One for the process. */
static struct verifier *own_verifier(void)
{
    static struct verifier *verifier;
    struct scram_keys keys = make_keys();
    if (verifier == NULL)
        verifier = verifier_new(bytes_of(RIG_USER, strlen(RIG_USER)), bytes_of("admin", 5), &keys);
    rig_require(verifier != NULL, "memory");
    return verifier;
}

/* --- the proxy --- */

static void do_nothing(void *arg)
{
    (void)arg;
}

struct verifiers *rig_open_verifiers(struct rig *rig)
{
    struct verifiers_settings settings = {
        .max_age_us = INT64_MAX, .away_use_us = INT64_MAX, .ask = do_nothing, .arg = rig};
    struct verifier_user user = {.user = bytes_of(RIG_USER, strlen(RIG_USER)),
                                 .database = bytes_of("admin", 5),
                                 .has = {[SCRAM_SHA_256] = true}};
    user.keys[SCRAM_SHA_256] = make_keys();
    struct verifiers *verifiers = verifiers_new(&settings);
    rig_require(verifiers != NULL, "memory");
    verifiers_set_secret(verifiers, bytes_of("a secret of the rig", 19));
    verifiers_store(verifiers, user.user, user.database, &user, INT64_MAX / 2);
    return verifiers;
}

void rig_answer_verifiers(struct rig *rig, bool exists)
{
    struct verifiers_name names[8];
    size_t count = 0;
    if (rig->shared.verifiers == NULL)
        return;
    while ((count = verifiers_take_wanted(rig->shared.verifiers, names, 8)) > 0)
        for (size_t i = 0; i < count; i++) {
            struct bytes user = bytes_of(names[i].user, strlen(names[i].user));
            struct bytes database = bytes_of(names[i].database, strlen(names[i].database));
            struct verifier_user found = {
                .user = user, .database = database, .has = {[SCRAM_SHA_256] = true}};
            found.keys[SCRAM_SHA_256] = make_keys();
            if (exists)
                verifiers_store(rig->shared.verifiers, user, database,
                                strcmp(names[i].user, RIG_USER) == 0 ? &found : NULL,
                                INT64_MAX / 2);
            else
                verifiers_fail(rig->shared.verifiers, user, database, INT64_MAX / 2);
        }
    session_worker_take_verifiers(rig->worker);
}

void rig_forget_user(struct rig *rig)
{
    if (rig->shared.verifiers != NULL)
        verifiers_forget(rig->shared.verifiers, bytes_of(RIG_USER, strlen(RIG_USER)),
                         bytes_of("admin", 5));
}

/* --- the server --- */

void rig_end_login(struct rig_upstream *upstream)
{
    sasl_free(upstream->login);
    upstream->login = NULL;
    upstream->logged_in = false;
}

static bool begin(struct rig_upstream *upstream, struct bytes body, struct build *reply)
{
    struct sasl_start start;
    struct error err;
    bool fine = false;
    rig_end_login(upstream);
    if (sasl_start_read(body, &start, &fine, &err) != SASL_SCRAM || !fine ||
        start.hash != SCRAM_SHA_256)
        return false;
    upstream->login = sasl_begin(&start, own_verifier(), NULL, random_bytes, reply);
    return upstream->login != NULL;
}

static bool go_on(struct rig_upstream *upstream, struct bytes body, struct build *reply)
{
    struct error err;
    enum sasl_step step =
        upstream->login == NULL ? SASL_REFUSED : sasl_continue(upstream->login, body, &err);
    if (step == SASL_REFUSED)
        return false;
    sasl_answer(upstream->login, reply);
    upstream->logged_in = true;
    return true;
}

uint8_t *rig_answer_login(struct rig_upstream *upstream, struct bytes payload, uint8_t *at)
{
    struct bytes body;
    struct error err;
    struct scan scan;
    struct scan_element first;
    struct build reply;
    struct bytes document;
    uint32_t flags = 0;
    if (!wire_sections_find_body(payload, &body, &flags, &err) || !scan_open(&scan, body) ||
        !scan_next(&scan, &first))
        return NULL;
    bool starts = scan_name_is(&first, "saslStart");
    if (!starts && !scan_name_is(&first, "saslContinue"))
        return NULL;
    build_begin(&reply, RIG_MESSAGE_BYTES / 2);
    bool ok = starts ? begin(upstream, body, &reply) : go_on(upstream, body, &reply);
    build_int32(&reply, "ok", ok);
    if (!ok)
        build_int32(&reply, "code", 18);
    at = build_finish(&reply, &document) ? rig_put(at, document.pos, bytes_left(&document)) : NULL;
    build_free(&reply);
    return at;
}

/* --- a client --- */

/* The payload of the proxy's last reply to the client; empty: none. */
static struct bytes find_payload(struct bytes received)
{
    struct bytes body;
    struct error err;
    struct scan_element payload;
    uint32_t flags = 0;
    struct bytes found = {0};
    while (bytes_left(&received) >= WIRE_HEADER_BYTES) {
        size_t len = bytes_load_u32(received.pos);
        struct bytes message;
        if (len < WIRE_HEADER_BYTES || !bytes_take(&received, len, &message))
            break;
        (void)bytes_skip(&message, WIRE_HEADER_BYTES);
        if (wire_sections_find_body(message, &body, &flags, &err) &&
            scan_find(body, "payload", &payload) && payload.kind == BSON_KIND_BINARY) {
            found = payload.value;
            (void)bytes_skip(&found, 5);
        }
    }
    return found;
}

static void send_step(struct rig *rig, size_t client, const char *name, struct bytes payload)
{
    uint8_t message[RIG_MESSAGE_BYTES];
    uint8_t value[SCRAM_FINAL_BYTES + 5];
    struct build build;
    struct bytes body;
    bytes_store_i32(value, (int32_t)bytes_left(&payload));
    value[4] = 0;
    if (bytes_left(&payload) > 0)
        memcpy(value + 5, payload.pos, bytes_left(&payload));
    build_begin(&build, RIG_MESSAGE_BYTES);
    build_int32(&build, name, 1);
    if (strcmp(name, "saslStart") == 0)
        build_text(&build, "mechanism", "SCRAM-SHA-256");
    else
        build_int32(&build, "conversationId", 1);
    build_value(&build, "payload", BSON_KIND_BINARY, bytes_of(value, 5 + bytes_left(&payload)));
    build_text(&build, "$db", "admin");
    if (!build_finish(&build, &body)) {
        build_free(&build);
        return;
    }
    size_t len = WIRE_HEADER_BYTES + 5 + bytes_left(&body);
    struct wire_header header = {.length = (int32_t)len, .request_id = 99, .opcode = WIRE_OP_MSG};
    wire_header_write(message, &header);
    memset(message + WIRE_HEADER_BYTES, 0, 5);
    memcpy(message + WIRE_HEADER_BYTES + 5, body.pos, bytes_left(&body));
    build_free(&build);
    rig_send(rig, client, message, len);
}

void rig_log_in(struct rig *rig, size_t client, unsigned wrong)
{
    char final[SCRAM_FINAL_BYTES];
    uint8_t received[RIG_MESSAGE_BYTES];
    size_t len = 0;
    struct error err;
    struct bytes first;
    struct scram_client *scram =
        scram_client_new(bytes_of(RIG_USER, strlen(RIG_USER)), bytes_of("abc", 3), &first);
    if (scram == NULL)
        return;
    uint8_t key[SCRAM_KEY_BYTES];
    memcpy(key, client_key, sizeof key);
    key[3] ^= (uint8_t)wrong;
    struct scram_keys keys = make_keys();
    send_step(rig, client, "saslStart", first);
    rig_settle(rig);
    struct bytes challenge = find_payload(rig_receive(rig, client, received));
    if (bytes_left(&challenge) > 0 &&
        scram_client_prove(scram, &keys, key, challenge, final, &len, &err)) {
        send_step(rig, client, "saslContinue", bytes_of(final, len));
        rig_settle(rig);
        (void)rig_receive(rig, client, received);
        send_step(rig, client, "saslContinue", bytes_of("", 0));
        rig_settle(rig);
    }
    scram_client_free(scram);
}
