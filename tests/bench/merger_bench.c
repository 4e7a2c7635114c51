/* Nanoseconds an insert of merging on one core, without sockets: reading the command, waiting for a
 * batch, building the merged command, and splitting the replies.
 *
 *   merger_bench [ROUNDS]
 *
 * Prints one line of JSON for each batch size, with the fastest and the median round; "at once" is
 * the cost of an insert that is not merged. The inserts are as a driver sends them to a replica
 * set, their document of about 200 bytes. */
#include <stdio.h>
#include <stdlib.h>

#include <bson/bson.h>

#include "base/memory.h"
#include "merge/merger.h"
#include "rounds.h"

enum { CLIENTS = 1000, PAYLOAD_MAX = 1024, BATCHES_A_ROUND = 20 };

static uint8_t payloads[CLIENTS][PAYLOAD_MAX];
static size_t lengths[CLIENTS];
static size_t number_at; /* of the txnNumber's value in a payload */
static uint8_t identity[RETRY_IDENTITY_BYTES];
static const struct grouping_limits limits = {16 << 20, CLIENTS, 16 << 20,
                                              GROUPING_COMMENTS_TRACEPARENT};
static const struct merger_rules rules = {.enabled = true,
                                          .max_docs = CLIENTS,
                                          .max_bytes = 16 << 20,
                                          .max_in_flight = 1,
                                          .max_waiters = CLIENTS,
                                          .max_waiters_total = CLIENTS};
static const struct merger_origin origin = {identity, "127.0.0.1:27017", 1, MERGER_CERTAIN};
static size_t answered;

static bool fill(void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)rand();
    return true;
}

static void append_body(bson_t *body, const uint8_t *lsid)
{
    bson_t child;
    bson_t time;
    BSON_APPEND_UTF8(body, "insert", "orders");
    BSON_APPEND_BOOL(body, "ordered", true);
    BSON_APPEND_DOCUMENT_BEGIN(body, "lsid", &child);
    BSON_APPEND_BINARY(&child, "id", BSON_SUBTYPE_UUID, lsid, 16);
    bson_append_document_end(body, &child);
    BSON_APPEND_INT64(body, "txnNumber", 0x1234567890);
    BSON_APPEND_DOCUMENT_BEGIN(body, "$clusterTime", &child);
    BSON_APPEND_TIMESTAMP(&child, "clusterTime", 5, 1);
    BSON_APPEND_DOCUMENT_BEGIN(&child, "signature", &time);
    BSON_APPEND_BINARY(&time, "hash", BSON_SUBTYPE_BINARY, lsid, 16);
    BSON_APPEND_INT64(&time, "keyId", 1);
    bson_append_document_end(&child, &time);
    bson_append_document_end(body, &child);
    BSON_APPEND_UTF8(body, "$db", "shop");
}

static void make_payload(size_t client)
{
    static const char text[] = "a text of some length, as documents have them in their fields";
    bson_t body = BSON_INITIALIZER;
    bson_t document = BSON_INITIALIZER;
    uint8_t lsid[16];
    bson_oid_t oid;
    uint8_t *at = payloads[client];
    (void)fill(lsid, sizeof lsid);
    append_body(&body, lsid);
    bson_oid_init(&oid, NULL);
    BSON_APPEND_OID(&document, "_id", &oid);
    BSON_APPEND_UTF8(&document, "customer", text);
    BSON_APPEND_UTF8(&document, "article", text);
    BSON_APPEND_INT32(&document, "count", 5);
    BSON_APPEND_DOUBLE(&document, "price", 9.5);
    memcpy(at + 5, bson_get_data(&body), body.len);
    at += 5 + body.len;
    *at++ = 1;
    bytes_store_i32(at, (int32_t)(14 + document.len));
    memcpy(at + 4, "documents", 10);
    memcpy(at + 14, bson_get_data(&document), document.len);
    lengths[client] = (size_t)(at + 14 + document.len - payloads[client]);
    bson_destroy(&body);
    bson_destroy(&document);
}

static void set_number(size_t client, int64_t number)
{
    bytes_store_i32(payloads[client] + number_at, (int32_t)number);
    bytes_store_i32(payloads[client] + number_at + 4, 0);
}

