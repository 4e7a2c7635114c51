/* Group commit: inserts go to the worker's coalescer, which says what becomes of each. */
#include <openssl/rand.h>

#include "base/assert.h"
#include "base/memory.h"
#include "bson/scan.h"
#include "net/clock.h"
#include "session/lease.h"
#include "session/merge_internal.h"

/* A namespace has at most 255 bytes. */
enum { MERGE_NS_BYTES = 256 };

/* What an insert has besides its documents; a larger body goes alone. */
enum { MERGE_BODY_BYTES = 16 * 1024 };

static bool random_bytes(void *out, size_t len)
{
    return RAND_bytes(out, (int)len) == 1;
}

/* --- inserts ------------------------------------------------------------------------------------
 */

/* Everything that the exchange has with the coalescer ends; its client is gone, or has its answer.
 */
void session_merge_release(struct session *session, struct exchange *exchange)
{
    struct coalesce *coalesce = session->worker->coalesce;
    if (exchange->waiter != NULL) {
        coalesce_leave(coalesce, exchange->waiter, clock_now_us());
        session_merge_pump_soon(session->worker);
    }
    if (exchange->resend != NULL)
        coalesce_resend_lost(coalesce, exchange->resend, clock_now_us());
    session_attached_free(exchange->attached);
    exchange->waiter = NULL;
    exchange->resend = NULL;
    exchange->attached = NULL;
}

static enum write_step refuse(struct session *session, const struct message *message, int code,
                              const char *text)
{
    struct error err;
    bool overloaded = code == ERROR_OVERLOADED && session->accepts_overload;
    (void)error_set(&err, code, "%s", text);
    counters_add(session_counters(session), COUNTER_REQUESTS_REFUSED, 1);
    return session_answer_error(session, message, &err, overloaded ? WIRE_LABEL_OVERLOADED : 0)
               ? WRITE_TAKEN
               : WRITE_ENDED;
}

/* As a lost connection: what became of the insert is for a retry to find out. */
enum write_step session_merge_close_client(struct session *session)
{
    session_linger(session, "out of memory for an insert");
    return WRITE_ENDED;
}

static enum write_step replay(struct session *session, const struct message *message,
                              struct bytes reply)
{
    bool sent = session_answer(session, message, reply);
    memory_free((void *)reply.pos);
    return sent ? WRITE_TAKEN : WRITE_ENDED;
}

/* Outcomes after which the client waits for something that is not the reply to its own command. */
static enum write_step wait_for(struct session *session, const struct message *message,
                                const struct request *request, const struct coalesce_insert *insert,
                                enum coalesce_outcome outcome, const struct coalesce_answer *answer)
{
    struct coalesce *coalesce = session->worker->coalesce;
    session->exchange = session_exchange_new(session, message, request, false);
    if (session->exchange != NULL) {
        switch (outcome) {
        case COALESCE_WAIT:
            session->exchange->waiter = answer->waiter;
            session_merge_pump_soon(session->worker);
            return WRITE_TAKEN;
        case COALESCE_ATTACHED:
            return session_merge_attach(session, insert->payload, answer->attachment);
        default:
            session->exchange->resend = answer->resend;
            return session_merge_ask(session);
        }
    }
    if (outcome == COALESCE_WAIT) {
        coalesce_leave(coalesce, answer->waiter, clock_now_us());
    } else if (outcome == COALESCE_ATTACHED) {
        retry_detach(answer->attachment);
        session_attached_free(session->worker->spare_attached);
        session->worker->spare_attached = NULL;
    } else {
        coalesce_resend_lost(coalesce, answer->resend, clock_now_us());
    }
    return session_merge_close_client(session);
}

static enum write_step act(struct session *session, const struct message *message,
                           const struct request *request, const struct coalesce_insert *insert,
                           enum coalesce_outcome outcome, const struct coalesce_answer *answer)
{
    switch (outcome) {
    case COALESCE_GO:
        session->next_ticket = answer->ticket;
        return WRITE_PASS;
    case COALESCE_PASS:
        return WRITE_PASS;
    case COALESCE_WAIT:
    case COALESCE_ATTACHED:
    case COALESCE_RESEND:
        return wait_for(session, message, request, insert, outcome, answer);
    case COALESCE_REPLAY:
        return replay(session, message, answer->reply);
    case COALESCE_REJECT:
        return refuse(session, message, ERROR_OVERLOADED,
                      "mongosluice has too many inserts waiting for this namespace (option "
                      "merge.max_waiters)");
    case COALESCE_TOO_OLD:
        return refuse(
            session, message, ERROR_TRANSACTION_TOO_OLD,
            "a retryable write with a newer txnNumber was taken for this session already");
    case COALESCE_CLOSE:
        break;
    }
    return session_merge_close_client(session);
}

/* --- what merging goes by -----------------------------------------------------------------------
 */

