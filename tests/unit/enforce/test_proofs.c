/* Random schemas, documents and updates: each prediction about an update holds after the update.
 * Passed: a valid document stays valid, and an upsert inserts a valid one. Refused: the result is
 * refused too, unless the update changes nothing or cannot be applied. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

enum { SCHEMAS = 6000, UPDATES = 8, FIELDS = 6, TREES = 64, TEXT = 1024 };

/* A value: JSON of a scalar or array, or an object of fields with one-letter names. */
struct tree {
    const char *text; /* NULL: an object */
    size_t count;
    char names[FIELDS];
    struct tree *values[FIELDS];
};

struct world {
    uint64_t random;
    struct tree trees[TREES];
    size_t used;
    char texts[TREES][64];
    size_t texts_used;
};

static unsigned pick(struct world *w, unsigned below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned)((w->random >> 11) % below);
}

static struct tree *new_tree(struct world *w, const char *text)
{
    assert_true(w->used < TREES);
    struct tree *t = &w->trees[w->used++];
    *t = (struct tree){.text = text};
    return t;
}

static const char *const scalars[] = {"1",    "2",   "5",       "1.5",   "\"s\"", "\"long\"",
                                      "null", "[1]", "[\"s\"]", "[1,1]", "[]",    "true"};

static struct tree *random_value(struct world *w, unsigned depth)
{
    if (depth == 0 || pick(w, 4) > 0)
        return new_tree(w, scalars[pick(w, sizeof scalars / sizeof scalars[0])]);
    struct tree *t = new_tree(w, NULL);
    for (size_t i = pick(w, 3); i > 0; i--) {
        t->names[t->count] = "xyab"[i];
        t->values[t->count++] = random_value(w, depth - 1);
    }
    return t;
}

static struct tree *random_document(struct world *w)
{
    struct tree *t = new_tree(w, NULL);
    for (size_t i = 0; i < 3; i++) {
        if (pick(w, 4) == 0)
            continue;
        t->names[t->count] = "abs"[i];
        t->values[t->count++] = random_value(w, 1);
    }
    return t;
}

static void print(const struct tree *t, char *out, size_t size)
{
    size_t len = strlen(out);
    if (t->text != NULL) {
        (void)snprintf(out + len, size - len, "%s", t->text);
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        len = strlen(out);
        (void)snprintf(out + len, size - len, "%s\"%c\":", i == 0 ? "{" : ",", t->names[i]);
        print(t->values[i], out, size);
    }
    len = strlen(out);
    (void)snprintf(out + len, size - len, t->count == 0 ? "{}" : "}");
}

static struct tree *copy(struct world *w, const struct tree *t)
{
    struct tree *c = new_tree(w, t->text);
    c->count = t->count;
    memcpy(c->names, t->names, sizeof c->names);
    for (size_t i = 0; i < t->count; i++)
        c->values[i] = copy(w, t->values[i]);
    return c;
}

/* --- schemas --- */

static const char *const rules[] = {
    "{\"bsonType\":\"int\"}",
    "{\"bsonType\":\"string\",\"maxLength\":2}",
    "{\"bsonType\":[\"int\",\"double\"]}",
    "{\"minimum\":2}",
    "{\"enum\":[1,\"s\",{\"x\":1}]}",
    "{\"bsonType\":\"array\",\"items\":{\"bsonType\":\"int\"}}",
    "{\"bsonType\":\"array\",\"uniqueItems\":true,\"maxItems\":1}",
    "{\"not\":{\"bsonType\":\"int\"}}",
    "{\"anyOf\":[{\"bsonType\":\"int\"},{\"bsonType\":\"object\",\"required\":[\"x\"]}]}",
    "{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}",
    "{\"bsonType\":\"object\"}",
    "{\"bsonType\":\"object\",\"required\":[\"x\"],\"properties\":{\"x\":{\"bsonType\":\"int\"}}}",
    "{\"properties\":{\"x\":{\"bsonType\":\"string\"}},\"additionalProperties\":false}",
    "{\"bsonType\":\"object\",\"maxProperties\":1,\"minProperties\":1}",
    "{\"bsonType\":\"object\",\"patternProperties\":{\"^x\":{\"bsonType\":\"int\"}}}",
    "{\"dependencies\":{\"x\":[\"y\"]},\"additionalProperties\":{\"bsonType\":\"int\"}}",
    "{}",
    "{\"description\":\"anything\"}",
    "{\"bsonType\":[\"int\",\"string\",\"object\",\"array\"]}",
    "{\"properties\":{\"x\":{\"bsonType\":[\"int\",\"string\"]}}}",
    "{\"maximum\":100}",
};

