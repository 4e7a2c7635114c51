/* Shared by the files of this room only. */
#ifndef SLUICE_SESSION_SESSION_INTERNAL_H
#define SLUICE_SESSION_SESSION_INTERNAL_H

#include "auth/identity.h"
#include "base/log.h"
#include "enforce/enforce.h"
#include "net/connector.h"
#include "net/link.h"
#include "session/observe.h"
#include "session/request.h"
#include "session/session.h"
#include "wire/reply.h"
#include "wire/sections.h"

/* Requests that a client may have under way before the proxy stops reading from it. Drivers have
 * one; the protocol allows more. */
enum { SESSION_PENDING_MAX = 4 };

/* maxBsonObjectSize of every server since 1.8. */
enum { SESSION_DOCUMENT_BYTES = 16 * 1024 * 1024 };

/* How long a client that was sent an error, or that left a w:0 write behind, is waited for. */
enum { SESSION_LINGER_MS = 5000 };

/* Over max_client_conn, this many more are let in, only to be told so. */
enum { SESSION_REFUSALS_MAX = 64 };

enum session_state {
    SESSION_ACTIVE,
    SESSION_LINGERING, /* the upstream is gone: the client gets what waits, then FIN */
    SESSION_LEAVING,   /* the client is gone: the upstream gets what waits */
    SESSION_ENDED      /* freed after this loop turn */
};

/* A request as it came, or what of it has come. */
struct message {
    struct wire_header header;
    struct bytes payload; /* of OP_MSG: flags, sections, perhaps a checksum; decompressed */
    uint8_t compressor;   /* 0: it came plain */
    bool whole;
};

/* A request that the proxy answers in its own words: what is still to be done before the client
 * has its answer. One at a time for each session; no other request of the client is looked at
 * meanwhile. */
struct exchange {
    struct message message; /* the client's, without its payload */
    struct enforce_splice *splice;
    uint8_t *abort_message; /* abortTransaction, to be sent before the answer; owned */
    size_t abort_len;
    uint8_t *answer; /* a document; owned */
    size_t answer_len;
    uint32_t error_labels;
    uint8_t lsid[LSID_BYTES];
    uint8_t command; /* route_index of its name */
    bool aborting;   /* abortTransaction was sent */
};

/* A request that the upstream has not answered yet. */
struct pending {
    int32_t expected_response_to; /* its requestID; in an exhaust stream the last reply's */
    int32_t request_id;           /* the client's: what an error of the proxy's own answers */
    enum route_kind kind;
    bool legacy;
    bool exhaust;
    bool watches_identity;
    bool streaming; /* part of its reply went to the client */
    bool repeated;  /* this is not the first reply of its exhaust stream */
    bool exchanged; /* sent by the proxy itself: the reply is the exchange's */
    bool has_lsid;
    bool in_transaction;
    uint8_t command; /* route_index of its name */
    int64_t sent_us;
    uint32_t error_labels;
    uint8_t lsid[LSID_BYTES];
};

struct session {
    struct session *prev, *next; /* of the worker's list */
    struct session_worker *worker;
    uint64_t id;
    struct link client;
    struct link upstream;
    struct connector *connector; /* while the upstream is being connected */
    char *server;                /* owned; "" when none is known */
    struct identity *identity;   /* NULL until the first authentication command */
    enum session_state state;
    bool refused;          /* over max_client_conn */
    bool request_seen;     /* the handshake timeout is over */
    bool upstream_open;    /* counted in UPSTREAM_NOW */
    bool had_transaction;  /* must be forgotten at the end */
    bool accepts_overload; /* its hello had `backpressure` */
    bool metadata_logged;
    bool holding; /* its next request waits until the proxy is resumed */
    uint8_t pending_first;
    uint8_t pending_count;
    struct pending pending[SESSION_PENDING_MAX];
    struct wire_walk walk; /* of the request being forwarded, or whose body is waited for */
    bool walk_waits;       /* the latter */
    bool queued;           /* the next request is looked at once the ones before it are answered */
    struct exchange *exchange; /* owned; NULL for none */
    bool walking;              /* the request being forwarded is an OP_MSG */
    uint32_t request_left;     /* bytes of it that are still to come */
    uint32_t reply_left;       /* the same for the reply being forwarded */
    bool reply_more;           /* after it, the stream goes on */
    int32_t reply_id;          /* its requestID */
    int64_t accepted_ms;
    int64_t since_ms;      /* accepted, or last exchange */
    int64_t hold_since_ms; /* 0: no request was held since the proxy was paused */
    int64_t connect_since_ms;
    int64_t linger_since_ms;
    uint64_t peer_key; /* of the client's machine */
    char context[28];  /* "conn17" */
};

struct session_worker {
    struct worker *worker;
    struct session_shared *shared;
    struct session_settings *settings;
    struct registry *registry;      /* a reference; NULL: no schemas */
    struct schema_scratch *scratch; /* for checks */
    struct session *sessions;       /* utlist */
    struct session *ended;          /* freed when the loop turn is over */
    struct event *reap_event;
    struct counters counters;
    struct session_metrics metrics;
    int64_t now_us;      /* when the bytes that are being worked through were read */
    atomic_uint clients; /* given to it, for choosing the least loaded */
    bool draining;
    bool paused;
};

/* What was read and is being worked through: the worker's scratch area, or a link's `in` buffer. */
struct window {
    const uint8_t *data;
    size_t len;
    struct link *from;
    bool gathered; /* data is from->in */
};

/* --- session.c ----------------------------------------------------------------------------------
 */

static inline struct counters *session_counters(struct session *session)
{
    return &session->worker->counters;
}

static inline const struct config *session_config(const struct session *session)
{
    return session->worker->settings->config;
}

