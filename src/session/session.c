#include "session/lease.h"
#include "session/session_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/memory.h"
#include "net/address.h"
#include "net/clock.h"

enum { TICK_MS = 100 };

/* Room made at a time for a message that is not understood yet. */
enum { SESSION_GATHER_BYTES = 64 * 1024 };

/* --- beginning ----------------------------------------------------------------------------------
 */

struct accepted {
    int fd;
    char server[];
};

static struct session *session_new(struct session_worker *worker, int fd, const char *server)
{
    size_t server_bytes = strlen(server) + 1;
    struct session *session = memory_zalloc(sizeof *session + server_bytes);
    if (session == NULL)
        return NULL;
    memcpy(session->server, server, server_bytes);
    session->worker = worker;
    session->id = atomic_fetch_add(&worker->shared->last_id, 1) + 1;
    session->limits = (struct session_limits){SESSION_DOCUMENT_BYTES, SESSION_BATCH_DOCS,
                                              SESSION_SERVER_MESSAGE_BYTES};
    session->since_ms = clock_now_ms();
    session->accepted_ms = session->since_ms;
    session->peer = address_peer_of(fd);
    (void)snprintf(session->context, sizeof session->context, "conn%llu",
                   (unsigned long long)session->id);
    struct turn *turn = worker_turn(worker->worker);
    link_init(&session->client, &worker->shared->budget, turn, &session_client_handler, session);
    session->next_turn = (struct turn_waiter){.run = session_client_go_on, .arg = session};
    return session;
}

static void log_accepted(struct session *session, unsigned clients)
{
    char peer[ADDRESS_TEXT_BYTES];
    address_describe_peer(&session->peer, peer);
    LOG_I(LOG_NETWORK, 1001, session->context, "Connection accepted", LOG_STR("remote", peer),
          LOG_INT("connectionId", (int64_t)session->id), LOG_INT("connectionCount", clients),
          LOG_STR("server", session->server));
}

static void start_client(struct session *session, int fd)
{
    struct event_base *base = worker_base(session->worker->worker);
    struct tls_context *tls = session->worker->settings->server_tls;
    struct error err;
    transport_init_plain(&session->client.transport, fd);
    if (tls != NULL && session_config(session)->tls.mode == CONFIG_TLS_ALLOW) {
        link_start_peeking(&session->client, base, tls);
        return;
    }
    if (tls != NULL && !transport_init_tls_server(&session->client.transport, fd, tls, &err)) {
        session_end(session, err.message);
        return;
    }
    link_start(&session->client, base);
}

static void leave(struct session_worker *worker, bool refused)
{
    struct session_shared *shared = worker->shared;
    atomic_fetch_sub(refused ? &shared->refused_now : &shared->clients_now, 1);
}

/* Counts one more client, or one more that is refused: these take no client's place. False when it
 * is not even told so. */
static bool enter(struct session_worker *worker, bool *refused)
{
    struct session_shared *shared = worker->shared;
    *refused = atomic_fetch_add(&shared->clients_now, 1) >=
               (uint64_t)worker->settings->config->max_client_conn;
    if (!*refused)
        return true;
    leave(worker, false);
    if (atomic_fetch_add(&shared->refused_now, 1) < SESSION_REFUSALS_MAX)
        return true;
    leave(worker, true);
    return false;
}

static void accept_client(void *context, void *arg)
{
    struct session_worker *worker = context;
    struct accepted *accepted = arg;
    bool refused = false;
    struct session *session = NULL;
    if (enter(worker, &refused)) {
        session = session_new(worker, accepted->fd, accepted->server);
        if (session == NULL)
            leave(worker, refused);
    }
    if (session == NULL) {
        atomic_fetch_sub(&worker->clients, 1);
        counters_add(&worker->counters, COUNTER_CLIENTS_REFUSED, 1);
        close(accepted->fd);
        memory_free(accepted);
        return;
    }
    session->refused = refused;
    counters_add(&worker->counters,
                 session->refused ? COUNTER_CLIENTS_REFUSED : COUNTER_CLIENTS_ACCEPTED, 1);
    counters_add(&worker->counters, COUNTER_CLIENTS_NOW, 1);
    DL_APPEND(worker->sessions, session);
    session->client.transport.fd = accepted->fd;
    log_accepted(session, atomic_load(&worker->shared->clients_now));
    start_client(session, accepted->fd);
    memory_free(accepted);
}

