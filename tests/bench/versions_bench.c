/* Measures how much older versions and a candidate add to the check of an insert, without sockets.
 *
 *   versions_bench [ROUNDS [VARIANT DOCUMENTS]]
 *
 * Prints nanoseconds a document of each variant, for inserts of 1 and of 100 documents, and the
 * ratio to one version: the median of ratios that are taken within a round, each round measuring
 * all variants. With a variant (0, 1, …) it runs that one alone, for callgrind, whose counts are
 * steadier than time: valgrind --tool=callgrind --toggle-collect=check versions_bench 1000 1 100 */
#include <bson/bson.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "enforce/enforce.h"
#include "rounds.h"

#define FIELDS(more, most)                                                                         \
    "{\"bsonType\":\"object\",\"required\":[\"name\",\"email\",\"age\",\"city\",\"score\","        \
    "\"created_at\"" more                                                                          \
    "],\"properties\":{\"name\":{\"bsonType\":\"string\",\"minLength\":1,\"maxLength\":100},"      \
    "\"email\":{\"bsonType\":\"string\",\"pattern\":\"^[^@ ]+@[^@ ]+$\"},\"age\":{\"bsonType\":"   \
    "\"int\",\"minimum\":0,\"maximum\":" most                                                      \
    "},\"city\":{\"bsonType\":\"string\",\"maxLength\":80},"                                       \
    "\"score\":{\"bsonType\":\"double\",\"minimum\":0},\"created_at\":{\"bsonType\":\"date\"}"     \
    "}}"
#define DOCUMENT                                                                                   \
    "{\"_id\":{\"$oid\":\"0123456789abcdef01234567\"},\"name\":\"Name Surname 7\",\"email\":"      \
    "\"user7@example.org\",\"age\":27,\"city\":\"City 7\",\"score\":8.75,\"created_at\":{"         \
    "\"$date\":\"2024-01-08T00:00:00Z\"}}"
#define FITS   FIELDS("", "150")
#define OTHER  FIELDS("", "120")
#define BREAKS FIELDS(",\"phone\"", "150")

static const struct {
    const char *what;
    const char *file;
} variants[] = {
    {"one version", "{\"ns\":\"d.c\",\"schema\":" FITS "}"},
    {"two, fits the newest",
     "{\"ns\":\"d.c\",\"versions\":[{\"schema\":" FITS "},{\"schema\":" BREAKS "}]}"},
    {"two, until a time", "{\"ns\":\"d.c\",\"versions\":[{\"schema\":" FITS "},{\"schema\":" BREAKS
                          ",\"accepted_until\":{\"$date\":\"2100-01-01T00:00:00Z\"}}]}"},
    {"two, fits the older",
     "{\"ns\":\"d.c\",\"versions\":[{\"schema\":" BREAKS "},{\"schema\":" FITS "}]}"},
    {"a candidate it fits",
     "{\"ns\":\"d.c\",\"schema\":" FITS ",\"candidate\":{\"schema\":" OTHER "}}"},
    {"a candidate it breaks",
     "{\"ns\":\"d.c\",\"schema\":" FITS ",\"candidate\":{\"schema\":" BREAKS "}}"},
};
enum {
    VARIANTS = sizeof variants / sizeof variants[0],
    PAYLOAD_BYTES = 1 << 16,
    ROUND_NS = 400000
};

static struct schema_scratch *scratch;
static struct tally *tally;
static const struct tally_writer writer = {"bench", "none 1.0"};

static void on_refused(void *arg, const struct registry_entry *entry, bool warned, bool silent,
                       const char *reason, struct bytes info)
{
    (void)arg;
    (void)entry;
    (void)warned;
    (void)silent;
    (void)reason;
    (void)info;
}

static uint64_t read_ns(void *arg)
{
    (void)arg;
    return clock_now_ns();
}

