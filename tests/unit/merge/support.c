#include "support.h"

#include <stdlib.h>

static void add(struct command *command, const void *data, size_t len)
{
    assert_true(len <= sizeof command->data - command->len);
    memcpy(command->data + command->len, data, len);
    command->len += len;
}

struct command command_of(uint32_t flags, const char *body, const char *documents_array)
{
    struct command command = {0};
    uint8_t head[5] = {0};
    bytes_store_i32(head, (int32_t)flags);
    add(&command, head, sizeof head);
    bson_t *document = support_json(body);
    add(&command, bson_get_data(document), document->len);
    bson_destroy(document);
    if (documents_array == NULL)
        return command;
    size_t at = command.len + 1;
    add(&command, "\1\0\0\0\0documents", 15);
    bson_t *array = support_json(documents_array);
    bson_iter_t each;
    assert_true(bson_iter_init(&each, array));
    while (bson_iter_next(&each)) {
        const uint8_t *data = NULL;
        uint32_t len = 0;
        bson_iter_document(&each, &len, &data);
        add(&command, data, len);
    }
    bson_destroy(array);
    bytes_store_i32(command.data + at, (int32_t)(command.len - at));
    return command;
}

void lsid_of(int lsid, uint8_t out[16])
{
    memset(out, 0, 16);
    memcpy(out, &lsid, sizeof lsid);
    out[15] = 'L';
}

struct command insert_of(int id, int lsid, int64_t number, const char *more)
{
    char body[2048];
    char documents[64];
    char session[256] = "";
    if (number > 0) {
        uint8_t raw[16];
        char hex[33];
        lsid_of(lsid, raw);
        for (int i = 0; i < 16; i++)
            (void)snprintf(hex + 2 * (size_t)i, 3, "%02x", raw[i]);
        (void)snprintf(session, sizeof session,
                       ",\"lsid\":{\"id\":{\"$uuid\":\"%.8s-%.4s-%.4s-%.4s-%.12s\"}},"
                       "\"txnNumber\":{\"$numberLong\":\"%lld\"}",
                       hex, hex + 8, hex + 12, hex + 16, hex + 20, (long long)number);
    }
    (void)snprintf(body, sizeof body, "{\"insert\":\"c\",\"$db\":\"test\",\"ordered\":true%s%s%s}",
                   session, *more == '\0' ? "" : ",", more);
    (void)snprintf(documents, sizeof documents, "[{\"_id\":%d}]", id);
    return command_of(0, body, documents);
}

struct bytes command_bytes(const struct command *command)
{
    return bytes_of(command->data, command->len);
}

static bool count_up(void *out, size_t len)
{
    static uint8_t next = 0;
    next++;
    memset(out, next, len);
    return true;
}

int fixture_make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->retries = retry_table_create(1 << 20);
    f->merger = merger_create(f->retries, count_up);
    f->rules = (struct merger_rules){.enabled = true,
                                     .max_docs = 100,
                                     .max_bytes = 100000,
                                     .max_in_flight = 1,
                                     .max_waiters = 1000,
                                     .max_waiters_total = 1000};
    memset(f->identity, 7, sizeof f->identity);
    f->origin = (struct merger_origin){f->identity, "h:1", 1, MERGER_CERTAIN};
    f->now_us = 1000000;
    *state = f;
    return f->retries == NULL || f->merger == NULL ? -1 : 0;
}

int fixture_end(void **state)
{
    struct fixture *f = *state;
    merger_destroy(f->merger);
    retry_table_destroy(f->retries);
    free(f);
    return 0;
}

static void be_told(void *arg, enum retry_result result, struct bytes reply)
{
    struct fixture *f = arg;
    f->told++;
    f->result = result;
    (void)snprintf(f->reply, sizeof f->reply, "%s",
                   bytes_left(&reply) == 0 ? "" : document_json(reply));
}

enum merger_outcome submit(struct fixture *f, const struct command *command, void *waiter)
{
    struct merger_insert insert;
    struct retry_listener listener = {f, be_told};
    struct grouping_limits limits = {16777216, f->rules.max_docs, f->rules.max_bytes,
                                     f->rules.ignored};
    /* the exact bytes, so that a sanitizer sees a read past the end; gone after the call */
    uint8_t *exact = malloc(command->len);
    assert_non_null(exact);
    memcpy(exact, command->data, command->len);
    struct wire_command parsed;
    assert_true(wire_command_read_whole(bytes_of(exact, command->len), &parsed, NULL));
    grouping_classify(&parsed, &limits, &insert);
    struct merger_request request = {.rules = &f->rules,
                                     .origin = &f->origin,
                                     .insert = &insert,
                                     .waiter = waiter,
                                     .listener = &listener,
                                     .now_us = f->now_us};
    enum merger_outcome outcome = merger_submit(f->merger, &request, &f->answer);
    free(exact);
    return outcome;
}