static void read_limit(struct bytes document, const char *name, uint64_t *limit)
{
    struct scan_element element;
    int64_t value = 0;
    if (scan_find(document, name, &element) && scan_as_int64(&element, &value) && value > 0)
        *limit = (uint64_t)value;
}

void session_merge_read_limits(struct session *session, struct bytes document)
{
    struct session_limits *limits = &session->limits;
    uint64_t document_bytes = limits->document_bytes;
    uint64_t batch_docs = limits->batch_docs;
    uint64_t message_bytes = limits->message_bytes;
    read_limit(document, "maxBsonObjectSize", &document_bytes);
    read_limit(document, "maxWriteBatchSize", &batch_docs);
    read_limit(document, "maxMessageSizeBytes", &message_bytes);
    *limits = (struct session_limits){
        .document_bytes = (size_t)document_bytes,
        .batch_docs = (uint32_t)(batch_docs < UINT32_MAX ? batch_docs : UINT32_MAX),
        .message_bytes = (size_t)message_bytes};
}

static void forget(struct session *session, const struct scan_element *description)
{
    struct retry_key key;
    const uint8_t *lsid = lsid_read(description, NULL);
    if (lsid == NULL)
        return;
    memcpy(key.lsid, lsid, LSID_BYTES);
    const struct standing *standing = lease_standing(session);
    if (standing != NULL) { /* else they idle until they are of no use */
        memcpy(key.identity, standing_users(standing), sizeof key.identity);
        retry_table_forget(session->worker->shared->retries, &key);
    }
    bulk_cursors_end_session(session->worker->shared->bulk_cursors, session->id, key.lsid);
}

void session_merge_forget(struct session *session, const struct request *request)
{
    struct scan scan;
    struct scan_element list;
    struct scan_element description;
    if (!scan_find(request->body, request->name, &list) || list.kind != BSON_KIND_ARRAY ||
        !scan_open(&scan, list.value))
        return;
    while (scan_next(&scan, &description))
        forget(session, &description);
}

static bool is_insert(const struct request *request)
{
    return request->command == COMMAND_INSERT;
}

/* The largest insert that any namespace lets into a batch; 0: merging is off everywhere. */
static size_t largest(const struct config *config)
{
    int64_t most = config->merge.enabled == CONFIG_TRUE ? config->merge.max_bytes : 0;
    for (size_t i = 0; i < config->merge_namespace_count; i++) {
        const struct config_merge *merge = &config->merge_namespaces[i].merge;
        if (merge->enabled == CONFIG_TRUE && merge->max_bytes > most)
            most = merge->max_bytes;
    }
    return (size_t)most;
}

void session_merge_note_passed(struct session *session, const struct request *request)
{
    struct scan_element element;
    int64_t number = 0;
    if (!is_insert(request) || request->lsid == NULL || request->in_transaction ||
        retry_table_entries(session->worker->shared->retries) == 0 ||
        !scan_find(request->body, "txnNumber", &element) || !scan_as_int64(&element, &number))
        return;
    struct coalesce_origin origin = session_identity_origin(session);
    coalesce_note_passed(session->worker->coalesce, &origin, request->lsid, number, clock_now_us());
}

bool session_merge_concerns(const struct session *session, const struct message *message,
                            const struct request *request)
{
    const struct session_worker *worker = session->worker;
    size_t most = worker->merge_largest_bytes;
    if (!is_insert(request) || (request->flags & WIRE_FLAG_MORE_TO_COME) != 0 ||
        request->in_transaction)
        return false;
    /* what was merged under other options may still be retried */
    if (most < worker->merge_ever_bytes && retry_table_entries(worker->shared->retries) > 0)
        most = worker->merge_ever_bytes;
    return most > 0 && (size_t)message->header.length <= most + MERGE_BODY_BYTES;
}

/* "database.collection" of the command. False when it is longer than a namespace may be. */
static bool read_namespace(const struct request *request, char ns[MERGE_NS_BYTES], size_t *len)
{
    struct scan_element collection;
    const char *text = NULL;
    size_t text_len = 0;
    size_t database_len = bytes_left(&request->database);
    if (!scan_find(request->body, "insert", &collection) ||
        !scan_as_string(&collection, &text, &text_len) ||
        database_len + text_len + 1 > MERGE_NS_BYTES)
        return false;
    memcpy(ns, request->database.pos, database_len);
    ns[database_len] = '.';
    memcpy(ns + database_len + 1, text, text_len);
    *len = database_len + text_len + 1;
    return true;
}

