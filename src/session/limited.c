#include "session/limited.h"

#include <stdio.h>
#include <string.h>

#include "auth/claim.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "session/answer.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/limited_state.h"
#include "session/request.h"
#include "session/route.h"
#include "session/verified_state.h"

static void write_user(const struct client *client, char out[SESSION_IDENTITY_BYTES])
{
    const struct verifier *verifier = verified_as(client);
    const char *name = NULL;
    const char *database = NULL;
    const char *mechanism = NULL;
    out[0] = 0;
    if (verifier != NULL) {
        struct bytes user = verifier_user(verifier);
        struct bytes of = verifier_database(verifier);
        (void)snprintf(out, SESSION_IDENTITY_BYTES, "%.*s@%.*s", (int)bytes_left(&user),
                       (const char *)user.pos, (int)bytes_left(&of), (const char *)of.pos);
    } else if (standing_is_known(&client->shared_as)) {
        (void)snprintf(out, SESSION_IDENTITY_BYTES, "%s", standing_text(&client->shared_as));
    } else if (lease_standing(client) != NULL) {
        (void)snprintf(out, SESSION_IDENTITY_BYTES, "%s", standing_text(lease_standing(client)));
    } else if (claim_describe(client->claim, out, SESSION_IDENTITY_BYTES)[0] != 0) {
        claim_accepted(client->claim, &name, &database, &mechanism);
        (void)snprintf(out, SESSION_IDENTITY_BYTES, "%s@%s", name, database);
    }
}

/* False without memory. */
static bool hold_all(struct client *client)
{
    struct config_limit limits[CONFIG_LIMIT_RULES_MAX];
    struct limited *limited = client->limited;
    const char *application = client->writer.application;
    size_t count = config_find_limits(client_config(client), application != NULL ? application : "",
                                      limited->users, limits);
    for (size_t i = 0; i < count; i++) {
        struct limit_count *one =
            limits_hold(client->worker->shared->limits, &limits[i], client_now_us(client));
        if (one == NULL)
            return false;
        limited->held.of[limited->held.count++] = one;
    }
    return true;
}

/* Finds the client's counts anew if its user or the rules have changed. *changed tells. False
 * without memory. */
static bool look(struct client *client, bool *changed)
{
    char users[SESSION_IDENTITY_BYTES];
    write_user(client, users);
    if (client->limited == NULL)
        client->limited = memory_zalloc(sizeof *client->limited);
    struct limited *limited = client->limited;
    if (limited == NULL)
        return false;
    *changed =
        limited->settings != client->worker->settings->number || strcmp(users, limited->users) != 0;
    if (!*changed)
        return true;
    limited_release(client);
    limited->settings = client->worker->settings->number;
    (void)snprintf(limited->users, sizeof limited->users, "%s", users);
    return hold_all(client);
}

static void describe(const struct client *client, const struct limits_answer *answer,
                     struct error *err)
{
    static const char *const over[] = {[CONFIG_LIMIT_CONNECTIONS] = "connections",
                                       [CONFIG_LIMIT_REQUESTS] = "requests in a second",
                                       [CONFIG_LIMIT_DOCUMENTS] = "documents in a second"};
    const char *application = client->writer.application;
    (void)error_set(err, ERROR_OVERLOADED,
                    "mongosluice refuses this: application '%.60s' with user '%.100s' has more "
                    "than %lld %s (option limits.rules, rule %u); try again later",
                    application != NULL ? application : "", client->limited->users,
                    (long long)answer->limit, over[answer->kind], answer->rule);
    LOG_SAMPLED(LOG_WARNING, LOG_COMMAND, 2020, client->context, client->context,
                "A limit refuses a client's request", LOG_STR("error", err->message),
                LOG_INT("rule", answer->rule));
}

static uint32_t labels_of(const struct client *client)
{
    return client->accepts_overload ? WIRE_LABEL_OVERLOADED : 0;
}

