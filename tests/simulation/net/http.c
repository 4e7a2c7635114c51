/* The functions of libevent's HTTP server that admin/http.c calls. Requests come from
 * process_http_ask in place of sockets; admin/ is the object code of the product. Requests,
 * headers, URIs and buffers are libevent's own. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "process.h"
#include "world_internal.h"

struct bufferevent {
    unsigned references;
    void *owner; /* NULL: its connection ended */
};

struct evconnlistener {
    struct descriptor *door;
};

struct evhttp_bound_socket {
    struct evconnlistener *listener;
};

struct asked {
    struct asked *next;
    struct http_question question;
    char *uri, *body, *authorization;
};

struct evhttp {
    struct event *came;
    struct event_base *base;
    void (*handle)(struct evhttp_request *request, void *arg);
    void *arg;
    struct bufferevent *(*make)(struct event_base *base, void *arg);
    void *make_arg;
    struct evhttp_bound_socket bound;
    struct asked *first;
    struct asked **last;
};

/* A connection with one request. */
struct evhttp_connection {
    struct bufferevent *events;
    unsigned answers;
    struct http_answer answer;
};

/* --- requests --- */

static char *copy(const char *text)
{
    if (text == NULL)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(simulation_alloc(size), text, size);
}

static void finish(struct asked *asked, const struct http_answer *answer)
{
    asked->question.answered(asked->question.arg, answer);
    free(asked->uri);
    free(asked->body);
    free(asked->authorization);
    free(asked);
}

bool process_http_ask(const struct http_question *question)
{
    struct evhttp *http = the_process->http;
    if (http == NULL)
        return false;
    struct asked *asked = simulation_alloc(sizeof *asked);
    *asked = (struct asked){.question = *question,
                            .uri = copy(question->uri),
                            .body = copy(question->body),
                            .authorization = copy(question->authorization)};
    *http->last = asked;
    http->last = &asked->next;
    event_active(http->came, EV_READ, 0);
    return true;
}

static struct evhttp_request *make_request(const struct asked *asked,
                                           struct evhttp_connection *connection)
{
    struct evhttp_request *request = evhttp_request_new(NULL, NULL);
    request->kind = EVHTTP_REQUEST;
    request->type = (enum evhttp_cmd_type)asked->question.method;
    request->evcon = connection;
    request->uri = strdup(asked->uri);
    request->uri_elems = evhttp_uri_parse(asked->uri);
    struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    evhttp_add_header(headers, "Host", "127.0.0.1");
    if (asked->authorization != NULL)
        evhttp_add_header(headers, "Authorization", asked->authorization);
    if (asked->question.accept != NULL)
        evhttp_add_header(headers, "Accept", asked->question.accept);
    if (asked->body != NULL)
        evbuffer_add(evhttp_request_get_input_buffer(request), asked->body, strlen(asked->body));
    return request;
}

static void serve(struct evhttp *http, struct asked *asked)
{
    struct evhttp_connection connection = {.events = http->make(http->base, http->make_arg)};
    if (connection.events != NULL)
        connection.events->owner = &connection;
    struct evhttp_request *request = make_request(asked, &connection);
    http->handle(request, http->arg);
    if (connection.answers != 1)
        world_fail(the_process->world, "admin answer", "%s got %u answers", asked->uri,
                   connection.answers);
    evhttp_request_free(request);
    if (connection.events != NULL) {
        connection.events->owner = NULL;
        bufferevent_decref(connection.events);
    }
    finish(asked, &connection.answer);
    free(connection.answer.body);
}

static void take_requests(evutil_socket_t fd, short what, void *arg)
{
    struct evhttp *http = arg;
    struct asked *asked = http->first;
    (void)fd;
    (void)what;
    if (asked == NULL)
        return;
    http->first = asked->next;
    if (http->first == NULL)
        http->last = &http->first;
    else
        event_active(http->came, EV_READ, 0);
    serve(http, asked);
}

void evhttp_send_reply(struct evhttp_request *request, int code, const char *reason,
                       struct evbuffer *body)
{
    struct evhttp_connection *connection = request->evcon;
    struct http_answer *answer = &connection->answer;
    const char *type =
        evhttp_find_header(evhttp_request_get_output_headers(request), "Content-Type");
    (void)reason;
    if (connection->answers++ > 0)
        return;
    answer->status = code;
    answer->len = body == NULL ? 0 : evbuffer_get_length(body);
    answer->body = simulation_alloc(answer->len + 1);
    if (answer->len > 0)
        (void)evbuffer_remove(body, answer->body, answer->len);
    (void)snprintf(answer->type, sizeof answer->type, "%s", type == NULL ? "" : type);
}