void session_worker_accept(struct session_worker *worker, int client_fd, const char *server)
{
    size_t len = strlen(server) + 1;
    struct accepted *accepted = memory_alloc(sizeof *accepted + len);
    if (accepted != NULL) {
        accepted->fd = client_fd;
        memcpy(accepted->server, server, len);
        atomic_fetch_add(&worker->clients, 1);
        if (worker_post(worker->worker, accept_client, accepted))
            return;
        atomic_fetch_sub(&worker->clients, 1);
        memory_free(accepted);
    }
    LOG_E(LOG_NETWORK, 1002, "listener", "Out of memory for a connection; closed it");
    close(client_fd);
}

/* --- end ----------------------------------------------------------------------------------------
 */

static void reap(evutil_socket_t fd, short what, void *arg)
{
    struct session_worker *worker = arg;
    (void)fd;
    (void)what;
    while (worker->ended != NULL) {
        struct session *session = worker->ended;
        DL_DELETE(worker->ended, session);
        memory_free(session);
    }
    upstream_connection_reap(worker);
}

/* What others wait for is not coming. */
static void forget_tickets(struct session *session)
{
    for (unsigned i = 0; i < session->pending.count; i++) {
        struct pending *pending = pending_at(&session->pending, i);
        if (pending->ticket != NULL)
            session_merge_finished(session, pending->ticket);
        pending->ticket = NULL;
    }
    if (session->next_ticket != NULL)
        session_merge_finished(session, session->next_ticket);
    session->next_ticket = NULL;
}

/* Nothing more is sent for the client, and no reply is waited for. */
static void give_upstream_back(struct session *session)
{
    struct upstream_connection *connection = lease_connection(session);
    session_open_release(&session->opening, &session->worker->shared->budget);
    session_checking_free(session);
    session_exchange_free(session, session->exchange);
    session->exchange = NULL;
    forget_tickets(session);
    if (connection != NULL)
        session_merge_lost(connection);
    lease_give_back(session);
}

void session_end(struct session *session, const char *reason)
{
    struct session_worker *worker = session->worker;
    char peer[ADDRESS_TEXT_BYTES];
    if (session->state == SESSION_ENDED)
        return;
    address_describe_peer(&session->peer, peer);
    session->state = SESSION_ENDED;
    link_close(&session->client);
    turn_forget(worker_turn(worker->worker), &session->next_turn);
    give_upstream_back(session);
    if (session->had_transaction)
        transactions_forget_connection(worker->shared->transactions, session->id);
    claim_free(session->claim);
    session->claim = NULL;
    if (session->had_bulk_cursor)
        bulk_cursors_forget_connection(worker->shared->bulk_cursors, session->id, clock_now_ms());
    counters_add(&worker->counters, COUNTER_CLIENTS_NOW, (uint64_t)-1);
    leave(worker, session->refused);
    atomic_fetch_sub(&worker->clients, 1);
    DL_DELETE(worker->sessions, session);
    DL_APPEND(worker->ended, session);
    event_active(worker->reap_event, EV_TIMEOUT, 0);
    LOG_I(LOG_NETWORK, 1003, session->context, "Connection ended", LOG_STR("remote", peer),
          LOG_INT("connectionId", (int64_t)session->id),
          LOG_INT("connectionCount", atomic_load(&worker->shared->clients_now)),
          LOG_STR("reason", reason));
}

/* FIN to the client; what it still sends is read and thrown away, since closing with unread bytes
 * would reset the connection and take the reply with it. */
static void finish_client(struct session *session)
{
    link_finish_sending(&session->client);
    link_resume(&session->client);
}