/* One connection too many: the client ends. */
static enum request_step refuse_client(struct client *client, const struct message *message,
                                       const struct wire_command *request,
                                       const struct limits_answer *answer)
{
    struct error err;
    struct wire_reply_to to = {.request_id = message->header.request_id, .legacy = request->legacy};
    bool silent = request_is_silent(request);
    describe(client, answer, &err);
    limited_release(client); /* it takes nobody's place while it reads the error */
    client_fail(client, silent ? NULL : &to, &err, labels_of(client), COUNTER_LIMITS_REFUSED);
    return STEP_STOP;
}

static enum request_step refuse_request(struct client *client, const struct message *message,
                                        const struct wire_command *request,
                                        const struct limits_answer *answer)
{
    struct error err;
    if (request_is_silent(request))
        return refuse_client(client, message, request, answer);
    describe(client, answer, &err);
    counters_add(client_counters(client), COUNTER_LIMITS_REFUSED, 1);
    return answer_error(client, message, &err, labels_of(client)) ? STEP_TAKEN : STEP_STOP;
}

/* Commands that free something, or that end a transaction which others may wait for. */
static bool always_passes(const struct wire_command *request)
{
    switch (request->known) {
    case COMMAND_ABORT_TRANSACTION:
    case COMMAND_COMMIT_TRANSACTION:
    case COMMAND_END_SESSIONS:
    case COMMAND_KILL_CURSORS:
    case COMMAND_KILL_SESSIONS:
        return true;
    default:
        return route_of(request->known)->pause == ROUTE_PASSES ||
               (request->in_transaction && !request->starts_transaction);
    }
}

static bool writes_documents(enum command_name command)
{
    return command == COMMAND_INSERT || command == COMMAND_UPDATE || command == COMMAND_DELETE ||
           command == COMMAND_BULK_WRITE || command == COMMAND_FIND_AND_MODIFY ||
           command == COMMAND_FINDANDMODIFY;
}

/* The longest of its lists: the documents of an insert, the statements of other writes. */
static uint64_t count_documents(const struct wire_command *request)
{
    uint64_t most = 1;
    for (unsigned i = 0; i < request->list_count; i++) {
        struct list_walk walk;
        struct bytes item;
        uint64_t count = 0;
        list_walk_open(&walk, &request->lists[i]);
        while (list_walk_next(&walk, &item))
            count++;
        most = count > most ? count : most;
    }
    return most;
}

static enum request_step take(struct client *client, const struct message *message,
                              const struct wire_command *request)
{
    struct limited *limited = client->limited;
    uint64_t documents = 0;
    if (writes_documents(request->known) &&
        limits_count_documents(client->worker->shared->limits, &limited->held)) {
        if (!message->whole)
            return STEP_GATHER;
        documents = count_documents(request);
    }
    struct limits_answer answer = limits_take(client->worker->shared->limits, &limited->held,
                                              documents, client_now_us(client));
    if (answer.kind != CONFIG_LIMITS && !pending_is_empty(&client->pending))
        return STEP_WAIT;
    if (answer.kind != CONFIG_LIMITS)
        return message->whole ? refuse_request(client, message, request, &answer) : STEP_GATHER;
    limited->taken = true;
    return STEP_PASS;
}

enum request_step limited_admit(struct client *client, const struct message *message,
                                struct wire_command *request)
{
    bool changed = false;
    if (client_config(client)->limits.rules[0] == 0 && client->limited == NULL)
        return STEP_PASS;
    if (always_passes(request) || (client->limited != NULL && client->limited->taken))
        return STEP_PASS;
    if (!look(client, &changed)) {
        client_end(client, "out of memory for the limits of a client");
        return STEP_STOP;
    }
    if (client->limited->held.count == 0)
        return STEP_PASS;
    struct limits_answer answer = {.kind = CONFIG_LIMITS};
    if (changed)
        answer = limits_look_at_connections(client->worker->shared->limits, &client->limited->held);
    if (answer.kind == CONFIG_LIMITS)
        return take(client, message, request);
    if (!pending_is_empty(&client->pending)) {
        client->limited->settings = 0; /* look again */
        return STEP_WAIT;
    }
    return refuse_client(client, message, request, &answer);
}
