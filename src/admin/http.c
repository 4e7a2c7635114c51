#include "admin/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "net/connector.h"
#include "net/listener.h"
#include "net/tls.h"
#include "net/tls_events.h"

enum { BACKLOG = 64 };

struct connection {
    struct bufferevent *events; /* our reference; it tells when evhttp releases it */
    int64_t since_ms;
    bool is_tls;
};

struct http_server {
    struct event_base *base;
    struct evhttp *http;
    struct evconnlistener *listener; /* evhttp's */
    struct tls_context *tls;
    void (*handle)(void *arg, struct evhttp_request *request);
    void *arg;
    uint16_t port;
    unsigned count;
    struct connection connections[HTTP_CONNECTIONS_MAX];
};

/* --- connections --------------------------------------------------------------------------------
 */

/* evhttp removes its callbacks when it frees a connection, and keeps them until then. */
static bool is_over(struct bufferevent *events)
{
    void *owner = NULL;
    bufferevent_getcb(events, NULL, NULL, NULL, &owner);
    return owner == NULL;
}

static void release(const struct connection *connection)
{
    if (connection->is_tls)
        tls_events_free(connection->events);
    else
        bufferevent_decref(connection->events);
}

static void sweep(struct http_server *server)
{
    for (unsigned i = 0; i < server->count;) {
        if (!is_over(server->connections[i].events)) {
            i++;
            continue;
        }
        release(&server->connections[i]);
        server->connections[i] = server->connections[--server->count];
    }
}

static struct bufferevent *make_connection(struct event_base *base, void *arg)
{
    struct http_server *server = arg;
    sweep(server);
    if (server->count == HTTP_CONNECTIONS_MAX)
        return NULL; /* unreachable: the listener is disabled */
    bool is_tls = server->tls != NULL;
    struct bufferevent *events =
        is_tls ? tls_events_new_server(server->tls, base) : bufferevent_socket_new(base, -1, 0);
    if (events == NULL)
        return NULL;
    if (!is_tls)
        bufferevent_incref(events);
    server->connections[server->count++] =
        (struct connection){.events = events, .since_ms = clock_now_ms(), .is_tls = is_tls};
    if (server->count == HTTP_CONNECTIONS_MAX) /* further connections wait in the kernel */
        evconnlistener_disable(server->listener);
    return events;
}

static void note_request(struct http_server *server, struct evhttp_request *request)
{
    struct bufferevent *events =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
    for (unsigned i = 0; i < server->count; i++)
        if (server->connections[i].events == events)
            server->connections[i].since_ms = clock_now_ms();
}

static void on_request(struct evhttp_request *request, void *arg)
{
    struct http_server *server = arg;
    note_request(server, request);
    server->handle(server->arg, request);
}

void http_server_tick(struct http_server *server)
{
    int64_t now_ms = clock_now_ms();
    sweep(server);
    for (unsigned i = 0; i < server->count; i++) {
        int fd = bufferevent_getfd(server->connections[i].events);
        if (now_ms - server->connections[i].since_ms >= HTTP_REQUEST_MS && fd >= 0)
            (void)shutdown(fd, SHUT_RDWR); /* evhttp sees the end and frees it */
    }
    if (server->count < HTTP_CONNECTIONS_MAX)
        evconnlistener_enable(server->listener);
}

/* --- life ---------------------------------------------------------------------------------------
 */

static bool prepare(struct http_server *server, int fd)
{
    server->http = evhttp_new(server->base);
    if (server->http == NULL) {
        close(fd);
        return false;
    }
    evhttp_set_max_headers_size(server->http, HTTP_HEADER_BYTES_MAX);
    evhttp_set_max_body_size(server->http, HTTP_BODY_BYTES_MAX);
    evhttp_set_timeout(server->http, HTTP_SILENCE_SECONDS);
    /* accept all methods, so that a wrong one gets an answer with the right ones */
    evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                                 EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                                 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_gencb(server->http, on_request, server);
    evhttp_set_bevcb(server->http, make_connection, server);
    server->listener = evconnlistener_new(server->base, NULL, NULL,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (server->listener == NULL) {
        close(fd);
        return false;
    }
    if (evhttp_bind_listener(server->http, server->listener) != NULL)
        return true;
    evconnlistener_free(server->listener);
    return false;
}

struct http_server *http_server_start(struct event_base *base, const char *host, uint16_t port,
                                      void (*handle)(void *arg, struct evhttp_request *request),
                                      void *arg, struct error *err)
{
    uint16_t bound = 0;
    int fd = listener_bind(host, port, BACKLOG, "admin.listen", &bound, err);
    if (fd < 0)
        return NULL;
    connector_tune_socket(fd); /* accepted sockets inherit it */
    struct http_server *server = memory_zalloc(sizeof *server);
    if (server != NULL)
        *server = (struct http_server){.base = base, .handle = handle, .arg = arg, .port = bound};
    else
        close(fd);
    if (server != NULL && prepare(server, fd))
        return server;
    if (server != NULL)
        http_server_free(server);
    (void)error_no_memory(err, "the admin endpoint");
    return NULL;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

unsigned http_server_connections(const struct http_server *server)
{
    return server->count;
}

void http_server_set_tls(struct http_server *server, struct tls_context *tls)
{
    tls_context_release(server->tls);
    server->tls = tls;
}

void http_server_free(struct http_server *server)
{
    if (server->http != NULL)
        evhttp_free(server->http);
    sweep(server);
    tls_context_release(server->tls);
    memory_free(server);
}

/* --- replies ------------------------------------------------------------------------------------
 */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {422, "Unprocessable Content"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

static void add_headers(struct evhttp_request *request, const struct http_reply *reply)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Content-Type", reply->type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
    evhttp_add_header(headers, "Content-Security-Policy",
                      reply->policy != NULL ? reply->policy
                                            : "default-src 'none'; frame-ancestors 'none'");
    if (reply->allow != NULL)
        evhttp_add_header(headers, "Allow", reply->allow);
    if (reply->status == 401)
        evhttp_add_header(headers, "WWW-Authenticate", "Bearer realm=\"mongosluice\"");
}

static void free_body(const void *data, size_t len, void *arg)
{
    (void)data;
    (void)len;
    memory_free(arg);
}

void http_send(struct evhttp_request *request, const struct http_reply *reply, struct text *body)
{
    struct evbuffer *out = evbuffer_new();
    if (out == NULL || body->cut) {
        text_release(body);
        if (out != NULL)
            evbuffer_free(out);
        evhttp_send_reply(request, 503, "Out of Memory", NULL);
        return;
    }
    add_headers(request, reply);
    if (body->len > 0 &&
        evbuffer_add_reference(out, body->data, body->len, free_body, body->data) == 0)
        *body = text_growing(); /* the body was taken over */
    text_release(body);
    evhttp_send_reply(request, reply->status, reason_of(reply->status), out);
    evbuffer_free(out);
}

void http_send_json(struct evhttp_request *request, int status, struct text *body)
{
    text_add(body, "\n");
    http_send(request,
              &(struct http_reply){.status = status, .type = "application/json; charset=utf-8"},
              body);
}

void http_write_error(struct text *body, int status, const char *reason)
{
    struct json json = json_over(body);
    json_open_object(&json, NULL);
    json_add_string(&json, "error", reason);
    json_add_int(&json, "status", status);
    json_close_object(&json);
}

void http_send_error(struct evhttp_request *request, int status, const char *reason)
{
    struct text body = text_growing();
    http_write_error(&body, status, reason);
    http_send_json(request, status, &body);
}
