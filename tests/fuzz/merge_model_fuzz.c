/* Merging in front of a modelled server. The input decides the inserts of each client, which
 * answers are lost or fail, before or after the command was executed, which clients leave and which
 * retry. Each document names its client, so the model knows the truth: each client must receive the
 * true outcome of its document, whatever the server answers to a resend.
 *
 * Numbered statements are known by session, number and statement id. Three kinds of servers: exact
 * ones; MongoDB 4.4, which answers known statements at once and tries the others at the end, unless
 * a known one comes last; and the same, but it also tries them after it has deferred a few. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bson/scan.h"
#include "merge/merger.h"
#include "wire/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    CLIENTS = 6,
    NUMBERED = 4, /* of them; the others' inserts have no number */
    DOCS_MAX = 3,
    IDS = 2048,
    BEFORE = 1, /* ids that are there from the start */
    FLIGHTS_MAX = 2 * CLIENTS + 64,
    SESSIONS_MAX = 256,
    STATEMENTS_MAX = 64,
    STEPS_MAX = 600,
    NOBODY = -1,
    SOMEBODY = -2
};

/* A document of an insert. */
struct part {
    int insert; /* NOBODY, SOMEBODY, or the number of the insert */
    int at;
};

enum client_state {
    IDLE,
    WAITING,
    WAITING_RETRY,
    ASKING,
    DIRECT,
    LOST /* its connection ended: it may try again */
};

struct client {
    enum client_state state;
    struct model *model;
    int insert;
    int64_t number;
    uint32_t docs;
    int ids[DOCS_MAX];
    bool again;  /* it knows that the insert may have been run before */
    bool direct; /* it passed unchanged at least once */
    struct merger_waiter *waiter;
    struct retry_waiter *retry_waiter;
    bool heard;
    bool resubmit;
    uint8_t reply[1024];
    size_t reply_bytes;
    uint8_t command[512];
    size_t command_bytes;
};

enum flight_kind { FLIGHT_BATCH, FLIGHT_DIRECT, FLIGHT_ASK };

struct flight {
    enum flight_kind kind;
    struct batch *batch;
    struct client *client;
    struct merger_permit *permit;
    struct merger_resend *resend;
};

struct server_session {
    uint8_t lsid[LSID_BYTES];
    int64_t number;
    size_t known;
    int64_t ids[STATEMENTS_MAX];
    struct part parts[STATEMENTS_MAX];
};

enum server_kind { SERVER_EXACT, SERVER_PUTS_OFF, SERVER_PUTS_OFF_A_FEW, SERVER_KINDS };

