/* Shared by the files of this room only. */
#ifndef SLUICE_SESSION_SESSION_INTERNAL_H
#define SLUICE_SESSION_SESSION_INTERNAL_H

#include "auth/claim.h"
#include "base/log.h"
#include "coalesce/coalesce.h"
#include "enforce/enforce.h"
#include "net/address.h"
#include "net/link.h"
#include "session/observe.h"
#include "session/pending.h"
#include "session/request.h"
#include "session/session.h"
#include "wire/compressed.h"
#include "wire/reply.h"
#include "wire/sections.h"

/* maxBsonObjectSize of every server since 1.8. */
enum { SESSION_DOCUMENT_BYTES = 16 * 1024 * 1024 };

/* What a server takes that does not say so, as every server since 3.6 does. */
enum { SESSION_BATCH_DOCS = 100000, SESSION_SERVER_MESSAGE_BYTES = 48000000 };

/* No message with an error is longer. Servers name the command that somebody who is logged in may
 * not run in full; such a one may be longer. */
enum { SESSION_ERROR_BYTES = 16 * 1024 };

/* What the server takes, as its hello tells. */
struct session_limits {
    size_t document_bytes;
    uint32_t batch_docs;
    size_t message_bytes;
};

/* How long a client that was sent an error, or that left a w:0 write behind, is waited for. */
enum { SESSION_LINGER_MS = 5000 };

/* Over max_client_conn, this many more are let in, only to be told so. */
enum { SESSION_REFUSALS_MAX = 64 };

/* Authentication commands without a login in the end, until the connection is closed. SCRAM takes
 * three, and a shell may try some passwords; servers have no limit for a conversation that does not
 * end, and each step costs them and the proxy more than a ping. */
enum { SESSION_AUTHENTICATION_STEPS = 32 };

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
    uint8_t command;      /* route_index of its name */
    bool whole;
};

/* Where the request stands that comes next from a client. Those before it are pending, or answered.
 * A request is decided on when the proxy knows that it goes upstream, or answers it. */
enum request_stage {
    REQUEST_AWAITED,   /* nothing is known of it yet */
    REQUEST_GATHERED,  /* to be decided on when more of it is there: its body, or all */
    REQUEST_QUEUED,    /* when all before it are answered */
    REQUEST_HELD,      /* when the proxy is resumed */
    REQUEST_LEFT,      /* at the next turn of the loop, where its opening or check goes on */
    REQUEST_FORWARDED, /* decided: it goes upstream as it comes, and is not all there */
};

struct attached;
struct upstream_connection;
struct checking;

/* A request that the proxy answers in its own words: what is still to be done before the client
 * has its answer. One at a time for each session; no other request of the client is looked at
 * meanwhile. */
struct exchange {
    struct message message; /* the client's, without its payload */
    struct enforce_splice *splice;
    size_t held_bytes;          /* of memory_max, for the splice */
    struct bulk_cursor *cursor; /* a getMore's; its splice is the cursor's */
    struct budget *budget;
    uint8_t *abort_message; /* abortTransaction, to be sent before the answer; owned */
    size_t abort_len;
    struct buffer answer; /* a document, behind ENFORCE_FRONT_BYTES; counts for memory_max */
    uint32_t error_labels;
    uint8_t lsid[LSID_BYTES];
    bool has_lsid;
    bool in_transaction;
    bool aborting; /* abortTransaction was sent */
    /* at most one of these: */
    struct coalesce_waiter *waiter; /* its insert is gathered, or in a batch */
    struct attached *attached;      /* it repeats an insert that is under way; owned */
    struct coalesce_resend *resend; /* it repeats one of a batch that was lost */
};

/* A compressed request, while it is opened, and opened until it is decided on. */
struct opening {
    uint8_t *inside;           /* owned; NULL: none */
    size_t bytes;              /* of it, taken from memory_max */
    struct wire_opening *wire; /* owned; NULL: it is opened in one go, or whole */
    bool whole;
};

