/* libevent's HTTP server with two additional limits: the number of connections and the time of
 * each. For the loop's thread. */
#ifndef SLUICE_ADMIN_HTTP_H
#define SLUICE_ADMIN_HTTP_H

#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

struct event_base;
struct evhttp_request;
struct http_server;
struct tls_context;

/* The limits of a request. They allow a scraper, some dashboards and people, a header with a long
 * token, and a schema of thousands of fields. All connections together can hold their product, 64
 * MiB. */
enum {
    HTTP_CONNECTIONS_MAX = 64,
    HTTP_HEADER_BYTES_MAX = 16 * 1024,
    HTTP_BODY_BYTES_MAX = 1024 * 1024,
    HTTP_SILENCE_SECONDS = 10,  /* no byte was received or accepted for this time */
    HTTP_REQUEST_MS = 30 * 1000 /* from one request (or the accept) to the end of the next */
};

/* Listens and passes requests to `handle`, which replies at once. The port may be 0. */
struct http_server *http_server_start(struct event_base *base, const char *host, uint16_t port,
                                      void (*handle)(void *arg, struct evhttp_request *request),
                                      void *arg, struct error *err);
uint16_t http_server_port(const struct http_server *server);
/* Applies to new connections; NULL: plain. Takes over a reference. */
void http_server_set_tls(struct http_server *server, struct tls_context *tls);
/* Call it some times a second: ends requests that take too long, and accepts again when there is
 * room. */
void http_server_tick(struct http_server *server);
unsigned http_server_connections(const struct http_server *server);
void http_server_free(struct http_server *server);

struct http_reply {
    int status;
    const char *type;   /* of the body */
    const char *allow;  /* methods, for 405 */
    const char *policy; /* Content-Security-Policy; NULL: nothing may be loaded */
};
/* Sends the body and releases it. If the body was cut because memory was out, sends a 503 instead.
 */
void http_send(struct evhttp_request *request, const struct http_reply *reply, struct text *body);
void http_send_json(struct evhttp_request *request, int status, struct text *body);
/* Sends or only writes {"error":…,"status":…}. */
void http_send_error(struct evhttp_request *request, int status, const char *reason);
void http_write_error(struct text *body, int status, const char *reason);

#endif