struct model {
    struct bytes input;
    struct retry_table *table;
    struct merger *merger;
    int64_t now_us;
    enum server_kind kind;
    struct part stored[IDS];
    struct server_session sessions[SESSIONS_MAX];
    size_t session_count;
    struct client clients[CLIENTS];
    struct flight flights[FLIGHTS_MAX];
    size_t flight_count;
    int inserts;
    int next_id;                 /* not used yet */
    bool refused[STEPS_MAX + 1]; /* it knows that no part of its insert was executed */
    bool full;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static uint8_t decide(struct model *model, uint8_t below)
{
    uint8_t value = 0;
    (void)bytes_read_u8(&model->input, &value);
    return value % below;
}

static bool random_bytes(void *out, size_t len)
{
    static uint32_t next = 0;
    memset(out, 0, len);
    next++;
    memcpy(out, &next, sizeof next);
    return true;
}

static const struct grouping_limits limits = {1 << 20, 1000, 1 << 20,
                                              GROUPING_COMMENTS_TRACEPARENT};
static const struct merger_rules rules = {.enabled = true,
                                          .max_docs = 7,
                                          .max_bytes = 1 << 20,
                                          .max_in_flight = 2,
                                          .stalled_after_us = 1000,
                                          .max_waiters = 100,
                                          .max_waiters_total = 100};
static uint8_t identity[RETRY_IDENTITY_BYTES];
static const struct merger_origin origin = {identity, "h:1", 1, MERGER_CERTAIN};

/* --- the server --- */

static int64_t field(struct bytes document, const char *name)
{
    struct scan_element element;
    int64_t value = 0;
    check(scan_find(document, name, &element) && scan_as_int64(&element, &value));
    return value;
}

static struct server_session *session_of(struct model *model, const uint8_t *lsid)
{
    for (size_t i = 0; i < model->session_count; i++)
        if (memcmp(model->sessions[i].lsid, lsid, LSID_BYTES) == 0)
            return &model->sessions[i];
    if (model->session_count == SESSIONS_MAX) {
        model->full = true;
        return &model->sessions[0];
    }
    struct server_session *session = &model->sessions[model->session_count++];
    *session = (struct server_session){.number = -1};
    memcpy(session->lsid, lsid, LSID_BYTES);
    return session;
}

/* A command as the server received it. */
struct arrived {
    uint32_t count;
    struct bytes documents[STATEMENTS_MAX];
    int64_t statements[STATEMENTS_MAX];
    struct server_session *session; /* NULL: no number */
};

static bool knows(const struct arrived *arrived, uint32_t at)
{
    const struct server_session *session = arrived->session;
    for (size_t i = 0; session != NULL && i < session->known; i++) {
        if (session->ids[i] != arrived->statements[at])
            continue;
        /* a number never stands for two */
        check(session->parts[i].insert == (int)field(arrived->documents[at], "o") &&
              session->parts[i].at == (int)field(arrived->documents[at], "i"));
        return true;
    }
    return false;
}

/* Runs one statement. False: there is such an _id. */
static bool store(struct model *model, const struct arrived *arrived, uint32_t at)
{
    struct part part = {(int)field(arrived->documents[at], "o"),
                        (int)field(arrived->documents[at], "i")};
    int64_t id = field(arrived->documents[at], "_id");
    struct server_session *session = arrived->session;
    if (model->stored[id].insert != NOBODY)
        return false;
    check(!model->refused[part.insert]);
    model->stored[id] = part;
    if (session == NULL)
        return true;
    if (session->known == STATEMENTS_MAX) {
        model->full = true;
        return true;
    }
    session->ids[session->known] = arrived->statements[at];
    session->parts[session->known++] = part;
    return true;
}

/* The reply's places. */
struct places {
    uint32_t count;
    bool failed[STATEMENTS_MAX];
    uint32_t tried;
    uint32_t stop_at; /* this many statements are tried, then it breaks off */
};

static void try_one(struct model *model, const struct arrived *arrived, uint32_t at,
                    struct places *places)
{
    if (places->tried++ >= places->stop_at)
        return;
    places->failed[places->count++] = !store(model, arrived, at);
}

static void run(struct model *model, const struct arrived *arrived, struct places *places)
{
    uint32_t put_off[STATEMENTS_MAX];
    uint32_t waiting = 0;
    for (uint32_t at = 0; at < arrived->count; at++) {
        if (knows(arrived, at)) {
            places->failed[places->count++] = false;
            continue;
        }
        if (model->kind == SERVER_EXACT) {
            try_one(model, arrived, at, places);
            continue;
        }
        put_off[waiting++] = at;
        bool few = model->kind == SERVER_PUTS_OFF || waiting < 2;
        if (at + 1 < arrived->count && few)
            continue;
        for (uint32_t i = 0; i < waiting; i++)
            try_one(model, arrived, put_off[i], places);
        waiting = 0;
    }
}

static void arrive(struct model *model, struct bytes payload, struct arrived *arrived)
{
    struct wire_command parsed;
    struct merger_insert insert;
    struct scan_element ids;
    struct scan scan = {0};
    *arrived = (struct arrived){0};
    check(wire_command_read_whole(payload, &parsed, NULL));
    grouping_classify(&parsed, &limits, &insert);
    bool named = scan_find(parsed.body, "stmtIds", &ids) && scan_open(&scan, ids.value);
    check(insert.bar == (named ? GROUPING_BAR_STATEMENT_IDS : GROUPING_BAR_NONE));
    struct list_walk walk;
    list_walk_open(&walk, &insert.documents);
    for (uint32_t i = 0; list_walk_next(&walk, &arrived->documents[i]); i++) {
        struct scan_element id;
        arrived->statements[i] = i;
        if (named)
            check(scan_next(&scan, &id) && scan_as_int64(&id, &arrived->statements[i]));
        check(++arrived->count < STATEMENTS_MAX);
    }
    check(arrived->count > 0);
    if (!insert.numbered)
        return;
    struct server_session *session = session_of(model, parsed.lsid);
    arrived->session = session;
    check(parsed.number >= session->number); /* the proxy gives no number that is too old */
    if (parsed.number > session->number) {
        session->number = parsed.number;
        session->known = 0;
    }
}

static void write_failure(struct build *build, int32_t code, bool label)
{
    build_begin(build, SIZE_MAX);
    build_int32(build, "ok", 0);
    build_int32(build, "code", code);
    if (label) {
        build_open_array(build, "errorLabels");
        build_text(build, NULL, "RetryableWriteError");
        build_close(build);
    }
}

static void write_places(struct build *build, const struct places *places)
{
    int32_t errors = 0;
    build_begin(build, SIZE_MAX);
    build_open_array(build, "writeErrors");
    for (uint32_t i = 0; i < places->count; i++) {
        if (!places->failed[i])
            continue;
        errors++;
        build_open_object(build, NULL);
        build_int32(build, "index", (int32_t)i);
        build_int32(build, "code", 11000);
        build_close(build);
    }
    build_close(build);
    build_int32(build, "n", (int32_t)places->count - errors);
    build_int32(build, "ok", 1);
}

enum fate { FATE_ANSWERED, FATE_LOST_BEFORE, FATE_LOST_AFTER, FATE_FAILED, FATES };

/* Executes the command as the server does. False: there is no answer. */
static bool serve(struct model *model, struct bytes payload, enum fate fate, struct build *build,
                  struct bytes *reply)
{
    static const int32_t not_run[] = {2, 13, 211};
    struct arrived arrived;
    struct places places = {.stop_at = UINT32_MAX};
    if (fate == FATE_LOST_BEFORE)
        return false;
    uint8_t how = fate == FATE_FAILED ? decide(model, 6) : 0;
    if (fate == FATE_FAILED && how < 3) {
        write_failure(build, not_run[how], false);
    } else {
        arrive(model, payload, &arrived);
        if (fate == FATE_FAILED)
            places.stop_at = decide(model, 6);
        run(model, &arrived, &places);
        if (fate == FATE_LOST_AFTER)
            return false;
        if (fate == FATE_FAILED)
            write_failure(build, how == 3 ? 8 : 91, how == 5);
        else
            write_places(build, &places);
    }
    check(build_finish(build, reply));
    return true;
}

/* --- the clients' answers --- */

static bool is_owner(const struct client *client, uint32_t at)
{
    const struct part *part = &client->model->stored[client->ids[at]];
    return part->insert == client->insert && part->at == (int)at;
}

static void lose(struct client *client)
{
    bool numbered = client - client->model->clients < NUMBERED;
    client->state = numbered ? LOST : IDLE;
    client->again = true;
}

static void be_told_of_failure(struct client *client, int64_t code)
{
    if ((code == 2 || code == 13 || code == 211) && !client->again) {
        for (uint32_t i = 0; i < client->docs; i++)
            check(!is_owner(client, i));
        client->model->refused[client->insert] = true;
        client->state = IDLE;
    } else {
        lose(client); /* it may try again */
    }
}

static void be_told(struct client *client, struct bytes reply)
{
    bool failed[DOCS_MAX] = {false};
    struct scan scan;
    struct scan_element errors;
    struct scan_element each;
    int64_t count = 0;
    if (field(reply, "ok") == 0) {
        be_told_of_failure(client, field(reply, "code"));
        return;
    }
    client->state = IDLE;
    /* its driver's own retry reaches the server as it would without a proxy */
    if (client->direct && client->again && client->docs > 1 && client->model->kind != SERVER_EXACT)
        return;
    if (scan_find(reply, "writeErrors", &errors) && scan_open(&scan, errors.value))
        for (; scan_next(&scan, &each); count++) {
            int64_t index = field(each.value, "index");
            check(index >= 0 && index < client->docs);
            failed[index] = true;
        }
    check(field(reply, "n") + count == client->docs);
    for (uint32_t i = 0; i < client->docs; i++)
        check(failed[i] != is_owner(client, i));
}

static void note(void *arg, void *waiter, struct bytes reply)
{
    struct client *client = waiter;
    (void)arg;
    check(client->state == WAITING && bytes_left(&reply) > 0);
    be_told(client, reply);
}

static void on_done(void *arg, enum retry_result result, struct bytes reply)
{
    struct client *client = arg;
    check(client->state == WAITING_RETRY && !client->heard &&
          bytes_left(&reply) <= sizeof client->reply);
    client->heard = true;
    client->resubmit = result == RETRY_RESULT_AGAIN;
    client->reply_bytes = bytes_left(&reply);
    if (!client->resubmit)
        memcpy(client->reply, reply.pos, client->reply_bytes);
}

/* --- clients --- */

static struct flight *take_off(struct model *model, enum flight_kind kind, struct client *client)
{
    check(model->flight_count < FLIGHTS_MAX);
    struct flight *flight = &model->flights[model->flight_count++];
    *flight = (struct flight){.kind = kind, .client = client};
    return flight;
}

static void go_direct(struct model *model, struct client *client, struct merger_permit *permit)
{
    client->state = DIRECT;
    client->direct = true;
    take_off(model, FLIGHT_DIRECT, client)->permit = permit;
}

static void go_ask(struct model *model, struct client *client, struct merger_resend *resend)
{
    check(resend != NULL);
    client->state = ASKING;
    take_off(model, FLIGHT_ASK, client)->resend = resend;
}

static void submit(struct model *model, struct client *client)
{
    struct wire_command parsed;
    struct merger_insert insert;
    struct merger_answer answer;
    struct retry_listener listener = {client, on_done};
    client->state = WAITING_RETRY; /* on_done may be called at once by another */
    client->heard = false;
    check(wire_command_read_whole(bytes_of(client->command, client->command_bytes), &parsed, NULL));
    grouping_classify(&parsed, &limits, &insert);
    struct merger_request request = {.rules = &rules,
                                     .origin = &origin,
                                     .insert = &insert,
                                     .waiter = client,
                                     .listener = &listener,
                                     .now_us = model->now_us};
    switch (merger_submit(model->merger, &request, &answer)) {
    case MERGER_GO:
        go_direct(model, client, answer.permit);
        break;
    case MERGER_PASS:
        go_direct(model, client, NULL);
        break;
    case MERGER_WAIT:
        client->state = WAITING;
        client->waiter = answer.waiter;
        break;
    case MERGER_WAIT_FOR_FIRST:
        client->retry_waiter = answer.retry_waiter;
        break;
    case MERGER_REPLAY:
        be_told(client, answer.reply);
        memory_free((void *)(uintptr_t)answer.reply.pos);
        break;
    case MERGER_RESEND:
        go_ask(model, client, answer.resend);
        break;
    default:
        abort();
    }
}

static void write_command(struct client *client, bool numbered)
{
    struct build build;
    struct bytes body;
    uint8_t value[5 + LSID_BYTES] = {LSID_BYTES, 0, 0, 0, 4, 0xC1};
    value[6] = (uint8_t)(client - client->model->clients);
    build_begin(&build, sizeof client->command);
    build_text(&build, "insert", "c");
    build_text(&build, "$db", "d");
    build_bool(&build, "ordered", client->docs == 1);
    if (numbered) {
        build_open_object(&build, "lsid");
        build_value(&build, "id", BSON_KIND_BINARY, bytes_of(value, sizeof value));
        build_close(&build);
        build_int64(&build, "txnNumber", client->number);
    }
    build_open_array(&build, "documents");
    for (uint32_t i = 0; i < client->docs; i++) {
        build_open_object(&build, NULL);
        build_int32(&build, "_id", client->ids[i]);
        build_int32(&build, "o", client->insert);
        build_int32(&build, "i", (int32_t)i);
        build_close(&build);
    }
    build_close(&build);
    check(build_finish(&build, &body) && bytes_left(&body) + 5 <= sizeof client->command);
    memset(client->command, 0, 5);
    memcpy(client->command + 5, body.pos, bytes_left(&body));
    client->command_bytes = 5 + bytes_left(&body);
    build_free(&build);
}

static void insert_something(struct model *model, struct client *client)
{
    client->insert = model->inserts++;
    client->number++;
    client->docs = 1 + decide(model, DOCS_MAX);
    client->again = false;
    client->direct = false;
    for (uint32_t i = 0; i < client->docs; i++) {
        /* a new one, or one of the last used ones, perhaps of an insert that is under way */
        uint8_t back = decide(model, 16);
        client->ids[i] =
            back < 8 && back < model->next_id ? model->next_id - 1 - back : model->next_id++;
    }
    write_command(client, client - model->clients < NUMBERED);
    submit(model, client);
}

static void leave(struct model *model, struct client *client)
{
    if (client->state == WAITING) {
        merger_leave(model->merger, client->waiter, model->now_us);
        lose(client);
    } else if (client->state == WAITING_RETRY) {
        retry_stop_waiting(client->retry_waiter);
        lose(client);
    }
}

/* --- flights --- */

static void land(struct model *model, size_t at)
{
    model->flights[at] = model->flights[--model->flight_count];
}

static void act_on_batch(struct model *model, struct batch *batch, struct bytes reply)
{
    enum batch_verdict verdict =
        batch_answer(model->merger, batch, reply, note, model, model->now_us);
    for (struct merger_waiter *waiter = batch_first(batch); waiter != NULL;
         waiter = batch_next(waiter)) {
        struct client *client = batch_waiter(waiter);
        if (client == NULL)
            continue;
        switch (verdict) {
        case BATCH_ANSWERED:
            check(client->state != WAITING || client->waiter != waiter);
            break;
        case BATCH_SEND_ALONE:
            go_direct(model, client, NULL);
            break;
        case BATCH_FIND_OUT:
            go_ask(model, client, batch_take_resend(waiter));
            break;
        case BATCH_UNCERTAIN:
            lose(client);
            break;
        case BATCH_UNREADABLE:
            abort(); /* an honest server is understood */
        }
    }
    batch_end(model->merger, batch, model->now_us);
}

/* Its connection is lost, and with it one of its clients. */
static void lose_batch(struct model *model, struct batch *batch)
{
    struct merger_waiter *waiter = batch_first(batch);
    struct client *client = NULL;
    for (uint8_t skip = decide(model, 3); skip > 0 && batch_next(waiter) != NULL; skip--)
        waiter = batch_next(waiter);
    client = batch_waiter(waiter);
    if (client != NULL)
        leave(model, client);
    bool any = false;
    for (waiter = batch_first(batch); waiter != NULL; waiter = batch_next(waiter))
        any |= batch_waiter(waiter) != NULL;
    if (any && batch_may_resend(model->merger, batch, model->now_us)) {
        take_off(model, FLIGHT_BATCH, NULL)->batch = batch;
        return;
    }
    batch_lost(model->merger, batch, true, model->now_us);
    for (waiter = batch_first(batch); waiter != NULL; waiter = batch_next(waiter))
        if (batch_waiter(waiter) != NULL)
            lose(batch_waiter(waiter));
    batch_end(model->merger, batch, model->now_us);
}

static void end_batch(struct model *model, struct batch *batch, enum fate fate)
{
    struct build build = {0};
    struct bytes reply;
    uint8_t *payload = NULL;
    size_t len = 0;
    check(batch_build(batch, NULL, &payload, &len));
    if (serve(model, bytes_of(payload, len), fate, &build, &reply))
        act_on_batch(model, batch, reply);
    else
        lose_batch(model, batch);
    build_free(&build);
    memory_free(payload);
}

static void end_direct(struct model *model, const struct flight *flight, enum fate fate)
{
    struct build build = {0};
    struct bytes reply;
    struct client *client = flight->client;
    bool answered =
        serve(model, bytes_of(client->command, client->command_bytes), fate, &build, &reply);
    if (flight->permit != NULL)
        merger_finished(model->merger, flight->permit, model->now_us);
    if (answered)
        be_told(client, reply);
    else
        lose(client);
    build_free(&build);
}

static void end_ask(struct model *model, const struct flight *flight, enum fate fate)
{
    struct build served = {0};
    struct build build = {0};
    struct bytes reply;
    struct bytes own;
    uint8_t *payload = NULL;
    size_t len = 0;
    check(merger_resend_payload(flight->resend, &payload, &len));
    if (!serve(model, bytes_of(payload, len), fate, &served, &reply)) {
        merger_resend_lost(model->merger, flight->resend, model->now_us);
        lose(flight->client);
    } else {
        switch (merger_resent(model->merger, flight->resend, reply, model->now_us, &build, &own)) {
        case RESEND_ASK:
            go_ask(model, flight->client, flight->resend);
            break;
        case RESEND_ANSWER:
            flight->client->direct = false; /* these numbers are the batch's */
            be_told(flight->client, own);
            break;
        case RESEND_CLOSE:
            lose(flight->client);
            break;
        }
        build_free(&build);
    }
    build_free(&served);
    memory_free(payload);
}

static void end_flight(struct model *model, size_t at, enum fate fate)
{
    struct flight flight = model->flights[at];
    land(model, at);
    switch (flight.kind) {
    case FLIGHT_BATCH:
        end_batch(model, flight.batch, fate);
        break;
    case FLIGHT_DIRECT:
        end_direct(model, &flight, fate);
        break;
    case FLIGHT_ASK:
        end_ask(model, &flight, fate);
        break;
    }
}

/* --- the whole play --- */

static void hear(struct model *model)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &model->clients[i];
        if (client->state != WAITING_RETRY || !client->heard)
            continue;
        retry_stop_waiting(client->retry_waiter);
        if (client->resubmit)
            submit(model, client);
        else
            be_told(client, bytes_of(client->reply, client->reply_bytes));
    }
}