static const char *const wholes[] = {
    "",
    "",
    "",
    ",\"additionalProperties\":false",
    ",\"additionalProperties\":{\"bsonType\":\"int\"}",
    ",\"maxProperties\":3",
    ",\"minProperties\":3",
    ",\"anyOf\":[{\"required\":[\"a\"]},{\"properties\":{\"b\":{\"bsonType\":\"int\"}}}]",
    ",\"dependencies\":{\"a\":[\"b\"]}",
    ",\"not\":{\"required\":[\"s\"]}",
    ",\"allOf\":[{\"required\":[\"b\"]},{\"properties\":{\"a\":{\"bsonType\":\"int\"}}}]",
    ",\"patternProperties\":{\"a|s\":{\"bsonType\":[\"int\",\"object\"]}}",
};

static void random_schema(struct world *w, char *out, size_t size)
{
    static const char *const required[] = {"", "\"required\":[\"a\"],",
                                           "\"required\":[\"b\",\"s\"],"};
    unsigned count = sizeof rules / sizeof rules[0];
    (void)snprintf(out, size,
                   "{\"ns\":\"d.c\",\"schema\":{%s\"properties\":{\"_id\":{},\"a\":%s,\"b\":%s,"
                   "\"s\":%s}%s}}",
                   required[pick(w, 3)], rules[pick(w, count)], rules[pick(w, count)],
                   rules[pick(w, count)], wholes[pick(w, sizeof wholes / sizeof wholes[0])]);
}

static bool is_valid(struct fixture *f, const struct tree *document)
{
    char text[TEXT] = "";
    struct error err;
    print(document, text, sizeof text);
    bson_t *fields = support_json(text);
    bson_t bson = BSON_INITIALIZER;
    BSON_APPEND_INT32(&bson, "_id", 1);
    (void)bson_concat(&bson, fields);
    enum schema_verdict verdict =
        schema_check(schema_file_newest(&registry_find(f->registry, "d.c", 3)->file), f->scratch,
                     support_bytes(&bson), &err);
    bson_destroy(fields);
    bson_destroy(&bson);
    return verdict == SCHEMA_VALID;
}

/* --- updates --- */

struct operation {
    const char *name;
    char path[4]; /* "a" or "a.x" */
    struct tree *value;
};

static struct operation random_operation(struct world *w, char field)
{
    static const char *const names[] = {"$set", "$set", "$unset", "$inc", "$push", "$setOnInsert"};
    struct operation op = {.name = names[pick(w, 6)], .value = random_value(w, 1)};
    bool nested = pick(w, 3) == 0;
    op.path[0] = field;
    op.path[1] = nested ? '.' : 0;
    op.path[2] = nested ? "xy"[pick(w, 2)] : 0;
    if (strcmp(op.name, "$inc") == 0)
        op.value = new_tree(w, pick(w, 2) == 0 ? "1" : "1.5");
    return op;
}

static size_t place_of(const struct tree *t, char name)
{
    size_t i = 0;
    while (i < t->count && t->names[i] != name)
        i++;
    return i;
}

static void put(struct tree *t, size_t place, char name, struct tree *value)
{
    if (place == t->count)
        t->count++;
    t->names[place] = name;
    t->values[place] = value;
}

static struct tree *text_tree(struct world *w, const char *format, const char *first, int len,
                              const char *second)
{
    char *text = w->texts[w->texts_used++ % TREES];
    (void)snprintf(text, sizeof w->texts[0], format, len, first, second);
    return new_tree(w, text);
}

/* Applies $inc or $push to a value (NULL: no value). NULL: the server refuses it. */
static struct tree *combined(struct world *w, const struct operation *op, const struct tree *old)
{
    char value[48] = "";
    print(op->value, value, sizeof value);
    if (strcmp(op->name, "$inc") == 0) {
        if (old == NULL)
            return op->value;
        if (old->text == NULL || old->text[0] < '0' || old->text[0] > '9')
            return NULL;
        bool real = strchr(old->text, '.') != NULL || strchr(value, '.') != NULL;
        char sum[32];
        (void)snprintf(sum, sizeof sum, real ? "%.1f" : "%.0f", atof(old->text) + atof(value));
        return text_tree(w, "%.*s%s", sum, 32, "");
    }
    if (old == NULL)
        return text_tree(w, "[%.*s%s]", value, 40, "");
    if (old->text == NULL || old->text[0] != '[')
        return NULL;
    char items[64] = "";
    (void)snprintf(items, sizeof items, "%s%s]", old->text[1] == ']' ? "" : ",", value);
    return text_tree(w, "%.*s%s", old->text, (int)strlen(old->text) - 1, items);
}