void session_linger(struct session *session, const char *reason)
{
    if (session->client.state != LINK_OPEN) {
        session_end(session, reason);
        return;
    }
    LOG_D(LOG_NETWORK, 1004, session->context, "Closing the client's connection",
          LOG_STR("reason", reason));
    session->state = SESSION_LINGERING;
    session->linger_since_ms = clock_now_ms();
    give_upstream_back(session);
    buffer_release(&session->client.in, session->client.budget);
    if (!link_is_blocked(&session->client))
        finish_client(session);
}

void session_fail(struct session *session, const struct wire_reply_to *to,
                  const struct error *error, uint32_t labels, enum counter counter)
{
    uint8_t *reply = NULL;
    size_t len = 0;
    struct error ignored;
    char peer[ADDRESS_TEXT_BYTES];
    address_describe_peer(&session->peer, peer);
    counters_add(session_counters(session), counter, 1);
    LOG_W(LOG_NETWORK, 1005, session->context, "Closing a connection because of an error",
          LOG_STR("remote", peer), LOG_STR("server", session->server),
          LOG_STR("counter", counters_name(counter)), LOG_INT("code", error->code),
          LOG_STR("error", error->message));
    if (to == NULL || session->client.state != LINK_OPEN ||
        !wire_reply_error(*to, error, labels, &reply, &len)) {
        session_end(session, error->message);
        return;
    }
    bool sent = link_send(&session->client, reply, len, &ignored);
    memory_free(reply);
    if (sent)
        session_linger(session, error->message);
    else
        session_end(session, error->message);
}

void session_fail_pending(struct session *session, const struct error *error, enum counter counter)
{
    const struct pending *first = pending_oldest(&session->pending);
    if (first == NULL || first->streaming) {
        session_fail(session, NULL, error, 0, counter);
        return;
    }
    struct wire_reply_to to = {.request_id = first->request_id, .legacy = first->legacy};
    session_fail(session, &to, error, first->error_labels, counter);
}

/* --- windows ------------------------------------------------------------------------------------
 */

static void read_failed(struct session *session, struct link *link, const struct error *err)
{
    bool client = link == &session->client;
    counters_add(session_counters(session),
                 client ? COUNTER_ERRORS_NETWORK_CLIENT : COUNTER_ERRORS_NETWORK_UPSTREAM, 1);
    link->handler->failed(link->arg, err->message);
}

/* A request that cannot be answered as it should, of which `len` bytes came. */
static void fail_begun(struct session *session, const uint8_t *data, size_t len,
                       const struct error *err, enum counter counter)
{
    if (len < WIRE_HEADER_BYTES) {
        session_fail(session, NULL, err, 0, counter);
        return;
    }
    struct wire_header header = wire_header_read(data);
    struct wire_reply_to to = {.request_id = header.request_id,
                               .legacy = header.opcode == WIRE_OP_QUERY};
    bool memory = err->code == ERROR_EXCEEDED_MEMORY_LIMIT;
    uint32_t labels = memory && session->accepts_overload ? WIRE_LABEL_OVERLOADED : 0;
    session_fail(session, &to, err, labels, counter);
}

/* The request at `data` cannot be kept whole. */
static void refuse_for_memory(struct session *session, struct link *link, const uint8_t *data,
                              size_t len)
{
    struct error err;
    (void)error_set(&err, ERROR_EXCEEDED_MEMORY_LIMIT,
                    "the proxy's message buffers are at their limit of %zu bytes (option "
                    "memory_max)",
                    atomic_load(&session->worker->shared->budget.limit_bytes));
    if (link != &session->client || !pending_is_empty(&session->pending))
        session_fail_pending(session, &err, COUNTER_ERRORS_MEMORY);
    else
        fail_begun(session, data, len, &err, COUNTER_ERRORS_MEMORY);
}

/* Room for the next read: as much as has come, so that those who send little hold little. */
static size_t gather_bytes(const struct link *link)
{
    size_t len = buffer_length(&link->in);
    return len < SESSION_GATHER_BYTES ? len : SESSION_GATHER_BYTES;
}