static void pump(struct model *model)
{
    struct batch *batch = NULL;
    struct bytes command;
    hear(model);
    while ((batch = merger_take(model->merger, model->now_us)) != NULL) {
        if (batch_inserts(batch) > 1) {
            take_off(model, FLIGHT_BATCH, NULL)->batch = batch;
            continue;
        }
        struct client *client = batch_waiter(batch_first(batch));
        go_direct(model, client, batch_go_lone(model->merger, batch, model->now_us, &command));
        hear(model);
    }
}

static void let_go(struct model *model)
{
    model->now_us += 20000;
    for (size_t i = 0; i < model->flight_count; i++)
        if (model->flights[i].kind == FLIGHT_BATCH)
            batch_let_go(model->merger, model->flights[i].batch, model->now_us);
}

static void step(struct model *model)
{
    uint8_t what = decide(model, 16);
    struct client *client = &model->clients[decide(model, CLIENTS)];
    if (what < 8) {
        if (client->state == IDLE || (client->state == LOST && what == 0))
            insert_something(model, client); /* LOST: it gave up */
        else if (client->state == LOST)
            submit(model, client);
    } else if (what < 14 && model->flight_count > 0) {
        enum fate fate = what < 10 ? FATE_ANSWERED : (enum fate)decide(model, FATES);
        end_flight(model, decide(model, (uint8_t)model->flight_count), fate);
    } else if (what == 14) {
        leave(model, client);
    } else if (what == 15) {
        let_go(model);
    }
    pump(model);
}

static void finish(struct model *model)
{
    for (size_t i = 0; i < CLIENTS; i++)
        leave(model, &model->clients[i]);
    pump(model);
    while (model->flight_count > 0) {
        end_flight(model, 0, FATE_LOST_BEFORE);
        pump(model);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model *model = calloc(1, sizeof *model);
    check(model != NULL);
    model->input = bytes_of(data, size);
    model->table = retry_table_create(1 << 20);
    model->merger = merger_create(model->table, random_bytes);
    check(model->table != NULL && model->merger != NULL);
    model->now_us = 1000;
    model->kind = (enum server_kind)decide(model, SERVER_KINDS);
    model->next_id = BEFORE;
    for (int i = 0; i < IDS; i++)
        model->stored[i].insert = i < BEFORE ? SOMEBODY : NOBODY;
    for (size_t i = 0; i < CLIENTS; i++)
        model->clients[i].model = model;
    for (int i = 0; i < STEPS_MAX && bytes_left(&model->input) > 0 && !model->full; i++)
        step(model);
    finish(model);
    merger_destroy(model->merger);
    retry_table_destroy(model->table);
    free(model);
    return 0;
}