/* False where the server refuses the update. */
static bool apply(struct world *w, struct tree *document, const struct operation *op, bool insert)
{
    struct tree *in = document;
    char name = op->path[0];
    bool unset = strcmp(op->name, "$unset") == 0;
    if (strcmp(op->name, "$setOnInsert") == 0 && !insert)
        return true;
    if (op->path[1] == '.') {
        size_t place = place_of(in, name);
        if (place == in->count && unset)
            return true;
        if (place == in->count)
            put(in, place, name, new_tree(w, NULL));
        in = in->values[place];
        name = op->path[2];
        if (in->text != NULL)
            return unset;
    }
    size_t place = place_of(in, name);
    if (unset && place < in->count) {
        in->count--;
        memmove(&in->names[place], &in->names[place + 1], in->count - place);
        memmove(&in->values[place], &in->values[place + 1],
                (in->count - place) * sizeof in->values[0]);
    }
    if (unset)
        return true;
    struct tree *value = op->value;
    if (strcmp(op->name, "$inc") == 0 || strcmp(op->name, "$push") == 0)
        value = combined(w, op, place == in->count ? NULL : in->values[place]);
    if (value == NULL || in->count == FIELDS)
        return false;
    put(in, place, name, value);
    return true;
}

static void print_update(const struct operation ops[2], const struct tree *query, bool upsert,
                         char *out, size_t size)
{
    (void)snprintf(out, size, "[{\"upsert\":%s,\"q\":", upsert ? "true" : "false");
    print(query, out, size);
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(out);
        (void)snprintf(out + len, size - len, "%s\"%s\":{\"%s\":", i == 0 ? ",\"u\":{" : "},",
                       ops[i].name, ops[i].path);
        print(ops[i].value, out, size);
    }
    size_t len = strlen(out);
    (void)snprintf(out + len, size - len, "}}}]");
}

struct outcome {
    bool applied;
    bool valid;
    bool changed;
};

static struct outcome run(struct world *w, struct fixture *f, const struct tree *from,
                          const struct operation ops[2], bool insert)
{
    char before[TEXT] = "";
    char after[TEXT] = "";
    struct tree *document = copy(w, from);
    print(document, before, sizeof before);
    struct outcome o = {.applied = apply(w, document, &ops[0], insert) &&
                                   apply(w, document, &ops[1], insert)};
    print(document, after, sizeof after);
    o.valid = o.applied && is_valid(f, document);
    o.changed = strcmp(before, after) != 0;
    return o;
}

static uint64_t counted(struct fixture *f, enum registry_count which)
{
    return registry_find(f->registry, "d.c", 3)->stats->counts[which];
}

static void check_update(struct world *w, struct fixture *f, const char *schema, unsigned tally[5])
{
    char updates[TEXT];
    w->used = 0;
    struct tree *stored = random_document(w);
    struct tree *query = new_tree(w, NULL);
    bool upsert = pick(w, 3) == 0;
    unsigned first = pick(w, 3);
    struct operation ops[2] = {random_operation(w, "abs"[first]),
                               random_operation(w, "abs"[(first + 1) % 3])};
    if (strcmp(ops[0].name, ops[1].name) == 0)
        return; /* one operator would stand twice */
    if (upsert && pick(w, 2) == 0)
        put(query, 0, "abs"[(first + 2) % 3], random_value(w, 0));
    print_update(ops, query, upsert, updates, sizeof updates);
    struct support_message m = {
        .body = "{\"update\":\"c\"}", .name = "updates", .documents = updates};
    uint64_t passed = counted(f, REGISTRY_PASSED);
    assert_true(fixture_check(f, &m));
    passed = counted(f, REGISTRY_PASSED) - passed;
    bool refused = f->result.outcome == ENFORCE_ANSWER;
    bool was_valid = is_valid(f, stored);
    struct outcome changed = run(w, f, stored, ops, false);
    struct outcome inserted = run(w, f, query, ops, true);
    tally[refused ? 0 : passed ? 1 : 2]++;
    tally[3] += passed && was_valid && changed.applied && changed.changed;
    tally[4] += refused && changed.applied && changed.changed;
    bool wrong = refused && ((changed.valid && changed.changed) || (upsert && inserted.valid));
    wrong = wrong || (passed && was_valid && changed.applied && !changed.valid);
    wrong = wrong || (passed && upsert && inserted.applied && !inserted.valid);
    if (wrong) {
        char before[TEXT] = "";
        print(stored, before, sizeof before);
        fail_msg("%s: %s of %s under %s", refused ? "refused" : "passed", updates, before, schema);
    }
}

static void test_what_is_said_holds(void **state)
{
    (void)state;
    struct world *w = memory_zalloc(sizeof *w);
    unsigned tally[5] = {0};
    for (unsigned i = 1; i <= SCHEMAS; i++) {
        char schema[2 * TEXT];
        struct fixture f;
        w->random = i * 0x9E3779B97F4A7C15U;
        random_schema(w, schema, sizeof schema);
        fixture_open(&f, schema);
        for (unsigned u = 0; u < UPDATES; u++)
            check_update(w, &f, schema, tally);
        fixture_close(&f);
    }
    print_message(
        "%u updates refused (%u of them change the document), %u passed (%u of them change "
        "a valid one), %u open\n",
        tally[0], tally[4], tally[1], tally[3], tally[2]);
    for (size_t i = 0; i < 5; i++)
        assert_true(tally[i] > 200);
    memory_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_said_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