enum merger_outcome submit_id(struct fixture *f, int id, int lsid, int64_t number)
{
    struct command command = insert_of(id, lsid, number, "");
    return submit(f, &command, (void *)(intptr_t)id);
}

void know(struct fixture *f, int lsid)
{
    struct retry_answer answer;
    struct retry_request request = {
        .number = 1, .what = 1, .want = RETRY_WANT_DIRECT, .now_us = f->now_us};
    memcpy(request.key.identity, f->identity, sizeof request.key.identity);
    lsid_of(lsid, request.key.lsid);
    (void)retry_table_begin(f->retries, &request, &answer);
}

void note(void *arg, void *waiter, struct bytes reply)
{
    struct answers *answers = arg;
    size_t i = (size_t)(intptr_t)waiter;
    assert_in_range(i, 1, WAITERS_MAX - 1);
    answers->count[i]++;
    (void)snprintf(answers->json[i], sizeof answers->json[i], "%s",
                   bytes_left(&reply) == 0 ? "none" : document_json(reply));
}

enum batch_verdict answer(struct fixture *f, struct batch *batch, const char *json,
                          struct answers *answers)
{
    bson_t *reply = support_json(json);
    memset(answers, 0, sizeof *answers);
    enum batch_verdict verdict =
        batch_answer(f->merger, batch, support_bytes(reply), note, answers, f->now_us);
    bson_destroy(reply);
    return verdict;
}

struct asked ask(struct fixture *f, struct merger_resend *resend, const char *json)
{
    struct asked asked = {0};
    struct build out;
    struct bytes own;
    bson_t *reply = support_json(json);
    asked.step = merger_resent(f->merger, resend, support_bytes(reply), f->now_us, &out, &own);
    (void)snprintf(asked.json, sizeof asked.json, "%s",
                   asked.step == RESEND_ANSWER ? document_json(own) : "");
    build_free(&out);
    bson_destroy(reply);
    return asked;
}

struct batch *batch_of(struct fixture *f, int count, int64_t number)
{
    for (int i = 0; number > 0 && i <= count; i++)
        know(f, i);
    assert_int_equal(submit_id(f, 0, 0, number), MERGER_GO);
    struct merger_permit *first = f->answer.permit;
    for (int i = 1; i <= count; i++)
        assert_int_equal(submit_id(f, i, i, number), MERGER_WAIT);
    merger_finished(f->merger, first, f->now_us);
    struct batch *batch = merger_take(f->merger, f->now_us);
    assert_non_null(batch);
    assert_int_equal(batch_inserts(batch), count);
    return batch;
}

const char *document_json(struct bytes document)
{
    static char text[4096];
    bson_t bson;
    assert_true(bson_init_static(&bson, document.pos, bytes_left(&document)));
    char *json = bson_as_relaxed_extended_json(&bson, NULL);
    assert_non_null(json);
    (void)snprintf(text, sizeof text, "%s", json);
    bson_free(json);
    return text;
}

const char *body_json(const uint8_t *payload)
{
    return document_json(bytes_of(payload + 5, bytes_load_u32(payload + 5)));
}

size_t count_sequence(const uint8_t *payload, size_t len)
{
    size_t body = bytes_load_u32(payload + 5);
    struct bytes rest = bytes_of(payload + 5 + body, len - 5 - body);
    struct bytes document;
    uint32_t count = 0;
    assert_int_equal(rest.pos[0], 1);
    assert_int_equal(bytes_load_u32(rest.pos + 1), bytes_left(&rest) - 1);
    assert_string_equal((const char *)rest.pos + 5, "documents");
    assert_true(bytes_skip(&rest, 15));
    struct list_walk walk;
    list_walk_open(&walk, &(struct document_list){.content = rest});
    while (list_walk_next(&walk, &document))
        count++;
    assert_true(list_walk_is_whole(&walk));
    return count;
}

uint64_t counted(const struct fixture *f, enum merger_counter which)
{
    struct merger_sums sums = {0};
    merger_counters_sum(merger_counters(f->merger), &sums);
    return sums.values[which];
}

uint64_t barred(const struct fixture *f, enum grouping_bar bar)
{
    struct merger_sums sums = {0};
    merger_counters_sum(merger_counters(f->merger), &sums);
    return sums.bars[bar];
}
