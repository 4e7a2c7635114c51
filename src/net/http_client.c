#include "net/http_client.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "net/tls.h"
#include "net/tls_events.h"

enum { ANSWER_BYTES_MAX = 16 * 1024 * 1024 };

struct http_client {
    struct event_base *base;
    struct tls_context *tls; /* NULL: plain */
    char host[HOST_BYTES];
    uint16_t port;
    struct evhttp_connection *connection;
    struct bufferevent *events; /* of a TLS connection */
    http_done done;             /* NULL: no question is open */
    void *arg;
    bool spent; /* the connection is closed or unclear: the next question makes a new one */
};

struct http_client *http_client_new(struct event_base *base, const char *host, uint16_t port,
                                    struct tls_context *tls)
{
    struct http_client *client = memory_zalloc(sizeof *client);
    if (client == NULL)
        return NULL;
    client->base = base;
    client->tls = tls != NULL ? tls_context_retain(tls) : NULL;
    client->port = port;
    (void)snprintf(client->host, sizeof client->host, "%s", host);
    return client;
}

static void disconnect(struct http_client *client)
{
    struct bufferevent *events = client->events;
    client->events = NULL;
    client->spent = false;
    if (client->connection != NULL)
        evhttp_connection_free(client->connection);
    else if (events != NULL)
        bufferevent_free(events);
    client->connection = NULL;
    if (events != NULL)
        tls_events_free(events);
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    disconnect(client);
    tls_context_release(client->tls);
    memory_free(client);
}

static void on_close(struct evhttp_connection *connection, void *arg)
{
    struct http_client *client = arg;
    (void)connection;
    client->spent = true;
}

static bool connect_anew(struct http_client *client)
{
    disconnect(client);
    if (client->tls != NULL) {
        client->events = tls_events_new_client(client->tls, client->base, client->host);
        if (client->events == NULL)
            return false;
    }
    client->connection = evhttp_connection_base_bufferevent_new(client->base, NULL, client->events,
                                                                client->host, client->port);
    if (client->connection == NULL)
        return false;
    evhttp_connection_set_max_body_size(client->connection, ANSWER_BYTES_MAX);
    evhttp_connection_set_closecb(client->connection, on_close, client);
    return true;
}

static void finish(struct http_client *client, const struct http_answer *answer)
{
    http_done done = client->done;
    client->done = NULL;
    done(client->arg, answer);
}

static void fail(struct http_client *client)
{
    char reason[160] = "";
    if (client->events != NULL)
        tls_events_describe_failure(client->events, reason, sizeof reason);
    client->spent = true;
    const struct http_answer answer = {
        .failure = reason[0] != 0 ? reason : "no connection, or it was closed"};
    finish(client, &answer);
}

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct http_client *client = arg;
    if (client->done == NULL)
        return;
    if (request == NULL || evhttp_request_get_response_code(request) == 0) {
        fail(client);
        return;
    }
    struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_get_length(input);
    const unsigned char *data = len > 0 ? evbuffer_pullup(input, -1) : NULL;
    struct http_answer answer = {.status = evhttp_request_get_response_code(request),
                                 .retry_after = evhttp_find_header(headers, "Retry-After")};
    if (data != NULL)
        answer.body = bytes_of(data, len);
    finish(client, &answer);
}

static bool add_headers(const struct http_client *client, const struct http_question *question,
                        struct evhttp_request *request)
{
    char host[HOST_PORT_BYTES];
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    host_port_write(client->host, client->port, host, sizeof host);
    bool added = evhttp_add_header(headers, "Host", host) == 0;
    for (size_t i = 0; i < question->header_count; i++)
        added = added && evhttp_add_header(headers, question->headers[i].name,
                                           question->headers[i].value) == 0;
    size_t len = bytes_left(&question->body);
    return added && (len == 0 || evbuffer_add(evhttp_request_get_output_buffer(request),
                                              question->body.pos, len) == 0);
}

bool http_client_ask(struct http_client *client, const struct http_question *question,
                     http_done done, void *arg)
{
    sluice_assert(client->done == NULL);
    if ((client->connection == NULL || client->spent) && !connect_anew(client))
        return false;
    struct evhttp_request *request = evhttp_request_new(on_answer, client);
    if (request == NULL)
        return false;
    if (!add_headers(client, question, request)) {
        evhttp_request_free(request);
        return false;
    }
    enum evhttp_cmd_type method =
        bytes_left(&question->body) > 0 ? EVHTTP_REQ_POST : EVHTTP_REQ_GET;
    evhttp_connection_set_timeout(client->connection, question->timeout_seconds);
    client->done = done;
    client->arg = arg;
    /* on failure evhttp has freed the request; it may have called on_answer before */
    if (evhttp_make_request(client->connection, request, method, question->path) != 0 &&
        client->done != NULL)
        fail(client);
    return true;
}
