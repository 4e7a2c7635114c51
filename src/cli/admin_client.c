#include "cli/admin_client.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <string.h>

#include "base/host_port.h"
#include "net/tls.h"
#include "net/tls_events.h"

enum { ANSWER_BYTES_MAX = 16 * 1024 * 1024 };

struct client_exchange {
    const struct client_target *target;
    struct event_base *base;
    struct bufferevent *events; /* of a TLS connection */
    struct text *body;
    struct error *err;
    bool done; /* the callback has run */
    bool good;
};

static void fail(struct client_exchange *exchange, const char *cause)
{
    const struct client_target *target = exchange->target;
    exchange->good = error_set(exchange->err, ERROR_HOST_UNREACHABLE,
                               "the admin endpoint %.200s:%u does not answer: %.200s", target->host,
                               target->port, cause);
}

static void take_answer(struct client_exchange *exchange, struct evhttp_request *request)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_get_length(input);
    const char *data = (const char *)evbuffer_pullup(input, -1);
    int status = evhttp_request_get_response_code(request);
    if (len > 0 && data != NULL)
        text_add_bytes(exchange->body, data, len);
    if (exchange->body->cut)
        fail(exchange, "out of memory");
    else if (status == 200)
        exchange->good = true;
    else
        exchange->good =
            error_set(exchange->err, ERROR_BAD_VALUE, "the admin endpoint answered %d: %.*s",
                      status, len > 0 ? (int)strcspn(exchange->body->data, "\n") : 0,
                      len > 0 ? exchange->body->data : "");
}

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct client_exchange *exchange = arg;
    char reason[160] = "";
    exchange->done = true;
    event_base_loopexit(exchange->base, NULL);
    if (request != NULL && evhttp_request_get_response_code(request) != 0) {
        take_answer(exchange, request);
        return;
    }
    if (exchange->events != NULL)
        tls_events_describe_failure(exchange->events, reason, sizeof reason);
    fail(exchange, reason[0] != 0 ? reason : "no connection, or it was closed");
}

static bool ask(struct client_exchange *exchange, struct evhttp_connection *connection,
                const char *path)
{
    char authorization[CLIENT_TOKEN_BYTES + 8];
    char host[300];
    const struct client_target *target = exchange->target;
    struct evhttp_request *request = evhttp_request_new(on_answer, exchange);
    if (request == NULL)
        return error_no_memory(exchange->err, "the answer of the admin endpoint");
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    host_port_write(target->host, target->port, host, sizeof host);
    evhttp_add_header(headers, "Host", host);
    evhttp_add_header(headers, "Connection", "close");
    if (target->token[0] != 0) {
        (void)snprintf(authorization, sizeof authorization, "Bearer %s", target->token);
        evhttp_add_header(headers, "Authorization", authorization);
    }
    evhttp_connection_set_timeout(connection, CLIENT_TIMEOUT_SECONDS);
    evhttp_connection_set_max_body_size(connection, ANSWER_BYTES_MAX);
    if (evhttp_make_request(connection, request, EVHTTP_REQ_GET, path) != 0 && !exchange->done)
        fail(exchange, "cannot make a connection");
    else
        event_base_dispatch(exchange->base);
    return exchange->good;
}

static bool make_tls(struct client_exchange *exchange)
{
    struct tls_client_options options = {.ca_file = exchange->target->ca_file};
    struct tls_context *tls = tls_context_new_client(&options, exchange->err);
    if (tls == NULL)
        return false;
    exchange->events = tls_events_new_client(tls, exchange->base, exchange->target->host);
    tls_context_release(tls);
    return exchange->events != NULL || error_no_memory(exchange->err, "a TLS connection");
}

bool client_get(const struct client_target *target, const char *path, struct text *body,
                struct error *err)
{
    struct client_exchange exchange = {.target = target, .body = body, .err = err};
    struct evhttp_connection *connection = NULL;
    exchange.base = event_base_new();
    *body = text_growing();
    if (exchange.base == NULL)
        return error_no_memory(err, "the answer of the admin endpoint");
    if (!target->tls || make_tls(&exchange)) {
        connection = evhttp_connection_base_bufferevent_new(exchange.base, NULL, exchange.events,
                                                            target->host, target->port);
        if (connection == NULL)
            (void)error_no_memory(err, "the answer of the admin endpoint");
        else
            (void)ask(&exchange, connection, path);
    }
    if (connection != NULL)
        evhttp_connection_free(connection);
    else if (exchange.events != NULL)
        bufferevent_free(exchange.events);
    if (exchange.events != NULL)
        tls_events_free(exchange.events);
    event_base_free(exchange.base);
    return exchange.good;
}
