#include "cli/admin_client.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "net/http_client.h"
#include "net/tls.h"

struct client_exchange {
    const struct client_target *target;
    struct event_base *base;
    struct text *body;
    struct error *err;
    bool good;
};

static void take_answer(void *arg, const struct http_answer *answer)
{
    struct client_exchange *exchange = arg;
    const struct client_target *target = exchange->target;
    const char *cause = answer->failure;
    event_base_loopexit(exchange->base, NULL);
    if (bytes_left(&answer->body) > 0)
        text_add_bytes(exchange->body, (const char *)answer->body.pos, bytes_left(&answer->body));
    if (exchange->body->cut)
        cause = "out of memory";
    if (answer->status == 0 || exchange->body->cut)
        (void)error_set(exchange->err, ERROR_HOST_UNREACHABLE,
                        "the admin endpoint %.200s:%u does not answer: %.200s", target->host,
                        target->port, cause);
    else if (answer->status != 200)
        (void)error_set(exchange->err, ERROR_BAD_VALUE, "the admin endpoint answered %d: %.*s",
                        answer->status,
                        exchange->body->len > 0 ? (int)strcspn(exchange->body->data, "\n") : 0,
                        exchange->body->len > 0 ? exchange->body->data : "");
    else
        exchange->good = true;
}

static bool ask(struct client_exchange *exchange, struct http_client *client, const char *path)
{
    char authorization[CLIENT_TOKEN_BYTES + 8];
    const char *token = exchange->target->token;
    (void)snprintf(authorization, sizeof authorization, "Bearer %s", token);
    const struct http_header headers[] = {{"Connection", "close"},
                                          {"Authorization", authorization}};
    const struct http_question question = {.path = path,
                                           .headers = headers,
                                           .header_count = token[0] != 0 ? 2 : 1,
                                           .timeout_seconds = CLIENT_TIMEOUT_SECONDS};
    if (client == NULL || !http_client_ask(client, &question, take_answer, exchange))
        return error_no_memory(exchange->err, "the answer of the admin endpoint");
    event_base_dispatch(exchange->base);
    return exchange->good;
}

bool client_get(const struct client_target *target, const char *path, struct text *body,
                struct error *err)
{
    struct client_exchange exchange = {.target = target, .body = body, .err = err};
    struct tls_client_options options = {.ca_file = target->ca_file};
    struct tls_context *tls = NULL;
    *body = text_growing();
    if (target->tls && (tls = tls_context_new_client(&options, err)) == NULL)
        return false;
    exchange.base = event_base_new();
    struct http_client *client =
        exchange.base == NULL ? NULL
                              : http_client_new(exchange.base, target->host, target->port, tls);
    bool good = ask(&exchange, client, path);
    http_client_free(client);
    tls_context_release(tls);
    if (exchange.base != NULL)
        event_base_free(exchange.base);
    return good;
}
