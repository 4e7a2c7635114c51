#include "session/hellos.h"

#include "base/memory.h"
#include "session/answer.h"
#include "session/hello_answers.h"
#include "session/hello_facts.h"
#include "session/lease.h"
#include "session/logins.h"
#include "session/saved_hello.h"
#include "wire/reply.h"

/* Otherwise each connection would open another one, without an end. */
static enum request_step refuse_own_monitoring(struct client *client, const struct message *message)
{
    struct error err;
    (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                    "the option upstream leads back to this proxy; name the database");
    return answer_error(client, message, &err, 0) ? STEP_TAKEN : STEP_STOP;
}

void hellos_note(struct client *client, const struct wire_command *request)
{
    hello_facts_note(client, request);
    if (client->sharing && client->hello == NULL)
        client->hello = saved_hello_new(request);
}

enum request_step hellos_take(struct client *client, const struct message *message,
                              struct wire_command *request)
{
    hellos_note(client, request);
    if (client->is_own_monitoring)
        return refuse_own_monitoring(client, message);
    if (client->sharing && !client->keeps_own && hello_answers_may_take(client, request))
        return hello_answers_take(client, message, request, (struct bytes){0});
    return STEP_PASS;
}

/* Reads the compressors of the connection from its hello reply. A reply without `compression`
 * changes nothing. */
static void read_compressors(struct upstream_connection *connection, struct bytes document)
{
    struct scan_element element;
    if (scan_find(document, "compression", &element) && element.kind == BSON_KIND_ARRAY)
        connection->compressors = wire_hello_compressors(document);
}

/* False without memory or for a malformed reply. */
static bool rewrite(struct client *client, struct reply *reply)
{
    bool changed = false;
    uint8_t *rewritten = NULL;
    size_t rewritten_len = 0;
    struct wire_hello_rules rules = hello_facts_rules(client);
    if (!wire_hello_rewrite(reply->document, &rules, &changed, &rewritten, &rewritten_len))
        return false;
    if (!changed)
        return true;
    struct wire_reply_to to = {.request_id = reply->header.response_to,
                               .legacy = reply->header.opcode == WIRE_OP_REPLY};
    bool ok =
        wire_reply_frame(to, reply->header.request_id, reply->flags & WIRE_FLAG_MORE_TO_COME,
                         bytes_of(rewritten, rewritten_len), &reply->instead, &reply->instead_len);
    if (ok)
        counters_add(client_counters(client), COUNTER_HELLOS_REWRITTEN, 1);
    memory_free(rewritten);
    return ok;
}

bool hellos_take_reply(struct client *client, struct reply *reply)
{
    (void)logins_take_reply(client, reply);
    client->hello_seen = true;
    hello_facts_read_limits(client, reply->document);
    read_compressors(lease_connection(client), reply->document);
    if (client->pool == NULL || pool_is_of_logins(client->pool))
        client->compressors = lease_connection(client)->compressors;
    return rewrite(client, reply);
}
