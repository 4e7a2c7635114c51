/* The set of schemas: look-up, replacement, sharing between sets, counters and last refusals. */
#include "../enforce/support.h"

#include <stdio.h>

#include "base/memory.h"

static struct registry_entry *entry_of(const char *ns, enum registry_origin origin)
{
    char text[256];
    (void)snprintf(text, sizeof text, "{\"ns\":\"%s\",\"schema\":{\"required\":[\"a\"]}}", ns);
    return support_entry(text, origin);
}

static const struct registry_entry *find(const struct registry *registry, const char *ns)
{
    return registry_find(registry, ns, strlen(ns));
}

static void test_empty(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    assert_int_equal(registry_size(NULL), 0);
    assert_null(find(NULL, "a.b"));
    assert_int_equal(registry_size(registry), 0);
    assert_null(find(registry, "a.b"));
    assert_false(registry_remove(registry, "a.b", 3, REGISTRY_FILE));
    registry_each(registry, NULL, NULL);
    registry_release(registry);
    registry_release(NULL);
}

static void test_left_out(void **state)
{
    (void)state;
    size_t count = 0;
    struct registry *registry = registry_new();
    assert_null(registry_left_out(NULL, &count));
    assert_int_equal(count, 0);
    assert_null(registry_find_left_out(NULL, "a.b"));
    const char *const names[] = {"s.m", "s.a", "s.z", "s.m"};
    for (size_t i = 0; i < 4; i++)
        assert_true(registry_leave_out(registry, names[i], i == 3 ? "second" : "first"));
    struct registry *copy = registry_copy(registry);
    assert_true(registry_leave_out(registry, "s.a", NULL));
    assert_true(registry_leave_out(registry, "s.none", NULL));
    const struct registry_left_out *all = registry_left_out(registry, &count);
    assert_int_equal(count, 2);
    assert_string_equal(all[0].ns, "s.m");
    assert_string_equal(all[0].reason, "second");
    assert_string_equal(all[1].ns, "s.z");
    assert_string_equal(registry_find_left_out(copy, "s.a")->reason, "first");
    for (long i = 1; i < 16; i++) {
        memory_fail_after(i);
        struct registry *other = registry_copy(copy);
        bool ok = other != NULL && registry_leave_out(other, "s.b", "third");
        memory_fail_never();
        registry_release(other);
        assert_true(ok || i < 15);
    }
    registry_release(copy);
    registry_release(registry);
}

static void test_bytes(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    assert_int_equal(registry_bytes(NULL), 0);
    assert_int_equal(registry_bytes_of(NULL, "a.b", REGISTRY_FILE), 0);
    assert_true(registry_put(registry, entry_of("a.b", REGISTRY_FILE)));
    size_t one = registry_bytes(registry);
    assert_true(one > 0);
    assert_int_equal(registry_bytes_of(registry, "a.b", REGISTRY_FILE), one);
    assert_int_equal(registry_bytes_of(registry, "a.b", REGISTRY_COLLECTION), 0);
    assert_true(registry_put(registry, entry_of("a.b", REGISTRY_COLLECTION)));
    assert_int_equal(registry_bytes(registry), 2 * one);
    assert_true(registry_put(registry, entry_of("a.b", REGISTRY_FILE))); /* in its place */
    struct registry *copy = registry_copy(registry);
    assert_int_equal(registry_bytes(copy), 2 * one);
    assert_true(registry_remove(registry, "a.b", 3, REGISTRY_FILE));
    assert_int_equal(registry_bytes(registry), one);
    assert_true(registry_remove(registry, "a.b", 3, REGISTRY_COLLECTION));
    assert_int_equal(registry_bytes(registry), 0);
    registry_release(copy);
    registry_release(registry);
}

static bool append_ns(void *arg, const struct registry_entry *entry)
{
    char *text = arg;
    size_t len = strlen(text);
    (void)snprintf(text + len, 64 - len, "%s ", entry->file.ns);
    return strcmp(entry->file.ns, "s.z") != 0;
}

static void test_sorted(void **state)
{
    (void)state;
    char text[64] = "";
    struct registry *registry = registry_new();
    const char *const names[] = {"s.m", "s.zz", "s.a", "s.z", "s.ab"};
    for (size_t i = 0; i < 5; i++)
        assert_true(registry_put(registry, entry_of(names[i], REGISTRY_FILE)));
    registry_each(registry, append_ns, text);
    assert_string_equal(text, "s.a s.ab s.m s.z "); /* the last one was not asked for */
    assert_int_equal(registry_size(registry), 5);
    assert_null(registry_find(registry, "s.a\0b", 5));
    assert_null(registry_find(registry, "s.abc", 5));
    assert_string_equal(registry_find(registry, "s.abc", 4)->file.ns, "s.ab");
    assert_false(registry_remove(registry, "s.a\0b", 5, REGISTRY_FILE));
    registry_release(registry);
}