bool session_window_fill(struct session *session, struct link *link, struct window *window)
{
    struct error err;
    size_t got = 0;
    uint8_t *into = worker_scratch(session->worker->worker);
    bool gathered = buffer_length(&link->in) > 0;
    if (gathered) {
        if (!buffer_reserve(&link->in, link->budget, gather_bytes(link))) {
            refuse_for_memory(session, link, buffer_begin(&link->in), buffer_length(&link->in));
            return false;
        }
        into = link->in.data + link->in.end;
    }
    size_t room = gathered ? link->in.cap - link->in.end : WORKER_SCRATCH_BYTES;
    if (room > WORKER_SCRATCH_BYTES)
        room = WORKER_SCRATCH_BYTES;
    switch (link_read(link, into, room, &got, &err)) {
    case TRANSPORT_OK:
        break;
    case TRANSPORT_WANT_READ:
    case TRANSPORT_WANT_WRITE:
        return false;
    case TRANSPORT_EOF:
        link->handler->ended(link->arg);
        return false;
    case TRANSPORT_ERROR:
        read_failed(session, link, &err);
        return false;
    }
    if (gathered)
        link->in.end += got;
    *window = (struct window){.data = gathered ? buffer_begin(&link->in) : into,
                              .len = gathered ? buffer_length(&link->in) : got,
                              .from = link,
                              .gathered = gathered};
    return true;
}

void session_window_drop(struct window *window, size_t len)
{
    window->data += len;
    window->len -= len;
    if (!window->gathered)
        return;
    buffer_consume(&window->from->in, window->from->budget, len);
    window->data = window->len > 0 ? buffer_begin(&window->from->in) : NULL;
}

void session_send_failed(struct session *session, struct link *to, const struct error *err)
{
    bool memory = err->code == ERROR_EXCEEDED_MEMORY_LIMIT;
    if (memory)
        session_fail_pending(session, err, COUNTER_ERRORS_MEMORY);
    else
        read_failed(session, to, err);
}

bool session_window_forward(struct session *session, struct window *window, struct link *to,
                            size_t len)
{
    struct error err;
    if (window->gathered) {
        if (!link_send_buffer(to, &window->from->in, len, &err)) {
            session_send_failed(session, to, &err);
            return false;
        }
        window->len -= len;
        window->data = window->len > 0 ? buffer_begin(&window->from->in) : NULL;
        return true;
    }
    if (!link_send(to, window->data, len, &err)) {
        session_send_failed(session, to, &err);
        return false;
    }
    session_window_drop(window, len);
    return true;
}

bool session_window_keep(struct session *session, struct window *window)
{
    if (window->gathered || window->len == 0)
        return true;
    if (buffer_append(&window->from->in, window->from->budget, window->data, window->len))
        return true;
    refuse_for_memory(session, window->from, window->data, window->len);
    return false;
}

/* --- time and draining --------------------------------------------------------------------------
 */

bool session_runs_command(const struct session *session)
{
    for (unsigned i = 0; i < session->pending.count; i++)
        if (pending_look_at(&session->pending, i)->kind != ROUTE_HELLO)
            return true;
    return session->stage == REQUEST_FORWARDED || session->exchange != NULL ||
           session->checking != NULL;
}

bool session_is_idle(const struct session *session)
{
    return session->state == SESSION_ACTIVE && !session_runs_command(session) &&
           buffer_length(&session->client.in) == 0 && !link_is_blocked(&session->client) &&
           !lease_is_blocked(session) &&
           !transactions_open_for_peer(session->worker->shared->transactions,
                                       address_peer_key(&session->peer));
}

void session_end_if_drained(struct session *session)
{
    if (session->client_finished)
        session_client_wind_up(session);
    if (session->worker->draining && session_is_idle(session))
        session_end(session, "the proxy is draining");
}

static bool over(int64_t now_ms, int64_t since_ms, int64_t limit_ms)
{
    return limit_ms > 0 && now_ms - since_ms >= limit_ms;
}

/* False after the session left its state, because the server did not take the connection in time.
 */
