/* An HTTP/1.1 client on an event loop, for one server at a time: it keeps its connection between
 * requests. Belongs to the thread of the loop. */
#ifndef SLUICE_NET_HTTP_CLIENT_H
#define SLUICE_NET_HTTP_CLIENT_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/host_port.h"

struct event_base;
struct http_client;
struct tls_context;

struct http_header {
    const char *name;
    const char *value;
};

struct http_question {
    const char *path;
    const struct http_header *headers;
    size_t header_count;
    struct bytes body; /* not empty: POST; otherwise GET */
    int timeout_seconds;
};

/* Borrowed during the callback. */
struct http_answer {
    int status;              /* 0: none came */
    const char *failure;     /* the reason for status 0 */
    const char *retry_after; /* the header; NULL without it */
    struct bytes body;
};

/* Called once for each question, on the loop. It must not free the client. */
typedef void (*http_done)(void *arg, const struct http_answer *answer);

/* `tls` may be NULL for plain HTTP; takes a reference. The host is resolved on the loop's thread,
 * which waits for it. NULL without memory. */
struct http_client *http_client_new(struct event_base *base, const char *host, uint16_t port,
                                    struct tls_context *tls);
/* Drops a question without an answer. NULL is allowed. */
void http_client_free(struct http_client *client);

/* No other question may be open. False without memory; `done` is then not called. */
bool http_client_ask(struct http_client *client, const struct http_question *question,
                     http_done done, void *arg);

#endif
