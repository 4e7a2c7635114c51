/* Tracing of requests: a traced request has a trail (trace/trail.h), which goes with it from hand
 * to hand: client->trail, then pending->trail or exchange->trail, at its end the exporter's queue.
 * An untraced request has none, and every function accepts NULL for its trail. Worker's thread.
 *
 * A module that makes a request wait calls spans_wait. The wait ends when the request is sent. */
#ifndef SLUICE_SESSION_SPANS_H
#define SLUICE_SESSION_SPANS_H

#include "session/client.h"
#include "trace/trail.h"

/* Sets tracing up for the worker, without memory of the options before; the index is its own. */
void spans_start(struct session_worker *worker, unsigned index);
/* Call it after a change of settings. */
void spans_configure(struct session_worker *worker);

static inline bool spans_are_on(const struct client *client)
{
    return client->worker->spans.on;
}

/* The client's next request is looked at, perhaps again: decides once whether it is traced. */
void spans_begin(struct client *client, const struct wire_command *request);

/* A wait starts now; only the first one of a kind counts. */
void spans_wait_traced(struct trail *trail, enum trail_wait wait);
static inline void spans_wait(struct trail *trail, enum trail_wait wait)
{
    if (trail != NULL)
        spans_wait_traced(trail, wait);
}

/* Takes the trail of the client's next request over. */
static inline struct trail *spans_take(struct client *client)
{
    struct trail *trail = client->trail;
    client->trail = NULL;
    return trail;
}

/* The request goes to this server now ("host:port" or a socket's path). */
void spans_note_sent(struct trail *trail, const char *server, int64_t now_us);

/* Does both, for a request that goes on the connection whose lease the client holds. */
struct trail *spans_send_traced(struct client *client);
static inline struct trail *spans_send(struct client *client)
{
    return client->trail == NULL ? NULL : spans_send_traced(client);
}

/* The reply came: its document, or an empty one if the proxy did not look into it. */
void spans_note_reply_traced(struct trail *trail, struct bytes document);
static inline void spans_note_reply(struct trail *trail, struct bytes document)
{
    if (trail != NULL)
        spans_note_reply_traced(trail, document);
}

/* The proxy refuses the request. */
void spans_note_refusal(struct trail *trail, int code);

/* The request is over: takes the trail over and queues it for the export. A trail without a reply
 * counts as failed. */
void spans_end_traced(struct session_worker *worker, struct trail *trail);
static inline void spans_end(struct session_worker *worker, struct trail *trail)
{
    if (trail != NULL)
        spans_end_traced(worker, trail);
}

/* The client has ended. */
void spans_forget_client(struct client *client);

/* A new span id, or trace id, of `len` bytes. */
void spans_make_id(struct session_worker *worker, uint8_t *id, size_t len);

#endif