struct session {
    struct session *prev, *next; /* of the worker's list */
    struct session_worker *worker;
    uint64_t id;
    struct link client;
    struct upstream_connection *leased; /* read and written by lease.c; else lease_connection */
    struct turn_waiter next_turn;       /* of REQUEST_LEFT */
    enum request_stage stage;
    struct claim *claim; /* NULL until the first authentication command */
    enum session_state state;
    bool refused;          /* over max_client_conn */
    bool request_seen;     /* the handshake timeout is over */
    bool had_transaction;  /* must be forgotten at the end */
    bool had_bulk_cursor;  /* the same */
    bool accepts_overload; /* its hello had `backpressure` */
    bool metadata_logged;
    struct tally_client writer;   /* as its hello says */
    bool legacy_logged;           /* that the client uses a removed opcode */
    uint8_t authentication_steps; /* since the last login */
    bool identity_told;           /* since the last insert was looked at */
    bool may_be_logged_in;        /* a command that may log in was sent for it */
    struct session_limits limits;
    bool client_finished; /* it sends nothing more, and waits for its answers */
    struct pending_ring pending;
    struct wire_walk walk;     /* of a request that is gathered or forwarded */
    struct opening opening;    /* of one that came compressed; kept until it is decided on */
    struct checking *checking; /* owned; a write that is checked in portions, or NULL */
    struct exchange *exchange; /* owned; NULL for none */
    struct coalesce_place *next_ticket; /* of the insert that is about to be forwarded */
    struct session *resume_next;        /* of those that a batch's reply has answered */
    uint32_t request_left;              /* REQUEST_FORWARDED: bytes that are still to come */
    int64_t accepted_ms;
    int64_t since_ms;        /* accepted, or last exchange */
    size_t unreported_bytes; /* of the client's, at the last tick */
    int64_t progress_ms;     /* bytes of its client came, or none were waited for */
    int64_t hold_since_ms;   /* 0: no request was held since the proxy was paused */
    int64_t linger_since_ms;
    struct address_peer peer;
    char context[28]; /* "conn17" */
    char server[];    /* of its listener, "host:port" or a socket's path; "" when none is known */
};

