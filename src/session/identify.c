#include "session/identify.h"

#include <string.h>

#include "auth/certificate.h"
#include "auth/verifier.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/question.h"
#include "session/request.h"
#include "session/send.h"
#include "session/sharing.h"
#include "session/verified_state.h"
#include "wire/compressed.h"

void identify_pass(struct client *client, const struct wire_command *request,
                   enum identity_effect effect)
{
    struct upstream_connection *connection = lease_connection(client);
    if (effect == IDENTITY_STAYS || connection == NULL)
        return;
    if (client->sharing)
        sharing_forget_identity(client);
    client->may_be_logged_in = true;
    connection->may_be_logged_in = true;
    standing_forget(client->worker->standings, &connection->standing);
    client->identity_told = false;
    /* without a reply, the end of the command is unknown */
    if (request_is_silent(request) && effect == IDENTITY_CHANGES)
        connection->standing.in_doubt = true;
}

bool identify_may_pass(const struct client *client, const struct message *message,
                       const struct wire_command *request)
{
    const struct tls_context *tls = client->worker->settings->upstream_tls;
    if (tls == NULL || !tls_context_has_certificate(tls))
        return true;
    size_t rest = (request->flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? 9 : 5;
    size_t have = message->compressor != WIRE_COMPRESSOR_NOOP
                      ? bytes_left(&message->payload)
                      : (size_t)message->header.length - WIRE_HEADER_BYTES;
    bool alone = request->legacy || have == rest + bytes_left(&request->body);
    return !certificate_may_log_in(request->name, request->name_len, request->body, alone);
}

static bool ask(struct client *client, const struct message *message,
                const struct wire_command *request)
{
    struct scan_element version;
    uint8_t *question = NULL;
    size_t len = 0;
    bool versioned =
        wire_command_find(request, "apiVersion", &version) && version.kind == BSON_KIND_STRING;
    if (!question_build(versioned ? &version : NULL, &question, &len)) {
        client_end(client, "out of memory for a request");
        return false;
    }
    counters_add(client_counters(client), COUNTER_IDENTITY_QUESTIONS, 1);
    bool sent = send_question(client, message, request_error_labels(request), question, len);
    memory_free(question);
    return sent;
}

static const uint8_t no_users[IDENTITY_KEY_BYTES];

/* True if the client uses connections of a pool: they are certainly of its own users. */
static bool is_of_pool(const struct client *client)
{
    const struct upstream_connection *connection = lease_connection(client);
    return client->sharing && !client->keeps_own && client->pool != NULL &&
           !pool_is_of_logins(client->pool) &&
           (connection == NULL || connection->entry.place == POOL_LEASED);
}

bool identify_may_ask(struct client *client)
{
    bool told = client->identity_told;
    client->identity_told = false;
    if (is_of_pool(client))
        return false;
    /* asks once for each insert: the answer may be out of date when it arrives */
    const struct upstream_connection *connection = lease_connection(client);
    return !told &&
           (connection == NULL || standing_may_ask(&connection->standing, client_now_us(client)));
}

enum request_step identify_ask(struct client *client, const struct message *message,
                               const struct wire_command *request)
{
    return ask(client, message, request) ? STEP_WAIT : STEP_STOP;
}

static void log_identity(const struct client *client, const struct standing *standing)
{
    LOG_SAMPLED(LOG_INFO, LOG_ACCESS, 2003, client->context, client->context,
                "The server names the connection's users",
                LOG_STR("users", standing_text(standing)));
}

void identify_answer(struct client *client, const struct pending *pending, struct bytes document,
                     uint32_t flags)
{
    struct identity identity = {.nobody = true};
    struct standing *standing = &lease_connection(client)->standing;
    bool was_known = standing_is_known(standing);
    bool clear =
        (flags & ~(uint32_t)WIRE_FLAG_CHECKSUM_PRESENT) == 0 && identity_read(document, &identity);
    (void)standing_learn(client->worker->standings, standing, clear ? &identity : NULL,
                         client->server, pending->sent_us);
    client->identity_told = true;
    if (client->sharing)
        sharing_learn(client, clear ? &identity : NULL, pending->sent_us);
    if (!standing_is_known(standing))
        LOG_SAMPLED(LOG_DEBUG, LOG_ACCESS, 2004, client->context, client->context,
                    "The server does not name the connection's users: its inserts are not merged",
                    LOG_STR("server", client->server));
    else if (!was_known && !identity.nobody)
        log_identity(client, standing);
}

/* Shared mode counts incarnations of its own. */
static struct merger_origin pool_origin(const struct client *client)
{
    const uint64_t shared = (uint64_t)1 << 63;
    const uint64_t verified = (uint64_t)1 << 62;
    const struct verifier *verifier = verified_as(client);
    struct merger_origin origin = {.identity = no_users,
                                   .server = client->server,
                                   .incarnation = shared,
                                   .trust = MERGER_CERTAIN,
                                   .backpressure = client->accepts_overload};
    if (verifier != NULL) {
        uint64_t key = 0;
        memcpy(&key, verifier_key(verifier), sizeof key);
        origin.identity = verifier_users(verifier);
        origin.incarnation |= verified | key;
    } else if (standing_is_known(&client->shared_as)) {
        origin.identity = standing_users(&client->shared_as);
        origin.incarnation |= standing_incarnation(&client->shared_as);
    }
    return origin;
}

struct merger_origin identify_origin(const struct client *client)
{
    static const uint8_t unknown[RETRY_IDENTITY_BYTES] = {0xFF, 0xFF, 0xFF, 0xFF};
    if (is_of_pool(client))
        return pool_origin(client);
    const struct standing *standing = lease_standing(client);
    struct merger_origin origin = {
        .identity = unknown, .server = client->server, .backpressure = client->accepts_overload};
    if (standing == NULL)
        return origin;
    origin.identity = standing_users(standing);
    origin.incarnation = standing_incarnation(standing);
    origin.trust =
        standing_is_certain(standing, client_now_us(client)) ? MERGER_CERTAIN : MERGER_PROBABLE;
    return origin;
}

/* The users of a connection of a pool; NULL: they are unknown. */
static const uint8_t *pool_users(const struct upstream_connection *connection)
{
    if (connection->verifier != NULL)
        return verifier_users(connection->verifier);
    if (standing_is_known(&connection->shared_as))
        return standing_users(&connection->shared_as);
    return connection->may_be_logged_in ? NULL : no_users;
}

bool identify_is(const struct upstream_connection *connection, const uint8_t *users)
{
    const uint8_t *shared = connection->entry.place == POOL_LEASED ? pool_users(connection) : NULL;
    if (shared != NULL)
        return memcmp(shared, users, RETRY_IDENTITY_BYTES) == 0;
    return standing_is_known(&connection->standing) &&
           memcmp(standing_users(&connection->standing), users, RETRY_IDENTITY_BYTES) == 0;
}