static bool check_connecting(struct session *session, int64_t now_ms)
{
    struct error err;
    int64_t limit_ms = session_config(session)->connect_timeout_ms;
    const struct upstream_connection *connection = lease_connection(session);
    if (connection == NULL || connection->connect_since_ms == 0 ||
        !over(now_ms, connection->connect_since_ms, limit_ms))
        return true;
    (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                    "mongosluice cannot reach the upstream server %s: no connection within "
                    "%lld ms (option connect_timeout_ms)",
                    connection->server, (long long)limit_ms);
    session_fail_pending(session, &err, COUNTER_TIMEOUTS_CONNECT);
    return false;
}

/* Bytes that the link does not report yet count as an exchange, too. */
static void note_unreported(struct session *session, int64_t now_ms)
{
    size_t bytes = link_unreported_bytes(&session->client);
    if (bytes > session->unreported_bytes)
        session->progress_ms = now_ms;
    if (bytes > session->unreported_bytes && session->request_seen)
        session->since_ms = now_ms;
    session->unreported_bytes = bytes;
}

/* Whether its client has begun a request, and more of it is waited for. */
static bool waits_for_rest(const struct session *session)
{
    bool begun = session->stage == REQUEST_FORWARDED || buffer_length(&session->client.in) > 0;
    return begun && session->request_seen && session->client.reading;
}

/* False after the session left its state, because a request did not go on. */
static bool check_progress(struct session *session, int64_t now_ms)
{
    struct error err;
    int64_t limit_ms = session_config(session)->request_timeout_ms;
    if (!waits_for_rest(session))
        session->progress_ms = now_ms;
    if (!over(now_ms, session->progress_ms, limit_ms))
        return true;
    (void)error_set(&err, ERROR_EXCEEDED_TIME_LIMIT,
                    "no byte of the request that was begun came for %lld ms (option "
                    "request_timeout_ms)",
                    (long long)limit_ms);
    if (session->stage == REQUEST_FORWARDED || !pending_is_empty(&session->pending))
        session_fail_pending(session, &err, COUNTER_TIMEOUTS_REQUEST);
    else
        fail_begun(session, buffer_begin(&session->client.in), buffer_length(&session->client.in),
                   &err, COUNTER_TIMEOUTS_REQUEST);
    return false;
}

static void check_times(struct session *session, int64_t now_ms)
{
    const struct config *config = session_config(session);
    struct counters *counters = session_counters(session);
    if (session->state != SESSION_ACTIVE) {
        if (lease_carries_batch(session))
            (void)check_connecting(session, now_ms);
        else if (over(now_ms, session->linger_since_ms, SESSION_LINGER_MS))
            session_end(session, "the peer did not finish in time");
        return;
    }
    if (!session->request_seen && over(now_ms, session->since_ms, config->handshake_timeout_ms)) {
        counters_add(counters, COUNTER_TIMEOUTS_HANDSHAKE, 1);
        session_end(session, "no first message in time (option handshake_timeout_ms)");
        return;
    }
    if (!check_connecting(session, now_ms))
        return;
    note_unreported(session, now_ms);
    if (!check_progress(session, now_ms))
        return;
    if (session->request_seen && pending_is_empty(&session->pending) && session->exchange == NULL &&
        session->checking == NULL && session->stage != REQUEST_HELD &&
        over(now_ms, session->since_ms, config->client_idle_timeout_ms)) {
        counters_add(counters, COUNTER_TIMEOUTS_IDLE, 1);
        session_end(session, "idle for too long (option client_idle_timeout_ms)");
        return;
    }
    session_client_check_peer(session);
    session_merge_tick(session);
    if (session->state == SESSION_ACTIVE && session->stage == REQUEST_HELD)
        session_pause_check_time(session, now_ms);
    session_end_if_drained(session);
}

static void tick(void *context)
{
    struct session_worker *worker = context;
    struct session *session = NULL;
    struct session *next = NULL;
    int64_t now_ms = clock_now_ms();
    session_merge_let_go(worker);
    bulk_cursors_expire(worker->shared->bulk_cursors, now_ms);
    DL_FOREACH_SAFE(worker->sessions, session, next)
    check_times(session, now_ms);
    session_observe_all(worker);
}

