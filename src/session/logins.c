#include "session/logins.h"

#include "auth/claim.h"
#include "base/clock.h"
#include "base/log_sample.h"
#include "credentials/verifiers.h"
#include "session/life.h"
#include "session/login_conversation.h"
#include "session/request.h"

bool logins_watch(struct client *client, const struct wire_command *request)
{
    return claim_command(&client->claim, request->body,
                         request->legacy ? (const char *)request->database.pos : NULL,
                         request->legacy ? bytes_left(&request->database) : 0);
}

static void refuse_endless(struct client *client, const struct message *message,
                           const struct wire_command *request)
{
    struct wire_reply_to to = {.request_id = message->header.request_id,
                               .legacy = message->header.opcode == WIRE_OP_QUERY};
    struct error err;
    (void)error_set(&err, ERROR_AUTHENTICATION_FAILED,
                    "%d authentication commands without a login: mongosluice closes this "
                    "connection",
                    LOGIN_STEPS);
    client_fail(client, request_is_silent(request) ? NULL : &to, &err, 0, COUNTER_REQUESTS_REFUSED);
}

enum request_step logins_count(struct client *client, const struct message *message,
                               const struct wire_command *request)
{
    if (client->authentication_steps < LOGIN_STEPS) {
        client->authentication_steps++;
        return STEP_PASS;
    }
    if (!pending_is_empty(&client->pending))
        return STEP_WAIT;
    refuse_endless(client, message, request);
    return STEP_STOP;
}

enum request_step logins_take(struct client *client, const struct message *message,
                              struct wire_command *request)
{
    return logins_count(client, message, request);
}

/* The server confirms the login; the client claims the user. */
static void log_authenticated(struct client *client)
{
    const char *user = NULL;
    const char *db = NULL;
    const char *mechanism = NULL;
    claim_accepted(client->claim, &user, &db, &mechanism);
    LOG_SAMPLED(LOG_INFO, LOG_ACCESS, 2000, client->context, client->context,
                "Client authenticated", LOG_STR("claimedUser", user), LOG_STR("claimedDb", db),
                LOG_STR("claimedMechanism", mechanism));
}

void logins_note_reply(struct client *client, struct bytes document)
{
    struct counters *counters = client_counters(client);
    switch (claim_reply(client->claim, document)) {
    case CLAIM_ACCEPTED:
        client->authentication_steps = 0;
        counters_add(counters, COUNTER_AUTHENTICATIONS, 1);
        log_authenticated(client);
        break;
    case CLAIM_REFUSED:
        counters_add(counters, COUNTER_AUTHENTICATION_FAILURES, 1);
        LOG_SAMPLED(LOG_WARNING, LOG_ACCESS, 2001, client->context, client->context,
                    "Authentication failed");
        break;
    case CLAIM_LOGGED_OUT:
        LOG_SAMPLED(LOG_INFO, LOG_ACCESS, 2002, client->context, client->context,
                    "Client logged out");
        break;
    case CLAIM_UNCHANGED:
        break;
    }
}

bool logins_take_reply(struct client *client, struct reply *reply)
{
    if (reply->pending->watches_claim)
        logins_note_reply(client, reply->document);
    if (client->sharing)
        login_conversation_note(client, reply->pending->command, reply->document);
    return true;
}

bool logins_follow_users(const struct client *client, const struct wire_command *request)
{
    (void)request;
    return client->worker->shared->verifiers != NULL;
}

/* False for the errors of a server that changed nothing. Otherwise clients without rights could
 * make the proxy read all users again and again. */
static bool may_have_changed(struct bytes document)
{
    static const int64_t refusals[] = {ERROR_BAD_VALUE,
                                       ERROR_FAILED_TO_PARSE,
                                       11 /* UserNotFound */,
                                       13 /* Unauthorized */,
                                       ERROR_TYPE_MISMATCH,
                                       ERROR_COMMAND_NOT_FOUND,
                                       51003 /* the user exists */};
    struct scan_element element;
    int64_t code = 0;
    if (scan_find(document, "ok", &element) && scan_is_true(&element))
        return true;
    if (!scan_find(document, "code", &element) || !scan_as_int64(&element, &code))
        return true;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (code == refusals[i])
            return false;
    return true;
}

bool logins_take_users_reply(struct client *client, struct reply *reply)
{
    if (may_have_changed(reply->document))
        verifiers_expire(client->worker->shared->verifiers, clock_now_us());
    return true;
}
