#include "session/verified.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "base/text.h"
#include "credentials/verifiers.h"
#include "session/answer.h"
#include "session/hello_answers.h"
#include "session/hellos.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/logins.h"
#include "session/pool_rest.h"
#include "session/pooled.h"
#include "session/request.h"
#include "session/sharing.h"
#include "session/verified_state.h"
#include "wire/hello_request.h"

static enum request_step stop(struct client *client)
{
    client_end(client, "out of memory for a login");
    return STEP_STOP;
}

/* --- answers --- */

static enum request_step answer(struct client *client, const struct message *message,
                                struct build *build)
{
    struct wire_reply_to to = {.request_id = message->header.request_id,
                               .legacy = message->header.opcode == WIRE_OP_QUERY};
    struct bytes document;
    uint8_t *reply = NULL;
    size_t len = 0;
    if (client->verified->silent) {
        build_free(build);
        return STEP_TAKEN;
    }
    build_int32(build, "ok", 1);
    bool ok = build_finish(build, &document) && wire_reply_frame(to, 0, 0, document, &reply, &len);
    build_free(build);
    if (!ok)
        return stop(client);
    bool sent = answer_send(client, message->compressor, reply, len);
    memory_free(reply);
    return sent ? STEP_TAKEN : STEP_STOP;
}

static enum request_step refuse_with(struct client *client, const struct message *message, int code,
                                     const char *text)
{
    struct error err;
    if (client->verified->silent)
        return STEP_TAKEN;
    (void)error_set(&err, code, "%s", text);
    return answer_error(client, message, &err, 0) ? STEP_TAKEN : STEP_STOP;
}

/* The log knows the reason, the client does not. */
static enum request_step refuse(struct client *client, const struct message *message,
                                const char *reason)
{
    verified_end_conversation(client->verified);
    counters_add(client_counters(client), COUNTER_AUTHENTICATION_FAILURES, 1);
    counters_add(client_counters(client), COUNTER_VERIFIER_REFUSALS, 1);
    LOG_SAMPLED(LOG_WARNING, LOG_ACCESS, 2007, client->context, client->context,
                "The proxy refuses a login", LOG_STR("reason", reason));
    return refuse_with(client, message, ERROR_AUTHENTICATION_FAILED, "Authentication failed.");
}

/* --- verifiers --- */

/* A login asks for two users at most, each once; while the source reads in batches, a second time.
 */
enum { ROUNDS_MAX = 8 };

struct user_name {
    struct bytes user;
    struct bytes database;
};

static bool is_text(struct bytes bytes, const char *text)
{
    return text_is((const char *)bytes.pos, bytes_left(&bytes), text);
}

/* The certificate's users and the servers' own user have no verifiers. The server judges a database
 * whose name holds a NUL. */
static bool may_have_verifier(struct bytes database)
{
    return memchr(database.pos, 0, bytes_left(&database)) == NULL &&
           !is_text(database, "$external") && !is_text(database, "local");
}

static void log_away(const struct client *client)
{
    LOG_SAMPLED(LOG_WARNING, LOG_ACCESS, 2008, client->context, client->context,
                "The proxy cannot read this user's verifier: the login goes to the server");
}

/* STEP_TAKEN: `of` is set. STEP_WAIT: the request is handled again after the source's answer.
 * STEP_PASS: the proxy does not know. */
static enum request_step find(struct client *client, const struct user_name *name,
                              struct verifier *of[SCRAM_HASHES])
{
    struct verified *verified = client->verified;
    struct verifiers_question question = {.user = name->user,
                                          .database = name->database,
                                          .now_us = clock_now_us(),
                                          .since_us = verified->asked_us};
    switch (verifiers_find(client->worker->shared->verifiers, &question, of)) {
    case VERIFIERS_WAIT:
        if (++verified->rounds > ROUNDS_MAX)
            break;
        if (verified->asked_us == 0)
            verified->asked_us = question.now_us;
        verified_ask(verified);
        return STEP_WAIT;
    case VERIFIERS_AWAY:
        break;
    case VERIFIERS_FOUND:
    case VERIFIERS_NO_USER:
        return STEP_TAKEN;
    }
    log_away(client);
    return STEP_PASS;
}