static void test_file_wins_over_collection(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    assert_true(registry_put(registry, entry_of("s.a", REGISTRY_COLLECTION)));
    assert_int_equal(find(registry, "s.a")->origin, REGISTRY_COLLECTION);
    assert_true(registry_put(registry, entry_of("s.a", REGISTRY_FILE)));
    assert_int_equal(find(registry, "s.a")->origin, REGISTRY_FILE);
    assert_int_equal(registry_size(registry), 1);
    assert_true(registry_remove(registry, "s.a", 3, REGISTRY_FILE));
    assert_int_equal(find(registry, "s.a")->origin, REGISTRY_COLLECTION);
    assert_false(registry_remove(registry, "s.a", 3, REGISTRY_FILE));
    assert_true(registry_remove(registry, "s.a", 3, REGISTRY_COLLECTION));
    assert_null(find(registry, "s.a"));
    assert_int_equal(registry_size(registry), 0);
    registry_release(registry);
}

static void test_copies_share_and_stay(void **state)
{
    (void)state;
    struct registry *first = registry_new();
    struct registry_entry *entry = entry_of("s.a", REGISTRY_FILE);
    assert_true(registry_put(first, registry_entry_retain(entry)));
    struct registry *second = registry_copy(first);
    assert_ptr_equal(find(second, "s.a"), entry);
    registry_count_add(entry, REGISTRY_PASSED, 5);
    assert_true(registry_put(second, entry_of("s.a", REGISTRY_FILE)));
    assert_ptr_equal(find(first, "s.a"), entry);
    assert_ptr_not_equal(find(second, "s.a"), entry);
    registry_count_add(entry, REGISTRY_PASSED, 2); /* by a worker that has the older set still */
    assert_int_equal(find(second, "s.a")->stats->counts[REGISTRY_PASSED], 7);
    registry_release(first);
    registry_entry_release(entry);
    assert_int_equal(find(second, "s.a")->stats->counts[REGISTRY_PASSED], 7);
    struct registry *third = registry_retain(second);
    registry_release(second);
    assert_non_null(find(third, "s.a"));
    assert_true(
        registry_put(third, registry_entry_retain((struct registry_entry *)find(third, "s.a"))));
    registry_release(third);
    second = registry_copy(NULL);
    assert_int_equal(registry_size(second), 0);
    registry_release(second);
}

static void test_many(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    char ns[32];
    struct registry *registry = registry_new();
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(ns, sizeof ns, "shop.c%u", i * 7919 % MANY);
        assert_true(registry_put(registry, entry_of(ns, REGISTRY_FILE)));
    }
    assert_int_equal(registry_size(registry), MANY);
    for (unsigned i = 0; i < MANY; i += 3) {
        (void)snprintf(ns, sizeof ns, "shop.c%u", i);
        assert_true(registry_remove(registry, ns, strlen(ns), REGISTRY_FILE));
    }
    struct registry *copy = registry_copy(registry);
    registry_release(registry);
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(ns, sizeof ns, "shop.c%u", i);
        const struct registry_entry *entry = find(copy, ns);
        assert_true((entry == NULL) == (i % 3 == 0));
        if (entry != NULL)
            assert_string_equal(entry->file.ns, ns);
    }
    registry_release(copy);
}

static void test_refusals(void **state)
{
    (void)state;
    struct registry_refusal last[REGISTRY_REFUSALS_KEPT];
    char reason[REGISTRY_REASON_BYTES + 50];
    uint8_t big[REGISTRY_INFO_BYTES + 1] = {0};
    struct registry_entry *entry = entry_of("s.a", REGISTRY_FILE);
    assert_int_equal(registry_last_refusals(entry, last), 0);
    registry_note_refusal(entry, 10, true, "first", bytes_of("abc", 3));
    assert_int_equal(registry_last_refusals(entry, last), 1);
    assert_int_equal(last[0].at_ms, 10);
    assert_int_equal(last[0].number, 1);
    assert_true(last[0].warned);
    assert_string_equal(last[0].reason, "first");
    assert_int_equal(last[0].info_len, 3);
    assert_memory_equal(last[0].info, "abc", 3);
    memory_free(last[0].info);
    registry_note_refusal(entry, 11, false, "no info", (struct bytes){0});
    registry_note_refusal(entry, 12, false, "large", bytes_of(big, sizeof big));
    memset(reason, 'x', sizeof reason);
    reason[sizeof reason - 1] = 0;
    for (int i = 0; i < 20; i++)
        registry_note_refusal(entry, 13 + i, false, reason, bytes_of(big, REGISTRY_INFO_BYTES));
    registry_note_refusal(entry, 40, false, "last", bytes_of(big, sizeof big));
    assert_int_equal(registry_last_refusals(entry, last), REGISTRY_REFUSALS_KEPT);
    assert_string_equal(last[0].reason, "last");
    assert_int_equal(last[0].number, 24);
    assert_null(last[0].info);
    assert_int_equal(last[0].info_len, 0);
    assert_int_equal(strlen(last[1].reason), REGISTRY_REASON_BYTES - 1);
    assert_int_equal(last[1].info_len, REGISTRY_INFO_BYTES);
    for (size_t i = 0; i < REGISTRY_REFUSALS_KEPT; i++)
        memory_free(last[i].info);
    registry_entry_release(entry);
}

