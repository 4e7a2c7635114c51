#include "admin/sample.h"

/* A schema that is gone takes its counts along: a sum may go down. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
    return now > before ? (double)(now - before) / seconds : 0;
}

static uint64_t errors_of(const struct metrics_reading *reading)
{
    static const enum counter causes[] = {
        COUNTER_REQUESTS_REFUSED,
        COUNTER_ERRORS_PROTOCOL_CLIENT,
        COUNTER_ERRORS_PROTOCOL_UPSTREAM,
        COUNTER_ERRORS_NETWORK_UPSTREAM,
        COUNTER_ERRORS_MEMORY,
        COUNTER_UPSTREAM_CONNECT_FAILURES,
        COUNTER_TIMEOUTS_CONNECT,
        COUNTER_TIMEOUTS_PAUSED,
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
        sum += reading->counters[causes[i]];
    return sum;
}

static void compare(const struct metrics_reading *before, const struct metrics_reading *now,
                    struct sample *out)
{
    double seconds = (double)(now->at_us - before->at_us) / 1e6;
    struct histogram_totals since;
    const uint64_t *was = before->counters;
    const uint64_t *is = now->counters;
    out->requests = rate(is[COUNTER_REQUESTS], was[COUNTER_REQUESTS], seconds);
    out->replies = rate(is[COUNTER_REPLIES], was[COUNTER_REPLIES], seconds);
    out->request_bytes = rate(is[COUNTER_REQUEST_BYTES], was[COUNTER_REQUEST_BYTES], seconds);
    out->reply_bytes = rate(is[COUNTER_REPLY_BYTES], was[COUNTER_REPLY_BYTES], seconds);
    out->errors = rate(errors_of(now), errors_of(before), seconds);
    out->passed = rate(now->passed, before->passed, seconds);
    out->refused = rate(now->refused, before->refused, seconds);
    out->warned = rate(now->warned, before->warned, seconds);
    histogram_subtract(&now->upstream_us, &before->upstream_us, &since);
    out->latency_p50_ms = histogram_quantile(&since, 0.50) / 1000;
    out->latency_p95_ms = histogram_quantile(&since, 0.95) / 1000;
    out->latency_p99_ms = histogram_quantile(&since, 0.99) / 1000;
    histogram_subtract(&now->batch_documents, &before->batch_documents, &since);
    out->batches = (double)since.count / seconds;
    out->batch_documents = since.count > 0 ? (double)since.sum / (double)since.count : 0;
}

void samples_take(struct samples *samples, const struct metrics_reading *reading, int64_t unix_ms)
{
    if (samples->last.at_us != 0 && reading->at_us > samples->last.at_us) {
        struct sample *sample = &samples->kept[samples->count++ % SAMPLES_KEPT];
        *sample = (struct sample){.at_ms = unix_ms,
                                  .clients = reading->counters[COUNTER_CLIENTS_NOW],
                                  .running = reading->running,
                                  .waiting = reading->waiting};
        compare(&samples->last, reading, sample);
    }
    samples->last = *reading;
}

const struct sample *samples_newest(const struct samples *samples)
{
    return samples->count == 0 ? NULL : &samples->kept[(samples->count - 1) % SAMPLES_KEPT];
}

/* X(name, precision): the columns but for the time. */
#define SAMPLE_REALS(X)                                                                            \
    X(requests, 1)                                                                                 \
    X(replies, 1)                                                                                  \
    X(request_bytes, 0)                                                                            \
    X(reply_bytes, 0)                                                                              \
    X(errors, 2)                                                                                   \
    X(passed, 1)                                                                                   \
    X(refused, 2)                                                                                  \
    X(warned, 2)                                                                                   \
    X(latency_p50_ms, 3)                                                                           \
    X(latency_p95_ms, 3)                                                                           \
    X(latency_p99_ms, 3)                                                                           \
    X(batches, 1)                                                                                  \
    X(batch_documents, 2)
#define SAMPLE_COUNTS(X) X(clients) X(running) X(waiting)

void samples_write(const struct samples *samples, int64_t after_ms, const char *name,
                   struct json *json)
{
    size_t first = samples->count > SAMPLES_KEPT ? samples->count - SAMPLES_KEPT : 0;
    json_open_object(json, name);
    json_open_array(json, "columns");
    json_add_string(json, NULL, "at_ms");
#define ADD_NAME(name, ...) json_add_string(json, NULL, #name);
    SAMPLE_REALS(ADD_NAME)
    SAMPLE_COUNTS(ADD_NAME)
#undef ADD_NAME
    json_close_array(json);
    json_open_array(json, "rows");
    for (size_t i = first; i < samples->count; i++) {
        const struct sample *sample = &samples->kept[i % SAMPLES_KEPT];
        if (sample->at_ms <= after_ms)
            continue;
        json_open_array(json, NULL);
        json_add_int(json, NULL, sample->at_ms);
#define ADD_REAL(name, precision) json_add_real(json, NULL, sample->name, precision);
#define ADD_COUNT(name)           json_add_uint(json, NULL, sample->name);
        SAMPLE_REALS(ADD_REAL)
        SAMPLE_COUNTS(ADD_COUNT)
#undef ADD_REAL
#undef ADD_COUNT
        json_close_array(json);
    }
    json_close_array(json);
    json_close_object(json);
}

void sample_write(const struct sample *sample, const char *name, struct json *json)
{
    if (sample == NULL) {
        json_add_null(json, name);
        return;
    }
    json_open_object(json, name);
    json_add_int(json, "at_ms", sample->at_ms);
#define ADD_REAL(name, precision) json_add_real(json, #name, sample->name, precision);
#define ADD_COUNT(name)           json_add_uint(json, #name, sample->name);
    SAMPLE_REALS(ADD_REAL)
    SAMPLE_COUNTS(ADD_COUNT)
#undef ADD_REAL
#undef ADD_COUNT
    json_close_object(json);
}