static void release_all(struct verifier *of[SCRAM_HASHES])
{
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        verifier_release(of[hash]);
}

/* Begins a conversation; adds the fields of its reply. False without memory or random bytes. */
static bool begin(struct client *client, const struct sasl_start *start,
                  const struct user_name *name, struct verifier *verifier, struct build *reply)
{
    struct verified *verified = client->verified;
    struct scram_keys invented;
    uint8_t random[SCRAM_RANDOM_BYTES];
    verified_end_conversation(verified);
    if (RAND_bytes(random, sizeof random) != 1 ||
        !verifiers_invent(client->worker->shared->verifiers, start->hash, name->user,
                          name->database, &invented))
        return false;
    verified->conversation = sasl_begin(start, verifier, &invented, random, reply);
    explicit_bzero(&invented, sizeof invented);
    return verified->conversation != NULL;
}

/* Newer servers refuse a second user on a connection, too. */
static bool is_another_user(const struct client *client, const struct user_name *name)
{
    const struct verifier *as = verified_as(client);
    if (as == NULL)
        return false;
    struct bytes user = verifier_user(as);
    struct bytes database = verifier_database(as);
    return bytes_left(&user) != bytes_left(&name->user) ||
           bytes_left(&database) != bytes_left(&name->database) ||
           memcmp(user.pos, name->user.pos, bytes_left(&user)) != 0 ||
           memcmp(database.pos, name->database.pos, bytes_left(&database)) != 0;
}

static enum request_step refuse_another(struct client *client, const struct message *message)
{
    return refuse_with(client, message, ERROR_AUTHENTICATION_FAILED,
                       "mongosluice has logged in another user on this connection: log out "
                       "first, or open a new connection");
}

/* A rule of pool.rules may give the user a connection of its own. */
static bool shares(const struct client *client, const struct user_name *name)
{
    char text[2 * SCRAM_NAME_BYTES + 2];
    (void)snprintf(text, sizeof text, "%.*s@%.*s", (int)bytes_left(&name->user),
                   (const char *)name->user.pos, (int)bytes_left(&name->database),
                   (const char *)name->database.pos);
    const char *application = client->writer.application;
    return config_pool_mode_of(client_config(client), application != NULL ? application : "",
                               text) == CONFIG_SHARED;
}

/* --- saslStart --- */

static enum request_step take_start(struct client *client, const struct message *message,
                                    const struct wire_command *request)
{
    struct sasl_start start;
    struct error err;
    struct build build;
    struct verifier *of[SCRAM_HASHES];
    bool fine = false;
    if (!request->has_database || request->database_unclear ||
        !may_have_verifier(request->database) ||
        sasl_start_read(request->body, &start, &fine, &err) == SASL_OTHER)
        return verified_as(client) != NULL ? refuse_another(client, message) : STEP_PASS;
    if (!fine)
        return refuse(client, message, err.message);
    struct user_name name = {bytes_of(start.first.name, start.first.name_len), request->database};
    if (is_another_user(client, &name))
        return refuse_another(client, message);
    if (!shares(client, &name))
        return STEP_PASS;
    enum request_step step = find(client, &name, of);
    if (step != STEP_TAKEN)
        return step;
    build_begin(&build, SIZE_MAX);
    bool begun = begin(client, &start, &name, of[start.hash], &build);
    release_all(of);
    if (begun)
        return answer(client, message, &build);
    build_free(&build);
    return stop(client);
}

/* --- hello --- */

/* What a hello asks for, beside the rest. */
struct login_hello {
    bool has_principal;
    struct user_name principal; /* saslSupportedMechs */
    bool has_start;
    struct user_name name;
    bool fine;
    struct sasl_start start; /* speculativeAuthenticate */
};

static bool read_principal(const struct scan_element *element, struct user_name *out)
{
    const char *text = NULL;
    size_t len = 0;
    if (!scan_as_string(element, &text, &len))
        return false;
    const char *dot = memchr(text, '.', len);
    if (dot == NULL || dot == text || dot + 1 == text + len || memchr(text, 0, len) != NULL)
        return false;
    out->database = bytes_of(text, (size_t)(dot - text));
    out->user = bytes_of(dot + 1, (size_t)(text + len - dot - 1));
    return may_have_verifier(out->database);
}