static enum merger_outcome submit(struct merger *merger, size_t client,
                                  struct merger_answer *answer)
{
    struct wire_command command;
    struct merger_insert insert;
    struct retry_listener none = {0};
    if (!wire_command_read_whole(bytes_of(payloads[client], lengths[client]), &command, NULL))
        abort();
    grouping_classify(&command, &limits, &insert);
    struct merger_request request = {.rules = &rules,
                                     .origin = &origin,
                                     .insert = &insert,
                                     .waiter = payloads[client],
                                     .listener = &none,
                                     .now_us = 1};
    return merger_submit(merger, &request, answer);
}

static void count(void *arg, void *waiter, struct bytes reply)
{
    (void)arg;
    answered += waiter != NULL && bytes_left(&reply) > 0;
}

static void answer_batch(struct merger *merger, struct batch *batch)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    bson_t reply = BSON_INITIALIZER;
    BSON_APPEND_INT32(&reply, "n", (int32_t)batch_inserts(batch));
    BSON_APPEND_TIMESTAMP(&reply, "opTime", 5, 1);
    BSON_APPEND_DOUBLE(&reply, "ok", 1.0);
    BSON_APPEND_TIMESTAMP(&reply, "operationTime", 5, 1);
    if (!batch_build(batch, NULL, &payload, &len) ||
        batch_answer(merger, batch, bytes_of(bson_get_data(&reply), reply.len), count, NULL, 1) !=
            BATCH_ANSWERED)
        abort();
    memory_free(payload);
    bson_destroy(&reply);
    batch_end(merger, batch, 1);
}

/* One insert goes at once, `size` others wait for the batch and go. */
static void run_batch(struct merger *merger, size_t size, int64_t number)
{
    struct merger_answer answer;
    set_number(0, number);
    if (submit(merger, 0, &answer) != MERGER_GO)
        abort();
    struct merger_permit *permit = answer.permit;
    for (size_t i = 1; i <= size; i++) {
        set_number(i, number);
        (void)submit(merger, i, &answer);
    }
    merger_finished(merger, permit, 1);
    struct batch *batch = merger_take(merger, 1);
    if (batch != NULL)
        answer_batch(merger, batch);
}

static void measure(struct merger *merger, size_t size, int rounds, int64_t *number, double *times)
{
    answered = 0;
    for (int round = 0; round < rounds; round++) {
        double start = now_ns();
        for (int i = 0; i < BATCHES_A_ROUND; i++)
            run_batch(merger, size, ++*number);
        times[round] = (now_ns() - start) / BATCHES_A_ROUND / (double)(size + 1);
    }
    qsort(times, (size_t)rounds, sizeof *times, compare_doubles);
    printf("{\"batch\": %zu, \"ns\": %.0f, \"median_ns\": %.0f, \"answered\": %zu}\n", size,
           times[0], times[rounds / 2], answered);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {0, 2, 8, 64, 256, CLIENTS - 1};
    int rounds = argc > 1 ? atoi(argv[1]) : 100;
    double *times = malloc(sizeof(double) * (size_t)(rounds > 0 ? rounds : 1));
    struct retry_table *table = retry_table_create(64 << 20);
    struct merger *merger = merger_create(table, fill);
    int64_t number = 1;
    if (rounds < 1 || times == NULL || table == NULL || merger == NULL) {
        (void)fprintf(stderr, "usage: %s [ROUNDS]\n", argv[0]);
        free(times);
        return 2;
    }
    for (size_t i = 0; i < CLIENTS; i++)
        make_payload(i);
    uint8_t wanted[8];
    bytes_store_i32(wanted, 0x34567890);
    bytes_store_i32(wanted + 4, 0x12);
    number_at = (size_t)((uint8_t *)memmem(payloads[0], lengths[0], wanted, 8) - payloads[0]);
    run_batch(merger, CLIENTS - 1, number); /* from now on all sessions are known */
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        measure(merger, sizes[i], rounds, &number, times);
    merger_destroy(merger);
    retry_table_destroy(table);
    free(times);
    return 0;
}