struct evhttp_connection *evhttp_request_get_connection(struct evhttp_request *request)
{
    return request->evcon;
}

void evhttp_connection_get_peer(struct evhttp_connection *connection, char **address,
                                ev_uint16_t *port)
{
    static char peer[] = "127.0.0.1";
    (void)connection;
    *address = peer;
    *port = 40000;
}

struct bufferevent *evhttp_connection_get_bufferevent(struct evhttp_connection *connection)
{
    return connection->events;
}

/* --- buffered connections, as far as their owner looks at them --- */

struct bufferevent *bufferevent_socket_new(struct event_base *base, evutil_socket_t fd, int options)
{
    struct bufferevent *events = simulation_alloc(sizeof *events);
    (void)base;
    (void)fd;
    (void)options;
    events->references = 1;
    return events;
}

void bufferevent_incref(struct bufferevent *events)
{
    events->references++;
}

int bufferevent_decref(struct bufferevent *events)
{
    if (--events->references > 0)
        return 0;
    free(events);
    return 1;
}

void bufferevent_getcb(struct bufferevent *events, bufferevent_data_cb *read,
                       bufferevent_data_cb *write, bufferevent_event_cb *event, void **owner)
{
    (void)read;
    (void)write;
    (void)event;
    *owner = events->owner;
}

evutil_socket_t bufferevent_getfd(struct bufferevent *events)
{
    (void)events;
    return -1;
}

/* --- the server --- */

struct evhttp *evhttp_new(struct event_base *base)
{
    struct evhttp *http = simulation_alloc(sizeof *http);
    http->base = base;
    http->last = &http->first;
    http->came = event_new(base, -1, EV_PERSIST, take_requests, http);
    the_process->http = http;
    return http;
}

void evhttp_free(struct evhttp *http)
{
    static const struct http_answer none = {0};
    the_process->http = NULL;
    while (http->first != NULL) {
        struct asked *asked = http->first;
        http->first = asked->next;
        finish(asked, &none);
    }
    event_free(http->came);
    if (http->bound.listener != NULL)
        evconnlistener_free(http->bound.listener);
    free(http);
}

void evhttp_set_gencb(struct evhttp *http, void (*handle)(struct evhttp_request *, void *),
                      void *arg)
{
    http->handle = handle;
    http->arg = arg;
}

void evhttp_set_bevcb(struct evhttp *http, struct bufferevent *(*make)(struct event_base *, void *),
                      void *arg)
{
    http->make = make;
    http->make_arg = arg;
}

struct evhttp_bound_socket *evhttp_bind_listener(struct evhttp *http,
                                                 struct evconnlistener *listener)
{
    http->bound.listener = listener;
    return &http->bound;
}

struct evconnlistener *evconnlistener_new(struct event_base *base, evconnlistener_cb accepted,
                                          void *arg, unsigned flags, int backlog,
                                          evutil_socket_t fd)
{
    struct evconnlistener *listener = simulation_alloc(sizeof *listener);
    (void)base;
    (void)accepted;
    (void)arg;
    (void)flags;
    (void)backlog;
    listener->door = descriptor_find(fd);
    return listener;
}

void evconnlistener_free(struct evconnlistener *listener)
{
    descriptor_close(listener->door, false);
    free(listener);
}

int evconnlistener_enable(struct evconnlistener *listener)
{
    (void)listener;
    return 0;
}

int evconnlistener_disable(struct evconnlistener *listener)
{
    (void)listener;
    return 0;
}

void evhttp_set_max_headers_size(struct evhttp *http, ev_ssize_t bytes)
{
    (void)http;
    (void)bytes;
}

void evhttp_set_max_body_size(struct evhttp *http, ev_ssize_t bytes)
{
    (void)http;
    (void)bytes;
}

void evhttp_set_timeout(struct evhttp *http, int seconds)
{
    (void)http;
    (void)seconds;
}

void evhttp_set_allowed_methods(struct evhttp *http, ev_uint16_t methods)
{
    (void)http;
    (void)methods;
}
