/* A trail: the times and properties of one traced request, or of one batch of merged inserts. It
 * becomes spans when it ends (trail_spans.h). Pure. All times are monotonic, in microseconds; 0
 * means that it did not happen. */
#ifndef SLUICE_TRACE_TRAIL_H
#define SLUICE_TRACE_TRAIL_H

#include "base/bytes.h"
#include "trace/trace_context.h"

enum trail_kind {
    TRAIL_REQUEST, /* a client's request: its span, its waits, its upstream command */
    TRAIL_BATCH    /* the upstream command of merged inserts, with links to their requests */
};

/* The waits of a request before it goes upstream. */
enum trail_wait {
    TRAIL_WAIT_RESUME, /* the proxy was paused */
    TRAIL_WAIT_POOL,   /* all upstream connections were in use */
    TRAIL_WAIT_BATCH,  /* merging: an earlier command was under way */
    TRAIL_WAITS
};

enum { TRAIL_SERVER_BYTES = 264, TRAIL_LINKS_MAX = 128 };

struct trail_period {
    int64_t from_us;
    int64_t to_us;
};

struct trail {
    enum trail_kind kind;
    struct trace_context context; /* of the request's or the batch's span */
    uint8_t parent_id[TRACE_SPAN_ID_BYTES];
    uint8_t span_ids[1 + TRAIL_WAITS]
                    [TRACE_SPAN_ID_BYTES]; /* of the upstream command and the waits */
    bool has_parent;
    bool answered;
    bool failed;
    bool merged; /* a batch carried it */
    struct trace_context batch;
    struct trail_period whole;
    struct trail_period upstream;
    struct trail_period waits[TRAIL_WAITS];
    int32_t code; /* of the server's error; 0: none */
    uint64_t connection_id;
    uint16_t client_port;
    /* TRAIL_BATCH */
    uint32_t inserts;
    uint32_t documents;
    uint32_t links_left_out;
    size_t link_count;
    struct trace_context *links; /* owned */
    /* NUL-terminated; point into `text` */
    const char *operation;
    const char *database;
    const char *collection;
    const char *client_address;
    char server[TRAIL_SERVER_BYTES]; /* "host:port" or a socket's path; "" before it is sent */
    char text[];
};

/* The names of a trail; they are copied and cut to the limits of servers. */
struct trail_names {
    struct bytes operation;
    struct bytes database;
    struct bytes collection; /* empty: the command names none */
    const char *client_address;
};

/* A trail of zeros with these names. NULL without memory. Release it with trail_free. */
struct trail *trail_new(enum trail_kind kind, const struct trail_names *names);
void trail_free(struct trail *trail); /* NULL is allowed */

/* Adds a link; above TRAIL_LINKS_MAX, and without memory, it is only counted. */
void trail_add_link(struct trail *trail, const struct trace_context *context);

/* Reads the outcome of a reply document: `ok`, `code`, and the first of `writeErrors`. An empty
 * document says nothing. */
void trail_note_reply(struct trail *trail, struct bytes document);

#endif