static bool read_speculative(const struct scan_element *element, struct login_hello *out)
{
    struct scan_element field;
    struct error ignored;
    const char *text = NULL;
    size_t len = 0;
    if (element->kind != BSON_KIND_OBJECT || !scan_find(element->value, "saslStart", &field) ||
        !scan_find_once(element->value, "db", &field) || !scan_as_string(&field, &text, &len) ||
        len == 0 || !may_have_verifier(bytes_of(text, len)) ||
        sasl_start_read(element->value, &out->start, &out->fine, &ignored) == SASL_OTHER)
        return false;
    out->name.database = bytes_of(text, len);
    out->name.user = bytes_of(out->start.first.name, out->fine ? out->start.first.name_len : 0);
    return true;
}

/* False: the server must answer it. */
static bool read_login_hello(const struct wire_command *request, struct login_hello *out)
{
    struct scan_element element;
    out->has_principal = wire_command_find(request, "saslSupportedMechs", &element);
    if (out->has_principal && !read_principal(&element, &out->principal))
        return false;
    out->has_start = wire_command_find(request, "speculativeAuthenticate", &element);
    return !out->has_start || read_speculative(&element, out);
}

static void add_mechanisms(struct client *client, struct verifier *const of[SCRAM_HASHES],
                           struct build *extra)
{
    struct verifiers *verifiers = client->worker->shared->verifiers;
    bool known = of[SCRAM_SHA_1] != NULL || of[SCRAM_SHA_256] != NULL;
    build_open_array(extra, "saslSupportedMechs");
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        if (known ? of[hash] != NULL : verifiers_invents(verifiers, hash))
            build_text(extra, NULL, scram_mechanism_names[hash]);
    build_close(extra);
}

static enum request_step add_principal(struct client *client, const struct login_hello *hello,
                                       struct build *extra)
{
    struct verifier *of[SCRAM_HASHES];
    enum request_step step = find(client, &hello->principal, of);
    if (step != STEP_TAKEN)
        return step;
    add_mechanisms(client, of, extra);
    release_all(of);
    return STEP_TAKEN;
}

/* A login that cannot begin leaves the field out, as a server does. */
static enum request_step add_speculative(struct client *client, const struct login_hello *hello,
                                         struct build *extra)
{
    struct verifier *of[SCRAM_HASHES];
    if (!hello->fine || is_another_user(client, &hello->name))
        return STEP_TAKEN;
    enum request_step step = find(client, &hello->name, of);
    if (step != STEP_TAKEN)
        return step;
    build_open_object(extra, "speculativeAuthenticate");
    bool begun = begin(client, &hello->start, &hello->name, of[hello->start.hash], extra);
    build_close(extra);
    release_all(of);
    return begun ? STEP_TAKEN : stop(client);
}

static enum request_step take_hello(struct client *client, const struct message *message,
                                    const struct wire_command *request)
{
    struct login_hello hello = {0};
    struct wire_hello_request plain;
    struct build extra;
    struct bytes document;
    if (wire_hello_request_read(request, &plain) != WIRE_HELLO_LOGIN ||
        !read_login_hello(request, &hello) || client->server[0] == 0)
        return STEP_PASS;
    hellos_note(client, request);
    if (hello.has_start && hello.fine && !shares(client, &hello.name))
        return STEP_PASS;
    build_begin(&extra, SIZE_MAX);
    enum request_step step =
        hello.has_principal ? add_principal(client, &hello, &extra) : STEP_TAKEN;
    if (step == STEP_TAKEN && hello.has_start)
        step = add_speculative(client, &hello, &extra);
    if (step == STEP_TAKEN)
        step = build_finish(&extra, &document)
                   ? hello_answers_take(client, message, request, document)
                   : stop(client);
    build_free(&extra);
    return step;
}

/* --- saslContinue --- */

static void log_login(const struct client *client)
{
    const struct verifier *as = verified_as(client);
    char user[128];
    char database[128];
    struct text user_text = text_over(user, sizeof user);
    struct text database_text = text_over(database, sizeof database);
    struct bytes name = verifier_user(as);
    struct bytes of = verifier_database(as);
    text_add_bytes(&user_text, (const char *)name.pos, bytes_left(&name));
    text_add_bytes(&database_text, (const char *)of.pos, bytes_left(&of));
    LOG_SAMPLED(LOG_INFO, LOG_ACCESS, 2006, client->context, client->context,
                "The proxy checked a login", LOG_STR("user", user_text.cut ? "(long)" : user),
                LOG_STR("db", database_text.cut ? "(long)" : database),
                LOG_STR("mechanism", scram_mechanism_names[verifier_keys(as)->hash]));
}

