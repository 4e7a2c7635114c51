/* Random versions, documents and updates: several versions together give the verdict of the single
 * versions combined, and each prediction about an update holds for its result. SLUICE_CASES: number
 * of cases; SLUICE_SEED: the seed. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

enum { VERSIONS = 3, DOCUMENTS = 6, FIELDS = 3, TEXT_BYTES = 8192 };

static const char *const fields[FIELDS] = {"a", "b", "c"};
static uint64_t random_state;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(random_state >> 33) % n;
}

/* --- random input --- */

/* A value of a field, or of the one that an update sets: as JSON. */
static const char *random_value(void)
{
    static const char *const values[] = {"0",      "1",   "2",    "3",  "\"x\"",
                                         "\"yy\"", "1.5", "null", "[1]"};
    return values[random_below(sizeof values / sizeof values[0])];
}

static const char *random_rule(void)
{
    static const char *const rules[] = {"{}",
                                        "{\"bsonType\":\"int\"}",
                                        "{\"bsonType\":\"int\",\"maximum\":1}",
                                        "{\"minimum\":2}",
                                        "{\"bsonType\":\"string\",\"maxLength\":1}",
                                        "{\"enum\":[1,\"x\"]}",
                                        "{\"bsonType\":[\"int\",\"null\"]}",
                                        "{\"not\":{\"bsonType\":\"string\"}}"};
    return rules[random_below(sizeof rules / sizeof rules[0])];
}

static void add(char *text, const char *more)
{
    size_t len = strlen(text);
    assert_true(len + strlen(more) < TEXT_BYTES);
    (void)strcpy(text + len, more);
}

static void add_named(char *text, bool *first, const char *name, const char *value)
{
    add(text, *first ? "" : ",");
    add(text, "\"");
    add(text, name);
    add(text, "\":");
    add(text, value);
    *first = false;
}

static void add_schema(char *text, unsigned number)
{
    char title[32];
    bool first = true;
    (void)snprintf(title, sizeof title, "{\"title\":\"%u\"", number); /* no two are the same */
    add(text, title);
    if (random_below(2) == 0) {
        add(text, ",\"required\":[\"");
        add(text, fields[random_below(FIELDS)]);
        add(text, "\"]");
    }
    if (random_below(4) == 0)
        add(text, random_below(2) == 0 ? ",\"maxProperties\":3" : ",\"minProperties\":3");
    if (random_below(3) == 0)
        add(text, ",\"additionalProperties\":false");
    add(text, ",\"properties\":{\"_id\":{}");
    first = false;
    for (int i = 0; i < FIELDS; i++)
        if (random_below(3) > 0)
            add_named(text, &first, fields[i], random_rule());
    add(text, "}}");
}

static void make_file(char *text, unsigned versions, bool reject)
{
    (void)strcpy(text, reject ? "{\"ns\":\"d.c\",\"unproved\":\"reject\",\"versions\":["
                              : "{\"ns\":\"d.c\",\"versions\":[");
    for (unsigned i = 0; i < versions; i++) {
        add(text, i == 0 ? "{\"schema\":" : ",{\"schema\":");
        add_schema(text, i);
        add(text, "}");
    }
    add(text, "],\"candidate\":{\"schema\":");
    add_schema(text, versions);
    add(text, "}}");
}

/* NULL: the document has no such field. */
struct flat {
    const char *values[FIELDS];
};

static struct flat random_flat(void)
{
    struct flat flat = {{NULL}};
    for (int i = 0; i < FIELDS; i++)
        if (random_below(3) > 0)
            flat.values[i] = random_value();
    return flat;
}

static void add_flat(char *text, const struct flat *flat)
{
    bool first = false;
    add(text, "{\"_id\":1");
    for (int i = 0; i < FIELDS; i++)
        if (flat->values[i] != NULL)
            add_named(text, &first, fields[i], flat->values[i]);
    add(text, "}");
}

/* --- verdicts of single schemas --- */

static bool satisfies(const struct fixture *f, const struct schema_version *version,
                      const struct flat *flat)
{
    char text[TEXT_BYTES] = "";
    struct error err;
    add_flat(text, flat);
    bson_t *bson = support_json(text);
    enum schema_verdict verdict =
        schema_check(version->schema, f->scratch, support_bytes(bson), &err);
    bson_destroy(bson);
    return verdict == SCHEMA_VALID;
}

static bool is_accepted(const struct fixture *f, const struct flat *flat)
{
    const struct schema_file *file = &registry_find(f->registry, "d.c", 3)->file;
    for (size_t i = 0; i < file->version_count; i++)
        if (satisfies(f, &file->versions[i], flat))
            return true;
    return false;
}

static const struct schema_version *candidate_of(const struct fixture *f)
{
    return &registry_find(f->registry, "d.c", 3)->file.candidate;
}

static void tried(const struct fixture *f, uint64_t counts[TALLY_COUNTS])
{
    memset(counts, 0, TALLY_COUNTS * sizeof *counts);
    tally_sum(f->tally, registry_find(f->registry, "d.c", 3), candidate_of(f), counts);
}