static void read_rules(const struct session *session, const struct request *request,
                       struct coalesce_rules *rules)
{
    char ns[MERGE_NS_BYTES];
    size_t len = 0;
    const struct config *config = session_config(session);
    const struct config_merge *merge = &config->merge;
    if (config->merge_namespace_count > 0 && read_namespace(request, ns, &len))
        merge = config_merge_of(config, ns, len);
    *rules = (struct coalesce_rules){.enabled = merge->enabled == CONFIG_TRUE && !session->refused,
                                     .reject = merge->on_cap == CONFIG_REJECT,
                                     .max_docs = (uint32_t)merge->max_docs,
                                     .max_bytes = (size_t)merge->max_bytes,
                                     .max_in_flight = (uint32_t)merge->max_in_flight,
                                     .stalled_after_us = merge->stalled_after_ms * 1000,
                                     .linger_us = merge->linger_us,
                                     .max_waiters = (uint32_t)merge->max_waiters,
                                     .max_waiters_total = (uint32_t)config->merge.max_waiters};
    coalesce_rules_fit(rules, session->limits.batch_docs, session->limits.message_bytes);
}

static struct grouping_limits limits_of(const struct session *session,
                                        const struct coalesce_rules *rules)
{
    return (struct grouping_limits){.max_document_bytes = session->limits.document_bytes,
                                    .max_docs = rules->max_docs,
                                    .max_bytes = rules->max_bytes};
}

/* Only for one that may be merged, or that may repeat a merged one because the options have changed
 * since: connections that never merge are never asked. With nobody to go with it goes by itself,
 * and who it is need not be certain. */
bool session_merge_must_ask(struct session *session, const struct message *message,
                            const struct request *request)
{
    struct session_worker *worker = session->worker;
    struct coalesce_insert insert;
    struct coalesce_rules rules;
    bool known = lease_standing(session) != NULL;
    if (!session_identity_may_ask(session) || (known && coalesce_is_idle(worker->coalesce)))
        return false;
    read_rules(session, request, &rules);
    struct grouping_limits limits = limits_of(session, &rules);
    grouping_classify(message->payload, &limits, &insert);
    if (rules.enabled && insert.bar == GROUPING_BAR_NONE)
        return true;
    return !known && insert.numbered && worker->merge_changed &&
           retry_table_entries(worker->shared->retries) > 0;
}

enum write_step session_merge(struct session *session, const struct message *message,
                              const struct request *request)
{
    struct session_worker *worker = session->worker;
    struct coalesce_insert insert;
    struct coalesce_answer answer;
    struct coalesce_rules rules;
    if (!pending_is_empty(&session->pending))
        return WRITE_HOLD;
    if (!message->whole)
        return WRITE_GATHER;
    struct retry_listener listener = session_merge_listener(worker);
    if (listener.arg == NULL)
        return session_merge_close_client(session);
    struct coalesce_origin origin = session_identity_origin(session);
    read_rules(session, request, &rules);
    struct grouping_limits limits = limits_of(session, &rules);
    grouping_classify(message->payload, &limits, &insert);
    /* what is gathered is copied: without room for it nothing is */
    struct budget *budget = &worker->shared->budget;
    size_t bytes = bytes_left(&message->payload);
    bool room = budget_take(budget, bytes);
    rules.enabled = rules.enabled && room;
    enum coalesce_outcome outcome = coalesce_submit(worker->coalesce, &rules, &origin, &insert,
                                                    session, &listener, clock_now_us(), &answer);
    if (room)
        budget_give_back(budget, bytes);
    session_merge_account(worker);
    return act(session, message, request, &insert, outcome, &answer);
}

/* --- life ---------------------------------------------------------------------------------------
 */

void session_merge_configure(struct session_worker *worker)
{
    worker->merge_changed = worker->merge_configured;
    worker->merge_configured = true;
    worker->merge_largest_bytes = largest(worker->settings->config);
    if (worker->merge_ever_bytes < worker->merge_largest_bytes)
        worker->merge_ever_bytes = worker->merge_largest_bytes;
}

bool session_merge_start(struct session_worker *worker, struct error *err)
{
    worker->standings = standings_create();
    worker->coalesce = coalesce_create(worker->shared->retries, random_bytes);
    worker->pump_event = event_new(worker_base(worker->worker), -1, 0, session_merge_pump, worker);
    session_merge_configure(worker);
    if (worker->coalesce != NULL && worker->pump_event != NULL && worker->standings != NULL)
        return true;
    return error_set(err, ERROR_INTERNAL, "out of memory for a worker");
}

void session_merge_stop(struct session_worker *worker)
{
    /* without sessions every batch is lost; this ends them */
    session_merge_send_lost(worker);
    sluice_assert(worker->carriages == NULL);
    event_free(worker->pump_event);
    coalesce_destroy(worker->coalesce);
    worker->coalesce = NULL;
    standings_destroy(worker->standings);
    worker->standings = NULL;
    budget_give_back(&worker->shared->budget, worker->held_bytes);
    session_attached_free(worker->spare_attached);
}

void session_merge_drain(struct session_worker *worker)
{
    coalesce_drain(worker->coalesce, clock_now_us());
    session_merge_pump_soon(worker);
}

const struct coalesce_counters *session_worker_merge_counters(const struct session_worker *worker)
{
    return coalesce_counters(worker->coalesce);
}