/* Ends it now: both connections closed, memory given back. `reason` is logged. */
void session_end(struct session *session, const char *reason);

/* Answers `to` (NULL: nothing can be answered) with an error of the proxy's own, closes the
 * upstream connection, and ends the session once the client has read that. */
void session_fail(struct session *session, const struct wire_reply_to *to,
                  const struct error *error, uint32_t labels, enum counter counter);

/* The same, in answer to the request that has waited longest. */
void session_fail_pending(struct session *session, const struct error *error, enum counter counter);

/* The upstream closed: the client gets what waits, then FIN. */
void session_linger(struct session *session, const char *reason);

/* Whether a command of the client's is under way; a hello that waits for a change is none. */
bool session_runs_command(const struct session *session);

/* Whether draining may end it now: nothing of its client's is under way but hellos, neither a
 * part of a request nor a write that wants no reply. */
bool session_is_idle(const struct session *session);
void session_end_if_drained(struct session *session);

/* Reads what is there. False when there is nothing to work on (also after the session ended). */
bool session_window_fill(struct session *session, struct link *link, struct window *window);
/* Sends the first `len` bytes to the other side. False after the session ended. */
bool session_window_forward(struct session *session, struct window *window, struct link *to,
                            size_t len);
void session_window_drop(struct window *window, size_t len);
/* Keeps what is not yet understood. False after the session ended. */
bool session_window_keep(struct session *session, struct window *window);
/* What could not be sent to that side ends the session, by the error's cause. */
void session_send_failed(struct session *session, struct link *to, const struct error *err);

/* --- client.c -----------------------------------------------------------------------------------
 */
extern const struct link_handler session_client_handler;
/* The upstream can take more: works on what is kept and reads on. */
void session_client_resume(struct session *session);
/* Ends the session of a client that is not being read, has a command running, and is gone. Bytes of
 * its may still wait to be read: without a running command they decide. */
void session_client_check_peer(struct session *session);

/* --- upstream.c ---------------------------------------------------------------------------------
 */
extern const struct link_handler session_upstream_handler;
void session_upstream_connect(struct session *session);

void session_pop_pending(struct session *session);

/* --- write.c ------------------------------------------------------------------------------------
 */
enum write_step {
    WRITE_PASS,   /* forward it byte for byte */
    WRITE_HOLD,   /* look at it again once all before it is answered */
    WRITE_GATHER, /* look at it again when it is whole */
    WRITE_TAKEN,  /* it is dealt with; its bytes are to be dropped */
    WRITE_ENDED   /* the session left SESSION_ACTIVE */
};
/* A command of ROUTE_WRITE. */
enum write_step session_write(struct session *session, const struct message *message,
                              const struct request *request);

/* A getMore: of a bulkWrite that was replaced, its results are numbered as the client does. */
enum write_step session_get_more(struct session *session, const struct message *message,
                                 const struct request *request);

/* --- status.c -----------------------------------------------------------------------------------
 */
/* False after the session ended. */
bool session_answer_status(struct session *session, const struct message *message,
                           const struct request *request);

/* --- exchange.c ---------------------------------------------------------------------------------
 * Those that answer bool: false after the session ended. */
/* The answer to a request that nothing was sent upstream for. */
bool session_answer(struct session *session, const struct message *message, struct bytes document);
bool session_answer_error(struct session *session, const struct message *message,
                          const struct error *error, uint32_t labels);
/* A request of the proxy's that nobody answers (w:0). */
bool session_send_silently(struct session *session, int32_t request_id, struct bytes payload);

/* NULL when memory is out. */
struct exchange *session_exchange_new(const struct message *message, const struct request *request,
                                      bool aborts_transaction);
void session_exchange_free(struct exchange *exchange);
/* False when memory is out. */
bool session_exchange_keep_answer(struct exchange *exchange, struct bytes document);
/* Takes over the exchange. payload: what goes upstream in the request's place, empty for nothing:
 * then the answer was kept before. */
bool session_exchange_begin(struct session *session, struct exchange *exchange,
                            struct bytes payload);
/* The whole reply to what the exchange sent. */
bool session_exchange_reply(struct session *session, struct bytes document);

/* --- observe.c ----------------------------------------------------------------------------------
 */
void session_observe_request(struct session *session, const struct request *request);
/* The last byte of the reply to `pending` was forwarded. */
void session_observe_reply(struct session *session, const struct pending *pending);
/* At each tick. */
void session_observe_all(struct session_worker *worker);

/* --- pause.c ------------------------------------------------------------------------------------
 */
/* Whether the request has to wait: session_pause_hold is due. */
bool session_pause_holds(const struct session *session, const struct request *request);
/* False when it has waited for query_wait_timeout_ms: it has to be refused. */
bool session_pause_hold(struct session *session);
/* Of a session that holds: looks at its request again when the time is over. */
void session_pause_check_time(struct session *session, int64_t now_ms);
/* Requests that wait go on. */
void session_pause_end(struct session_worker *worker);

/* --- watch.c: commands and replies that are looked at -------------------------------------------
 */
/* A request is about to be forwarded. False: who the client is could not be kept, for want of
 * memory. *watches_identity: its reply has to be looked at. */
bool session_watch_request(struct session *session, const struct request *request,
                           bool *watches_identity);
/* A whole reply to a request that is not ROUTE_FORWARD; *document is its body. */
void session_watch_reply(struct session *session, const struct pending *pending,
                         struct bytes document);
/* The hello reply with the proxy's addresses. *changed: *out is a whole message, memory_alloc'd.
 * False when memory is out or the reply is malformed. */
bool session_rewrite_hello(struct session *session, const struct wire_header *header,
                           uint32_t flags, struct bytes document, bool *changed, uint8_t **out,
                           size_t *len);

#endif