static int64_t wall_ms(void *arg)
{
    struct timespec now;
    (void)arg;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct registry *make_registry(const char *file)
{
    struct registry *registry = registry_new();
    struct schema_file parsed;
    struct error err;
    if (registry == NULL || !schema_file_parse(file, strlen(file), NULL, NULL, &parsed, &err) ||
        !registry_put(registry, registry_entry_new(&parsed, REGISTRY_FILE, "bench"))) {
        (void)fprintf(stderr, "versions_bench: %s\n", err.message);
        exit(1);
    }
    return registry;
}

static bson_t *from_json(const char *json)
{
    bson_t *bson = bson_new_from_json((const uint8_t *)json, -1, NULL);
    if (bson == NULL)
        exit(1);
    return bson;
}

/* An insert of so many documents, as a driver sends it. */
static struct bytes write_payload(uint8_t *payload, int documents)
{
    bson_t *body = from_json("{\"insert\":\"c\",\"ordered\":true,\"$db\":\"d\"}");
    bson_t *document = from_json(DOCUMENT);
    size_t len = 5;
    memset(payload, 0, len);
    memcpy(payload + len, bson_get_data(body), body->len);
    len += body->len;
    size_t start = len;
    memcpy(payload + len, "\1....documents", 15);
    for (len += 15; documents > 0; documents--, len += document->len)
        memcpy(payload + len, bson_get_data(document), document->len);
    bytes_store_i32(payload + start + 1, (int32_t)(len - start - 1));
    bson_destroy(body);
    bson_destroy(document);
    return bytes_of(payload, len);
}

static struct enforce_command read_command(struct bytes payload, struct wire_command *parsed)
{
    struct error err;
    if (!wire_command_read_whole(payload, parsed, &err)) {
        (void)fprintf(stderr, "versions_bench: %s\n", err.message);
        exit(1);
    }
    return (struct enforce_command){.parsed = parsed, .max_document_bytes = 16777216};
}

/* A function of its own, so that callgrind can count it alone (--toggle-collect). */
__attribute__((noinline)) static void check(const struct registry *registry,
                                            struct enforce_command *command)
{
    const struct enforce_observer observer = {.refused = on_refused,
                                              .now_ns = read_ns,
                                              .wall_ms = wall_ms,
                                              .tally = tally,
                                              .writer = &writer};
    struct enforce_result result;
    struct error err;
    if (!enforce_concerns(registry, command) ||
        !enforce_check(registry, scratch, command, &observer, &result, &err) ||
        result.outcome != ENFORCE_FORWARD) {
        (void)fprintf(stderr, "versions_bench: a command is not forwarded\n");
        exit(1);
    }
    enforce_result_release(&result);
}

static double measure(const struct registry *registry, struct enforce_command *command,
                      long repeats)
{
    double start = now_ns();
    for (long i = 0; i < repeats; i++)
        check(registry, command);
    return (now_ns() - start) / (double)repeats;
}

static void compare(struct registry **registries, uint8_t *payload, int documents, long rounds)
{
    struct wire_command parsed;
    struct enforce_command command = read_command(write_payload(payload, documents), &parsed);
    double *ratios = calloc((size_t)rounds * VARIANTS, sizeof *ratios);
    double *times = calloc((size_t)rounds * VARIANTS, sizeof *times);
    if (ratios == NULL || times == NULL)
        exit(1);
    tally_pay(tally, UINT64_MAX); /* the state after a candidate has refused many documents */
    tally_earn(tally, UINT64_MAX / 1000000, 0);
    tally_pay(tally, 200000000);
    long repeats = (long)(ROUND_NS / measure(registries[0], &command, 100)) + 1;
    for (long round = 0; round < rounds; round++) {
        double one = 0;
        for (size_t v = 0; v < VARIANTS; v++) {
            double took = measure(registries[v], &command, repeats);
            one = v == 0 ? took : one;
            times[v * (size_t)rounds + (size_t)round] = took / documents;
            ratios[v * (size_t)rounds + (size_t)round] = took / one;
        }
    }
    for (size_t v = 0; v < VARIANTS; v++) {
        qsort(times + v * (size_t)rounds, (size_t)rounds, sizeof *times, compare_doubles);
        qsort(ratios + v * (size_t)rounds, (size_t)rounds, sizeof *ratios, compare_doubles);
        printf("| insert of %d | %s | %.1f ns | %.2f |\n", documents, variants[v].what,
               times[v * (size_t)rounds], ratios[v * (size_t)rounds + (size_t)rounds / 2]);
    }
    free(times);
    free(ratios);
}

int main(int argc, char **argv)
{
    static uint8_t payload[PAYLOAD_BYTES];
    struct registry *registries[VARIANTS];
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 300;
    scratch = schema_scratch_new();
    tally = tally_new();
    if (scratch == NULL || tally == NULL || rounds < 1)
        return 1;
    for (size_t v = 0; v < VARIANTS; v++)
        registries[v] = make_registry(variants[v].file);
    if (argc > 3) {
        size_t v = strtoul(argv[2], NULL, 10) % VARIANTS;
        struct wire_command parsed;
        struct enforce_command command =
            read_command(write_payload(payload, atoi(argv[3])), &parsed);
        printf("%s: %.1f ns\n", variants[v].what, measure(registries[v], &command, rounds));
    } else {
        printf("| command | schemas | a document | to one version |\n|---|---|---|---|\n");
        compare(registries, payload, 1, rounds);
        compare(registries, payload, 100, rounds);
    }
    for (size_t v = 0; v < VARIANTS; v++)
        registry_release(registries[v]);
    tally_free(tally);
    schema_scratch_free(scratch);
    return 0;
}