/* The client becomes this user, or nobody; the reference is taken over. It holds no connection of
 * another identity. */
static void become(struct client *client, struct verifier *as)
{
    sluice_assert(client->leased == NULL);
    sharing_leave_pool(client);
    client->verified->as = as;
    client->may_be_logged_in = as != NULL;
}

static void become_nobody(struct client *client)
{
    verified_end_conversation(client->verified);
    verifier_release(client->verified->as);
    become(client, NULL);
}

/* The proof is right: the client is this user as far as its pool is concerned. */
static void begin_entering(struct client *client, struct verifier *verifier)
{
    struct verified *verified = client->verified;
    verified->before = verified->as;
    become(client, verifier_retain(verifier));
    verified->proved = true;
}

/* The login failed after the proof: the identity is as before it. */
static void leave_again(struct client *client)
{
    struct verified *verified = client->verified;
    verifier_release(verified->as);
    become(client, verified->before);
    verified->before = NULL;
    verified_end_conversation(verified);
}

/* The conversation is over, and the pool has a connection: the client is this user. */
static enum request_step finish(struct client *client, const struct message *message,
                                struct build *build)
{
    struct verified *verified = client->verified;
    verified_end_conversation(verified);
    verifier_release(verified->before);
    verified->before = NULL;
    client->authentication_steps = 0;
    counters_add(client_counters(client), COUNTER_AUTHENTICATIONS, 1);
    counters_add(client_counters(client), COUNTER_VERIFIER_LOGINS, 1);
    log_login(client);
    return answer(client, message, build);
}

/* The server did not accept the credential: the password has changed since the verifier was read.
 */
static enum request_step refuse_stale(struct client *client, const struct message *message)
{
    const struct verifier *as = verified_as(client);
    verifiers_forget(client->worker->shared->verifiers, verifier_user(as), verifier_database(as));
    leave_again(client);
    return refuse(client, message, "the server does not accept the credential any more");
}

/* The proof is right, and the client's pool is that of this user. */
static enum request_step complete(struct client *client, const struct message *message,
                                  const struct wire_command *request)
{
    struct verified *verified = client->verified;
    struct build build;
    if (client->pool == NULL && sharing_enter_pool(client) == NULL)
        return stop(client);
    if (client->leased == NULL && !pool_has_connection(client->pool)) {
        if (pool_is_hopeless(client->pool))
            return refuse_stale(client, message);
        enum request_step step = pooled_wait(client, message, request);
        if (step == STEP_TAKEN) /* the pool's limits refused it */
            leave_again(client);
        return step;
    }
    build_begin(&build, SIZE_MAX);
    sasl_answer(verified->conversation, &build);
    return finish(client, message, &build);
}

static enum request_step answer_more(struct client *client, const struct message *message)
{
    struct build build;
    build_begin(&build, SIZE_MAX);
    sasl_answer(client->verified->conversation, &build);
    return answer(client, message, &build);
}

static enum request_step refuse_proof(struct client *client, const struct message *message,
                                      const char *reason)
{
    const struct verifier *verifier = sasl_verifier(client->verified->conversation);
    if (verifier != NULL)
        verifiers_doubt(client->worker->shared->verifiers, verifier, clock_now_us());
    return refuse(client, message, reason);
}

static enum request_step take_continue(struct client *client, const struct message *message,
                                       const struct wire_command *request)
{
    struct verified *verified = client->verified;
    struct error err;
    if (verified->conversation == NULL)
        return refuse_with(client, message, ERROR_PROTOCOL, "No SASL session state found");
    if (verified->proved)
        return complete(client, message, request);
    switch (sasl_continue(verified->conversation, request->body, &err)) {
    case SASL_REFUSED:
        return refuse_proof(client, message, err.message);
    case SASL_MORE:
        return answer_more(client, message);
    case SASL_DONE:
        break;
    }
    begin_entering(client, sasl_verifier(verified->conversation));
    return complete(client, message, request);
}

