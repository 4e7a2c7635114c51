/* Commands and replies that the session looks at: hello, authentication, transactions. */
#include <stdio.h>

#include "base/host_port.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "bson/scan.h"
#include "net/clock.h"
#include "session/lease.h"
#include "session/session_internal.h"
#include "wire/hello.h"

/* --- requests -----------------------------------------------------------------------------------
 */

static void copy_string(struct bytes document, const char *name, char out[80])
{
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    out[0] = 0;
    if (scan_find(document, name, &element) && scan_as_string(&element, &text, &len))
        (void)snprintf(out, 80, "%.*s", (int)(len < 79 ? len : 79), text);
}

static void note_metadata(struct session *session, struct bytes client)
{
    char application[80] = "";
    char driver[80] = "";
    char version[80] = "";
    struct scan_element part;
    if (scan_find(client, "application", &part) && part.kind == BSON_KIND_OBJECT)
        copy_string(part.value, "name", application);
    if (scan_find(client, "driver", &part) && part.kind == BSON_KIND_OBJECT) {
        copy_string(part.value, "name", driver);
        copy_string(part.value, "version", version);
    }
    (void)snprintf(session->writer.application, sizeof session->writer.application, "%s",
                   application);
    (void)snprintf(session->writer.driver, sizeof session->writer.driver, "%s%s%s", driver,
                   version[0] == 0 ? "" : " ", version);
    LOG_I(LOG_NETWORK, 1060, session->context, "Client metadata",
          LOG_STR("application", application), LOG_STR("driver", driver),
          LOG_STR("driverVersion", version));
}

static void watch_hello(struct session *session, const struct request *request)
{
    struct scan_element element;
    if (scan_find(request->body, "backpressure", &element))
        session->accepts_overload = true;
    if (!session->metadata_logged && scan_find(request->body, "client", &element) &&
        element.kind == BSON_KIND_OBJECT) {
        session->metadata_logged = true;
        note_metadata(session, element.value);
    }
}

bool session_watch_authentication(struct session *session)
{
    return ++session->authentication_steps <= SESSION_AUTHENTICATION_STEPS;
}

bool session_watch_request(struct session *session, const struct request *request)
{
    if (request->route->kind == ROUTE_END_SESSIONS)
        session_merge_forget(session, request);
    if (request->route->kind != ROUTE_HELLO && request->route->kind != ROUTE_AUTHENTICATION)
        return false;
    if (request->route->kind == ROUTE_HELLO)
        watch_hello(session, request);
    return claim_command(&session->claim, request->body,
                         request->legacy ? (const char *)request->database.pos : NULL,
                         request->legacy ? bytes_left(&request->database) : 0);
}

bool session_watches_statement(const struct pending *pending)
{
    return pending->in_transaction && pending->has_lsid && !pending->repeated &&
           pending->kind != ROUTE_END_TRANSACTION;
}

void session_watch_statement(struct session *session, const struct pending *pending)
{
    if (!session_watches_statement(pending))
        return;
    session->had_transaction = true;
    transactions_begin(session->worker->shared->transactions, pending->lsid, session->id,
                       address_peer_key(&session->peer));
}

/* --- replies ------------------------------------------------------------------------------------
 */

/* That a login succeeded, the server says; of whom, the client. */
static void log_authenticated(struct session *session)
{
    const char *user = NULL;
    const char *db = NULL;
    const char *mechanism = NULL;
    claim_accepted(session->claim, &user, &db, &mechanism);
    LOG_SAMPLED(LOG_INFO, LOG_ACCESS, 2000, session->context, session->context,
                "Client authenticated", LOG_STR("claimedUser", user), LOG_STR("claimedDb", db),
                LOG_STR("claimedMechanism", mechanism));
}

static void note_claim(struct session *session, struct bytes document)
{
    struct counters *counters = session_counters(session);
    switch (claim_reply(session->claim, document)) {
    case CLAIM_ACCEPTED:
        session->authentication_steps = 0;
        counters_add(counters, COUNTER_AUTHENTICATIONS, 1);
        log_authenticated(session);
        break;
    case CLAIM_REFUSED:
        counters_add(counters, COUNTER_AUTHENTICATION_FAILURES, 1);
        LOG_SAMPLED(LOG_WARNING, LOG_ACCESS, 2001, session->context, session->context,
                    "Authentication failed");
        break;
    case CLAIM_LOGGED_OUT:
        LOG_SAMPLED(LOG_INFO, LOG_ACCESS, 2002, session->context, session->context,
                    "Client logged out");
        break;
    case CLAIM_UNCHANGED:
        break;
    }
}