static void open_random(struct fixture *f, bool reject)
{
    char text[TEXT_BYTES];
    make_file(text, 1 + random_below(VERSIONS), reject);
    fixture_open(f, text);
    f->tally = tally_new();
    assert_non_null(f->tally);
}

static void close_random(struct fixture *f)
{
    tally_free(f->tally);
    fixture_close(f);
}

/* --- inserts --- */

static void try_inserts(void)
{
    struct fixture f;
    char text[TEXT_BYTES] = "[";
    uint64_t counts[TALLY_COUNTS];
    uint64_t accepted = 0;
    uint64_t passed = 0;
    open_random(&f, false);
    for (int i = 0; i < DOCUMENTS; i++) {
        struct flat flat = random_flat();
        add(text, i == 0 ? "" : ",");
        add_flat(text, &flat);
        bool good = is_accepted(&f, &flat);
        accepted += good;
        passed += good && satisfies(&f, candidate_of(&f), &flat);
    }
    add(text, "]");
    struct support_message m = {.body = "{\"insert\":\"c\",\"ordered\":false,\"$db\":\"d\"}",
                                .name = "documents",
                                .documents = text};
    assert_true(fixture_check(&f, &m));
    fixture_counted(&f, REGISTRY_PASSED, accepted);
    fixture_counted(&f, REGISTRY_REFUSED, DOCUMENTS - accepted);
    assert_int_equal(f.result.outcome, accepted == DOCUMENTS ? ENFORCE_FORWARD
                                       : accepted == 0       ? ENFORCE_ANSWER
                                                             : ENFORCE_REPLACE);
    tried(&f, counts);
    assert_int_equal(counts[TALLY_PASSED], passed);
    assert_int_equal(counts[TALLY_REFUSED], accepted - passed);
    assert_int_equal(counts[TALLY_UNDECIDED], 0);
    close_random(&f);
}

/* --- updates --- */

/* Writes an update of one or two fields, and makes it. */
static void random_update(char *text, struct flat *flat)
{
    int field = (int)random_below(FIELDS);
    int other = (field + 1 + (int)random_below(FIELDS - 1)) % FIELDS;
    bool first = true;
    (void)strcpy(text, "[{\"q\":{\"_id\":1},\"u\":{");
    if (random_below(3) > 0) {
        const char *value = random_value();
        add(text, "\"$set\":{");
        add_named(text, &first, fields[field], value);
        flat->values[field] = value;
        if (random_below(3) == 0) {
            value = random_value();
            add_named(text, &first, fields[other], value);
            flat->values[other] = value;
        }
        add(text, "}");
    } else {
        add(text, "\"$unset\":{");
        add_named(text, &first, fields[field], "1");
        add(text, "}");
        flat->values[field] = NULL;
    }
    add(text, "}}]");
}

static unsigned told[3]; /* passed, wrong, unproved */

/* A stored document of any accepted version: a passed update keeps it accepted, and an update that
 * was refused as wrong would be refused for any document. */
static void try_update(void)
{
    struct fixture f;
    char text[TEXT_BYTES];
    uint64_t counts[TALLY_COUNTS];
    struct flat flat = random_flat();
    open_random(&f, true);
    bool stored = is_accepted(&f, &flat);
    bool was = satisfies(&f, candidate_of(&f), &flat);
    random_update(text, &flat);
    struct support_message m = {
        .body = "{\"update\":\"c\",\"$db\":\"d\"}", .name = "updates", .documents = text};
    assert_true(fixture_check(&f, &m));
    const _Atomic uint64_t *stats = registry_find(f.registry, "d.c", 3)->stats->counts;
    bool good = is_accepted(&f, &flat);
    bool passed = stats[REGISTRY_PASSED] == 1;
    bool unproved = stats[REGISTRY_UNPROVED_REJECTED] == 1;
    if (stored && passed && !good)
        fail_msg("passed, and breaks every version: %s", text);
    if (!passed && !unproved && good)
        fail_msg("refused, and satisfies a version: %s", text);
    told[passed ? 0 : unproved ? 2 : 1]++;
    tried(&f, counts);
    bool is = satisfies(&f, candidate_of(&f), &flat);
    assert_int_equal(counts[0] + counts[1] + counts[2], passed);
    assert_false(was && !is && counts[TALLY_PASSED] == 1);
    assert_false(is && counts[TALLY_REFUSED] == 1);
    close_random(&f);
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

static void test_random(void **state)
{
    (void)state;
    unsigned long cases = from_environment("SLUICE_CASES", 4000);
    unsigned long seed = from_environment("SLUICE_SEED", 1);
    for (unsigned long i = 0; i < cases; i++) {
        random_state = (seed << 32) + i * 2654435761U;
        (void)random_below(2);
        try_inserts();
        try_update();
    }
    /* each of them is really met */
    for (int i = 0; i < 3; i++)
        assert_true(told[i] > cases / 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