struct session_worker {
    struct worker *worker;
    struct session_shared *shared;
    struct session_settings *settings;
    struct registry *registry;      /* a reference; NULL: no schemas */
    struct schema_scratch *scratch; /* for checks */
    struct tally *tally;            /* what they count by version */
    struct coalesce *coalesce;
    struct standings *standings;
    struct event *pump_event;        /* sends what is due, at the end of the loop turn */
    struct carriage *carriages;      /* batches on their way; utlist */
    struct session *to_resume;       /* utlist over resume_next */
    struct attached *spare_attached; /* for the next retry */
    size_t merge_largest_bytes;      /* of max_bytes, anywhere; 0: merging is off */
    size_t merge_ever_bytes;         /* the most that was, since the start */
    bool merge_configured;
    bool merge_changed;       /* the options may have, since the start */
    size_t held_bytes;        /* of the coalescer's, counted against memory_max */
    struct session *sessions; /* utlist */
    struct session *ended;    /* freed when the loop turn is over */
    struct upstream_connection *closed_connections; /* the same; utlist */
    const struct link_handler *connection_handler;  /* of upstream connections */
    struct event *reap_event;
    struct counters counters;
    struct session_metrics metrics;
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

/* When the bytes that are being worked through were read. */
static inline int64_t session_now_us(const struct session *session)
{
    return worker_turn(session->worker->worker)->now_us;
}

static inline const struct config *session_config(const struct session *session)
{
    return session->worker->settings->config;
}

static inline struct bulk_cursor_use session_cursor_use(const struct session *session)
{
    return (struct bulk_cursor_use){session->server, session->id, session_now_us(session) / 1000};
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
/* The same for one whose client has ended its side, and has all its answers. */
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
/* The same, of a session whose backlog was left for this turn. */
void session_client_go_on(void *session);
/* Looks after a client that is not being read and waits for something: it may be gone, or have
 * ended its side. */
void session_client_check_peer(struct session *session);
/* The client is gone. */
void session_client_leave(struct session *session, const char *reason);
/* Of a client that ended its side: the server sees it, too, once nothing more is to be sent; with
 * all answered the session ends. */
void session_client_wind_up(struct session *session);

/* --- open.c -------------------------------------------------------------------------------------
 */
enum session_opened {
    SESSION_OPENED_WHOLE,   /* session->opening is the message */
    SESSION_OPENED_PART,    /* to be called again with the same message, next turn */
    SESSION_OPENED_NO_ROOM, /* both: *err says so, and nothing is kept */
    SESSION_OPENED_BROKEN
};
enum session_opened session_open(struct session *session, const struct wire_compressed *compressed,
                                 struct error *err);
/* Idempotent. */
void session_open_release(struct opening *opening, struct budget *budget);

/* --- upstream.c ---------------------------------------------------------------------------------
 */
extern const struct link_handler session_upstream_handler;
/* The connection that the session holds the lease of, taken where it held none, is there or being
 * made. NULL after the session left SESSION_ACTIVE. */
struct upstream_connection *session_reach_upstream(struct session *session);

void session_pop_pending(struct session *session);

/* --- write.c ------------------------------------------------------------------------------------
 */
enum write_step {
    WRITE_PASS,   /* forward it byte for byte */
    WRITE_HOLD,   /* look at it again once all before it is answered */
    WRITE_GATHER, /* look at it again when it is whole */
    WRITE_PART,   /* session->checking goes on with it, next turn */
    WRITE_TAKEN,  /* it is dealt with; its bytes are to be dropped */
    WRITE_ENDED   /* the session left SESSION_ACTIVE */
};
/* A command of ROUTE_WRITE. */
enum write_step session_write(struct session *session, const struct message *message,
                              const struct request *request);

/* A getMore: of a bulkWrite that was replaced, its results are numbered as the client does. */
enum write_step session_get_more(struct session *session, const struct message *message,
                                 const struct request *request);

/* --- checking.c ---------------------------------------------------------------------------------
 */
/* A write that is checked in portions, between which others have their turns. Its message stays
 * where it came, and nothing more of its client's is looked at meanwhile. */
struct checking {
    struct check *check;       /* NULL: it has been checked */
    struct registry *registry; /* a reference: it is checked to its end against these schemas */
    struct message message;
    struct request request;
};

/* Holds a command against the schemas, or goes on with session->checking. ENFORCE_PART: that is
 * there. ENFORCE_DONE: *result is to be released by session_check_release. */
enum enforce_progress session_check(struct session *session, const struct message *message,
                                    const struct request *request,
                                    const struct enforce_command *command,
                                    struct enforce_result *result, struct error *err);
/* Gives back what is left in it. */
void session_check_release(struct session *session, struct enforce_result *result);
/* What was written takes the memory over: its `room` bytes count for memory_max already. */
struct buffer session_check_take(struct enforce_result *result, struct bytes content);
/* Nobody wants it any more. Idempotent. */
void session_checking_free(struct session *session);

/* --- merge.c ------------------------------------------------------------------------------------
 */
bool session_merge_start(struct session_worker *worker, struct error *err);
/* After the settings changed. */
void session_merge_configure(struct session_worker *worker);
/* When no session is left. */
void session_merge_stop(struct session_worker *worker);
void session_merge_drain(struct session_worker *worker);

/* Whether the server has to be asked who the connection is before the insert is given to
 * session_merge. */
bool session_merge_must_ask(struct session *session, const struct message *message,
                            const struct request *request);
/* Whether session_merge has to see this request. */
bool session_merge_concerns(const struct session *session, const struct message *message,
                            const struct request *request);
/* A command went by that session_merge does not see. */
void session_merge_note_passed(struct session *session, const struct request *request);
/* An insert, whole, with nothing before it unanswered. */
enum write_step session_merge(struct session *session, const struct message *message,
                              const struct request *request);
/* Ends all that the exchange has with the coalescer. */
void session_merge_release(struct session *session, struct exchange *exchange);
/* The reply to the batch that the connection carries, or to a retry under a batch's number. False
 * after the session left SESSION_ACTIVE. */
bool session_merge_reply(struct upstream_connection *connection, struct bytes document);
bool session_merge_resent(struct session *session, struct bytes document);
/* The connection is lost, and with it the batch that it carries, if any. */
void session_merge_lost(struct upstream_connection *connection);
/* What went under a ticket was answered, or its connection is lost. */
void session_merge_finished(struct session *session, struct coalesce_place *ticket);
/* Looks whether the insert that a retry waits for has its answer, and whether one whose client
 * ended its side is asked for elsewhere. */
void session_merge_tick(struct session *session);
/* From tick to tick: who left a batch that has been stalled for long is let go. */
void session_merge_let_go(struct session_worker *worker);
/* A command that ends logical sessions passes by. */
void session_merge_forget(struct session *session, const struct request *request);
/* A hello reply passes by. */
void session_merge_read_limits(struct session *session, struct bytes document);

/* --- identify.c ---------------------------------------------------------------------------------
 */
/* Whether the request may go upstream: not where it could log the client in with the proxy's own
 * certificate. */
bool session_identity_may_pass(const struct session *session, const struct message *message,
                               const struct request *request);
/* A request goes by that may change who the connection is. */
void session_identity_pass(struct session *session, const struct request *request);
/* Whether asking the server now could make it certain who the connection is. */
bool session_identity_may_ask(struct session *session);
/* Asks it. The request is to be held; it is looked at again when the answer is there. */
enum write_step session_identity_ask(struct session *session, const struct message *message,
                                     const struct request *request);
/* The whole reply to the question `pending`. */
void session_identity_answer(struct session *session, const struct pending *pending,
                             struct bytes document, uint32_t flags);
/* What merging goes by; points into the session. */
struct coalesce_origin session_identity_origin(const struct session *session);
/* Whether the connection is known to be of these users (batch_identity). */
bool session_identity_is(const struct upstream_connection *connection, const uint8_t *users);

/* --- status.c -----------------------------------------------------------------------------------
 */
/* False after the session ended. */
bool session_answer_status(struct session *session, const struct message *message,
                           const struct request *request);

/* --- legacy.c -----------------------------------------------------------------------------------
 * Those that answer bool: false after the session ended. */
/* A command that OP_QUERY may no longer carry: code 352. */
bool session_refuse_legacy_command(struct session *session, const struct message *message,
                                   const struct request *request);
/* OP_GET_MORE, or OP_QUERY on a collection: $err with code 5739101. */
bool session_refuse_legacy_read(struct session *session, const struct wire_header *header);
/* OP_INSERT, OP_UPDATE, OP_DELETE or OP_KILL_CURSORS, which have no reply. */
void session_drop_legacy_write(struct session *session, const struct wire_header *header);

/* --- exchange.c ---------------------------------------------------------------------------------
 * Those that answer bool: false after the session ended. */
/* Sends a framed message to the client, compressed as its request was. */
bool session_send_reply(struct session *session, uint8_t compressor, const uint8_t *message,
                        size_t len);
/* The answer to a request that nothing was sent upstream for. */
bool session_answer(struct session *session, const struct message *message, struct bytes document);
bool session_answer_error(struct session *session, const struct message *message,
                          const struct error *error, uint32_t labels);
/* A framed question of the proxy's own, sent before the client's message is: errors answer that. */
bool session_send_question(struct session *session, const struct message *message,
                           uint32_t error_labels, const uint8_t *question, size_t len);
/* The same, of a document that stands behind ENFORCE_FRONT_BYTES of a buffer, which is taken over.
 */
bool session_answer_with(struct session *session, const struct message *message,
                         struct buffer *document);
/* A request of the proxy's that nobody answers (w:0). The payload stands behind
 * ENFORCE_FRONT_BYTES of the buffer, which is taken over. */
bool session_send_silently(struct session *session, int32_t request_id, struct buffer *payload);

/* NULL when memory is out. */
struct exchange *session_exchange_new(struct session *session, const struct message *message,
                                      const struct request *request, bool aborts_transaction);
void session_exchange_free(struct session *session, struct exchange *exchange);
/* False when memory is out. */
bool session_exchange_keep_answer(struct exchange *exchange, struct bytes document);
/* Takes over the exchange. payload: what goes upstream in the request's place, empty for nothing:
 * then the answer was kept before. */
bool session_exchange_begin(struct session *session, struct exchange *exchange,
                            struct bytes payload);
/* The same with a payload that stands behind ENFORCE_FRONT_BYTES of the buffer, which is taken
 * over. */
bool session_exchange_begin_with(struct session *session, struct exchange *exchange,
                                 struct buffer *payload);
/* Something goes upstream for session->exchange, under its client's requestID. */
bool session_exchange_send(struct session *session, struct bytes payload);
/* A command as it came goes upstream, compressed as it came; its reply goes to the client as it
 * comes. ticket may be NULL. */
bool session_send_command(struct session *session, const struct message *message,
                          struct bytes payload, uint32_t error_labels,
                          struct coalesce_place *ticket);
/* The whole reply to what the exchange sent. */
bool session_exchange_reply(struct session *session, struct bytes document);

/* --- observe.c ----------------------------------------------------------------------------------
 */
void session_observe_request(struct session *session, const struct request *request);
/* The last byte of the reply to `pending` was forwarded. */
void session_observe_reply(struct session *session, const struct pending *pending);
/* A turn of the worker's loop is over (worker_settings.turned). */
void session_observe_turn(void *worker, int64_t us);
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
/* A request is about to be forwarded. Whether its reply has to be held against what the client
 * claims. */
bool session_watch_request(struct session *session, const struct request *request);
/* Whether it is a statement of a transaction whose reply tells if it was carried out. */
bool session_watches_statement(const struct pending *pending);
/* The request of `pending` goes upstream. */
void session_watch_statement(struct session *session, const struct pending *pending);
/* The reply's document; empty: it is longer than any error. */
void session_watch_answered(struct session *session, const struct pending *pending,
                            struct bytes document);
/* Counts another authentication command. False: they were too many. */
bool session_watch_authentication(struct session *session);
/* A whole reply to a request that is not ROUTE_FORWARD; *document is its body. */
void session_watch_reply(struct session *session, const struct pending *pending,
                         struct bytes document);
/* The hello reply with the proxy's addresses. *changed: *out is a whole message, memory_alloc'd.
 * False when memory is out or the reply is malformed. */
bool session_rewrite_hello(struct session *session, const struct wire_header *header,
                           uint32_t flags, struct bytes document, bool *changed, uint8_t **out,
                           size_t *len);

#endif