/* What sha256(bson.encode(json.loads(text))) gives with PyMongo 4.20. */
static void test_hash(void **state)
{
    (void)state;
    static const char *const schema =
        "{\"bsonType\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"minimum\":"
        "-2147483648,\"maximum\":5000000000},\"b\":{\"multipleOf\":0.5,\"enum\":[1,2147483648,true,"
        "null,\"\\u00e9\"]}}}";
    static const char *const hash =
        "abcfb726a068ee86e5ca77c896f752013fbecd083105e5ae6bd4495c638c1a9c";
    char text[512];
    struct schema_file file;
    (void)snprintf(text, sizeof text, "{\"schema\":%s,\"action\":\"warn\",\"ns\":\"s.a\"}", schema);
    struct registry_entry *entry = support_entry(text, REGISTRY_FILE);
    assert_string_equal(entry->file.versions[0].hash, hash);
    assert_string_equal(entry->source, "test.json");
    bson_t *bson = support_json(schema);
    struct bytes source = schema_source(schema_file_newest(&entry->file));
    assert_int_equal(bytes_left(&source), bson->len);
    assert_memory_equal(source.pos, bson_get_data(bson), bson->len);
    bson_destroy(bson);
    registry_entry_release(entry);

    /* A collection's validator: the schema within, and a namespace that the caller gives. */
    (void)snprintf(text, sizeof text, "{\"$jsonSchema\":%s}", schema);
    assert_true(schema_file_parse(text, strlen(text), NULL, NULL, &file, NULL));
    file.ns = memory_copy_string("s.a");
    entry = registry_entry_new(&file, REGISTRY_COLLECTION, "collection validator");
    assert_null(file.ns);
    assert_null(file.versions);
    assert_string_equal(entry->file.versions[0].hash, hash);
    registry_entry_release(entry);
}

static void test_memory(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    bool ok = false;
    for (long i = 1; i < 100 && !ok; i++) {
        struct schema_file file;
        const char *text = "{\"ns\":\"s.a\",\"schema\":{}}";
        assert_true(schema_file_parse(text, strlen(text), NULL, NULL, &file, NULL));
        memory_fail_after(i);
        struct registry_entry *entry = registry_entry_new(&file, REGISTRY_FILE, "x");
        ok = entry != NULL && registry_put(registry, entry);
        memory_fail_never();
        assert_null(file.versions);
        assert_int_equal(registry_size(registry), ok);
    }
    assert_true(ok);
    struct registry *copy = NULL;
    for (long i = 1; i < 100 && copy == NULL; i++) {
        memory_fail_after(i);
        copy = registry_copy(registry);
        memory_fail_never();
    }
    assert_non_null(find(copy, "s.a"));
    registry_release(copy);
    registry_release(registry);
    memory_fail_after(1);
    assert_null(registry_new());
    memory_fail_never();

    /* A refusal without its details is better than none. */
    struct registry_refusal last[REGISTRY_REFUSALS_KEPT];
    struct registry_entry *entry = entry_of("s.a", REGISTRY_FILE);
    memory_fail_after(1);
    registry_note_refusal(entry, 1, false, "r", bytes_of("abc", 3));
    memory_fail_never();
    assert_int_equal(registry_last_refusals(entry, last), 1);
    assert_null(last[0].info);
    registry_note_refusal(entry, 2, false, "r", bytes_of("abc", 3));
    memory_fail_after(1);
    assert_int_equal(registry_last_refusals(entry, last), 2);
    memory_fail_never();
    assert_int_equal(last[0].info_len, 0);
    registry_entry_release(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_sorted),
        cmocka_unit_test(test_file_wins_over_collection),
        cmocka_unit_test(test_copies_share_and_stay),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