/* --- logout --- */

static enum request_step take_logout(struct client *client, const struct message *message,
                                     const struct wire_command *request)
{
    struct build build;
    const struct verifier *as = verified_as(client);
    if (as == NULL)
        return STEP_PASS;
    struct bytes database = verifier_database(as);
    if (bytes_left(&database) == bytes_left(&request->database) &&
        memcmp(database.pos, request->database.pos, bytes_left(&database)) == 0) {
        become_nobody(client);
        LOG_SAMPLED(LOG_INFO, LOG_ACCESS, 2009, client->context, client->context,
                    "The client logged out of the proxy");
    }
    build_begin(&build, SIZE_MAX);
    return answer(client, message, &build);
}

/* --- requests --- */

static bool concerns_logins(enum command_name command)
{
    return command == COMMAND_SASL_START || command == COMMAND_SASL_CONTINUE ||
           command == COMMAND_LOGOUT || command == COMMAND_AUTHENTICATE ||
           wire_hello_is_command(command);
}

static enum request_step take(struct client *client, const struct message *message,
                              const struct wire_command *request)
{
    switch (request->known) {
    case COMMAND_SASL_START:
        return take_start(client, message, request);
    case COMMAND_SASL_CONTINUE:
        return take_continue(client, message, request);
    case COMMAND_LOGOUT:
        return take_logout(client, message, request);
    case COMMAND_AUTHENTICATE:
        return verified_as(client) != NULL ? refuse_another(client, message) : STEP_PASS;
    default:
        return take_hello(client, message, request);
    }
}

/* A hello that asks for a user is a step, too. */
static bool is_step(const struct wire_command *request)
{
    struct wire_hello_request hello;
    if (wire_hello_is_command(request->known))
        return wire_hello_request_read(request, &hello) == WIRE_HELLO_LOGIN;
    return request->known == COMMAND_SASL_START || request->known == COMMAND_SASL_CONTINUE;
}

/* Endless conversations end here as on the way to the server. A request that passes is counted
 * there. */
static enum request_step take_counted(struct client *client, const struct message *message,
                                      const struct wire_command *request)
{
    const struct verified *verified = client->verified;
    bool again = verified->asked_us != 0 || verified->proved;
    bool counts = !again && is_step(request);
    enum request_step step = counts ? logins_count(client, message, request) : STEP_PASS;
    if (step != STEP_PASS)
        return step;
    step = take(client, message, request);
    if (counts && step == STEP_PASS)
        client->authentication_steps--;
    return step;
}

/* True if the client logs in, or has logged in, at the server. */
static bool is_of_server(const struct client *client)
{
    if (verified_as(client) != NULL)
        return false;
    return client->keeps_own || client->may_be_logged_in || client->conversing ||
           (client->leased != NULL && client->leased->entry.place == POOL_OWN);
}

/* The identity must not change while the client holds a connection of the present one: the request
 * is handled again at the next turn, when the lease is given back. A w:0 write is acknowledged
 * before. */
static enum request_step yield_lease(struct client *client)
{
    if (client->unacknowledged)
        pooled_acknowledge(client);
    if (client->state != CLIENT_ACTIVE)
        return STEP_STOP;
    if (!pending_is_empty(&client->pending))
        return STEP_WAIT;
    client->verified->yields = true;
    return STEP_PART;
}

enum request_step verified_admit(struct client *client, const struct message *message,
                                 const struct wire_command *request)
{
    if (client->worker->shared->verifiers == NULL || !concerns_logins(request->known) ||
        is_of_server(client))
        return STEP_PASS;
    if (!pending_is_empty(&client->pending))
        return STEP_WAIT;
    if (!message->whole)
        return STEP_GATHER;
    if (verified_begin(client) == NULL)
        return stop(client);
    client->verified->silent = request_is_silent(request);
    if (client->verified->passes)
        return STEP_PASS;
    if (client->leased != NULL && !verified_waits(client) && !wire_hello_is_command(request->known))
        return yield_lease(client);
    client->verified->yields = false;
    enum request_step step = take_counted(client, message, request);
    if (step == STEP_PASS)
        client->verified->passes = true;
    return step;
}