void session_watch_answered(struct session *session, const struct pending *pending,
                            struct bytes document)
{
    struct scan_element ok;
    bool carried_out =
        bytes_left(&document) == 0 || (scan_find(document, "ok", &ok) && scan_is_true(&ok));
    if (session_watches_statement(pending))
        transactions_answered(session->worker->shared->transactions, pending->lsid, session->id,
                              address_peer_key(&session->peer), carried_out);
}

/* Code 251: the server does not know the transaction (any more). */
static bool transaction_is_over(struct bytes document)
{
    enum { NO_SUCH_TRANSACTION = 251 };
    struct scan_element element;
    int64_t code = 0;
    if (scan_find(document, "ok", &element) && scan_is_true(&element))
        return true;
    return scan_find(document, "code", &element) && scan_as_int64(&element, &code) &&
           code == NO_SUCH_TRANSACTION;
}

/* Which compressors the server takes on the connection, as its hello reply says. One without
 * `compression` changes nothing. */
static void read_compressors(struct upstream_connection *connection, struct bytes document)
{
    struct scan scan;
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    uint8_t compressor = 0;
    if (!scan_find(document, "compression", &element) || element.kind != BSON_KIND_ARRAY ||
        !scan_open(&scan, element.value))
        return;
    connection->compressors = 0;
    while (scan_next(&scan, &element))
        if (scan_as_string(&element, &text, &len) && wire_compressor_find(text, len, &compressor))
            connection->compressors |= (uint8_t)(1U << compressor);
}

void session_watch_reply(struct session *session, const struct pending *pending,
                         struct bytes document)
{
    struct session_hooks *hooks = &session->worker->shared->hooks;
    struct scan_element ok;
    if (pending->watches_claim)
        note_claim(session, document);
    if (pending->kind == ROUTE_HELLO) {
        session_merge_read_limits(session, document);
        read_compressors(lease_connection(session), document);
    }
    if (pending->kind == ROUTE_END_ALL_SESSIONS && scan_find(document, "ok", &ok) &&
        scan_is_true(&ok)) {
        retry_table_forget_all(session->worker->shared->retries);
        bulk_cursors_all_ended(session->worker->shared->bulk_cursors, clock_now_ms());
    }
    if (pending->kind == ROUTE_END_SESSIONS && scan_find(document, "ok", &ok) && scan_is_true(&ok))
        bulk_cursors_session_ended(session->worker->shared->bulk_cursors, session->id);
    if (pending->kind == ROUTE_KILL_CURSORS)
        bulk_cursors_killed(session->worker->shared->bulk_cursors, session->server, document);
    if (pending->kind == ROUTE_END_TRANSACTION && pending->has_lsid &&
        transaction_is_over(document))
        transactions_end(session->worker->shared->transactions, pending->lsid);
    if (pending->kind == ROUTE_DEFINE && scan_find(document, "ok", &ok) && scan_is_true(&ok))
        hooks->collections_changed(hooks->context);
}

/* --- hello --------------------------------------------------------------------------------------
 */

/* The proxy's address of a member, as this client reaches it. */
static bool map_address(void *context, const char *member, size_t len, char out[WIRE_ADDRESS_BYTES])
{
    struct session *session = context;
    const struct session_hooks *hooks = &session->worker->shared->hooks;
    const char *advertise = session_config(session)->advertise;
    char dialled[ADDRESS_TEXT_BYTES];
    uint16_t port = hooks->port_of_member(hooks->context, member, len);
    if (port == 0)
        return false;
    if (session->peer.family == AF_UNIX) {
        config_unix_socket_path(session_config(session), port, out, WIRE_ADDRESS_BYTES);
        return true;
    }
    if (advertise[0] == 0) {
        address_describe_local_host(session->client.transport.fd, dialled);
        advertise = dialled;
    }
    host_port_write(advertise, port, out, WIRE_ADDRESS_BYTES);
    return true;
}

bool session_rewrite_hello(struct session *session, const struct wire_header *header,
                           uint32_t flags, struct bytes document, bool *changed, uint8_t **out,
                           size_t *len)
{
    uint8_t *rewritten = NULL;
    size_t rewritten_len = 0;
    struct wire_hello_rules rules = {.map_address = map_address,
                                     .context = session,
                                     .max_message_bytes =
                                         (size_t)session_config(session)->max_message_bytes};
    if (!wire_hello_rewrite(document, &rules, changed, &rewritten, &rewritten_len))
        return false;
    if (!*changed)
        return true;
    struct wire_reply_to to = {.request_id = header->response_to,
                               .legacy = header->opcode == WIRE_OP_REPLY};
    bool ok = wire_reply_frame(to, header->request_id, flags & WIRE_FLAG_MORE_TO_COME,
                               bytes_of(rewritten, rewritten_len), out, len);
    memory_free(rewritten);
    return ok;
}
