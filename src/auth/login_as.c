#include "auth/login_as.h"

#include "base/assert.h"
#include "base/memory.h"
#include "bson/build.h"
#include "bson/scan.h"

enum login_stage { STAGE_FIRST, STAGE_PROOF, STAGE_EMPTY };

struct login_as {
    struct verifier *verifier; /* retained */
    struct scram_client *client;
    enum login_stage stage;
    struct build build; /* holds the last command */
};

static void add_payload(struct build *build, struct bytes payload)
{
    uint8_t binary[5 + SCRAM_FIRST_BYTES];
    size_t len = bytes_left(&payload);
    bytes_store_i32(binary, (int32_t)len);
    binary[4] = 0;
    if (len > 0)
        memcpy(binary + 5, payload.pos, len);
    build_value(build, "payload", BSON_KIND_BINARY, bytes_of(binary, 5 + len));
    explicit_bzero(binary, sizeof binary);
}

static void add_database(struct login_as *login)
{
    struct bytes database = verifier_database(login->verifier);
    build_string(&login->build, "$db", (const char *)database.pos, bytes_left(&database));
}

static void begin_command(struct login_as *login)
{
    build_free(&login->build);
    build_begin(&login->build, SIZE_MAX);
}

static bool build_start(struct login_as *login, struct bytes first, struct bytes *command)
{
    struct build *build = &login->build;
    begin_command(login);
    build_int32(build, "saslStart", 1);
    build_text(build, "mechanism", scram_mechanism_names[verifier_keys(login->verifier)->hash]);
    add_payload(build, first);
    build_int32(build, "autoAuthorize", 1);
    build_open_object(build, "options");
    build_bool(build, "skipEmptyExchange", true);
    build_close(build);
    add_database(login);
    return build_finish(build, command);
}

static bool build_continue(struct login_as *login, const struct scan_element *conversation,
                           struct bytes payload, struct bytes *command)
{
    struct build *build = &login->build;
    begin_command(login);
    build_int32(build, "saslContinue", 1);
    build_value(build, "conversationId", conversation->kind, conversation->value);
    add_payload(build, payload);
    add_database(login);
    return build_finish(build, command);
}

struct login_as *login_as_begin(struct verifier *verifier, const uint8_t random[SCRAM_RANDOM_BYTES],
                                struct bytes *command)
{
    char nonce[SCRAM_OUR_NONCE_BYTES];
    struct bytes first;
    struct login_as *login = memory_zalloc(sizeof *login);
    if (login == NULL)
        return NULL;
    sluice_assert(verifier_client_key(verifier) != NULL);
    login->verifier = verifier_retain(verifier);
    build_begin(&login->build, SIZE_MAX);
    scram_write_nonce(random, nonce);
    login->client =
        scram_client_new(verifier_user(verifier), bytes_of(nonce, sizeof nonce), &first);
    if (login->client != NULL && build_start(login, first, command))
        return login;
    login_as_free(login);
    return NULL;
}

/* The fields of a reply. */
struct answer_fields {
    bool done;
    struct bytes payload;
    struct scan_element conversation;
};

static enum login_as_step refuse(struct bytes reply, struct error *err)
{
    struct scan_element element;
    int64_t code = 0;
    const char *text = "no errmsg";
    size_t len = strlen(text);
    if (scan_find(reply, "code", &element))
        (void)scan_as_int64(&element, &code);
    if (scan_find(reply, "errmsg", &element))
        (void)scan_as_string(&element, &text, &len);
    bool stale = code == ERROR_AUTHENTICATION_FAILED;
    (void)error_set(err, stale ? ERROR_AUTHENTICATION_FAILED : ERROR_HOST_UNREACHABLE,
                    "the server refuses the login (code %lld: %.*s)", (long long)code,
                    (int)(len < 200 ? len : 200), text);
    return stale ? LOGIN_AS_STALE : LOGIN_AS_FAILED;
}

static bool read_answer(struct bytes reply, struct answer_fields *out)
{
    struct scan_element element;
    out->done = scan_find(reply, "done", &element) && scan_is_true(&element);
    if (!scan_find(reply, "conversationId", &out->conversation) ||
        !scan_find(reply, "payload", &element) || element.kind != BSON_KIND_BINARY)
        return false;
    out->payload = element.value;
    return bytes_skip(&out->payload, 5);
}

static enum login_as_step fail(const struct error *err)
{
    return err->code == ERROR_AUTHENTICATION_FAILED ? LOGIN_AS_STALE : LOGIN_AS_FAILED;
}

static enum login_as_step prove(struct login_as *login, const struct answer_fields *answer,
                                struct bytes *command, struct error *err)
{
    char text[SCRAM_FINAL_BYTES];
    size_t len = 0;
    if (!scram_client_prove(login->client, verifier_keys(login->verifier),
                            verifier_client_key(login->verifier), answer->payload, text, &len, err))
        return fail(err);
    bool built = build_continue(login, &answer->conversation, bytes_of(text, len), command);
    explicit_bzero(text, sizeof text);
    if (!built) {
        (void)error_no_memory(err, "a login");
        return LOGIN_AS_FAILED;
    }
    login->stage = STAGE_PROOF;
    return LOGIN_AS_SEND;
}

static enum login_as_step check(struct login_as *login, const struct answer_fields *answer,
                                struct bytes *command, struct error *err)
{
    if (!scram_client_check(login->client, verifier_keys(login->verifier), answer->payload, err))
        return LOGIN_AS_FAILED;
    if (answer->done)
        return LOGIN_AS_DONE;
    if (!build_continue(login, &answer->conversation, bytes_of("", 0), command)) {
        (void)error_no_memory(err, "a login");
        return LOGIN_AS_FAILED;
    }
    login->stage = STAGE_EMPTY;
    return LOGIN_AS_SEND;
}

enum login_as_step login_as_take(struct login_as *login, struct bytes reply, struct bytes *command,
                                 struct error *err)
{
    struct scan_element ok;
    struct answer_fields answer = {0};
    if (!scan_find(reply, "ok", &ok) || !scan_is_true(&ok))
        return refuse(reply, err);
    if (!read_answer(reply, &answer)) {
        (void)error_set(err, ERROR_PROTOCOL, "the server's reply to the login is malformed");
        return LOGIN_AS_FAILED;
    }
    if (login->stage == STAGE_FIRST && !answer.done)
        return prove(login, &answer, command, err);
    if (login->stage == STAGE_PROOF)
        return check(login, &answer, command, err);
    if (login->stage == STAGE_EMPTY && answer.done)
        return LOGIN_AS_DONE;
    (void)error_set(err, ERROR_PROTOCOL, "the server ends the login too early or too late");
    return LOGIN_AS_FAILED;
}

void login_as_free(struct login_as *login)
{
    if (login == NULL)
        return;
    build_free(&login->build);
    scram_client_free(login->client);
    verifier_release(login->verifier);
    memory_free(login);
}