/* --- workers ------------------------------------------------------------------------------------
 */

static void end_all(void *context)
{
    struct session_worker *worker = context;
    while (worker->sessions != NULL)
        session_end(worker->sessions, "the proxy is ending");
    reap(-1, 0, worker);
    session_merge_stop(worker);
    event_free(worker->reap_event);
}

static void free_worker(struct session_worker *worker)
{
    session_settings_release(worker->settings);
    registry_release(worker->registry);
    schema_scratch_free(worker->scratch);
    tally_free(worker->tally);
    memory_free(worker);
}

struct session_worker *session_worker_start(unsigned index, struct session_shared *shared,
                                            struct session_settings *settings, struct error *err)
{
    char name[16];
    struct session_worker *worker = memory_zalloc(sizeof *worker);
    if (worker == NULL) {
        (void)error_set(err, ERROR_INTERNAL, "out of memory for a worker");
        return NULL;
    }
    (void)snprintf(name, sizeof name, "worker%u", index);
    worker->shared = shared;
    worker->settings = session_settings_retain(settings);
    worker->scratch = schema_scratch_new();
    worker->connection_handler = &session_upstream_handler;
    worker->tally = tally_new();
    struct worker_settings thread = {.name = name,
                                     .context = worker,
                                     .tick_ms = TICK_MS,
                                     .tick = tick,
                                     .turned = session_observe_turn,
                                     .stop = end_all};
    if (worker->scratch == NULL || worker->tally == NULL)
        (void)error_set(err, ERROR_INTERNAL, "out of memory for a worker");
    else if (worker_create(&thread, &worker->worker, err)) {
        worker->reap_event = event_new(worker_base(worker->worker), -1, 0, reap, worker);
        if (worker->reap_event != NULL && session_merge_start(worker, err) &&
            worker_run(worker->worker, err))
            return worker;
        worker_destroy(worker->worker);
    }
    free_worker(worker);
    return NULL;
}

static void swap_settings(void *context, void *arg)
{
    struct session_worker *worker = context;
    session_settings_release(worker->settings);
    worker->settings = arg;
    session_merge_configure(worker);
}

void session_worker_set_settings(struct session_worker *worker, struct session_settings *settings)
{
    if (!worker_post(worker->worker, swap_settings, session_settings_retain(settings))) {
        session_settings_release(settings);
        LOG_E(LOG_CONTROL, 1006, "control", "Out of memory: a worker keeps its old settings");
    }
}

static void swap_registry(void *context, void *arg)
{
    struct session_worker *worker = context;
    registry_release(worker->registry);
    worker->registry = arg;
    tally_trim(worker->tally, worker->registry);
}

struct tally *session_worker_tally(const struct session_worker *worker)
{
    return worker->tally;
}

void session_worker_set_registry(struct session_worker *worker, struct registry *registry)
{
    if (!worker_post(worker->worker, swap_registry, registry_retain(registry))) {
        registry_release(registry);
        LOG_E(LOG_CONTROL, 1017, "control", "Out of memory: a worker keeps its old schemas");
    }
}

static void start_draining(void *context, void *arg)
{
    (void)arg;
    ((struct session_worker *)context)->draining = true;
    session_merge_drain(context);
    session_pause_end(context);
    tick(context);
}

void session_worker_drain(struct session_worker *worker)
{
    if (!worker_post(worker->worker, start_draining, NULL))
        LOG_E(LOG_CONTROL, 1007, "control", "Out of memory: a worker cannot be drained");
}

void session_worker_stop(struct session_worker *worker)
{
    worker_stop(worker->worker);
    free_worker(worker);
}

unsigned session_worker_clients(const struct session_worker *worker)
{
    return atomic_load(&worker->clients);
}

const struct counters *session_worker_counters(const struct session_worker *worker)
{
    return &worker->counters;
}
