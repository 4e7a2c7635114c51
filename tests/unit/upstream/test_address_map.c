#include "upstream/address_map.h"

#include "base/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants three of the above first. */
#include <cmocka.h>

static bool leads_to(struct address_map *map, const char *address, uint16_t expected)
{
    uint16_t port = 0;
    return address_map_port(map, address, strlen(address), &port) && port == expected;
}

static void test_both_ways(void **state)
{
    (void)state;
    struct error err = {0};
    struct address_map *map = address_map_new();
    assert_non_null(map);
    assert_true(address_map_add(map, "Db1.Example.org:27018", 4001, &err));
    assert_true(address_map_add(map, "db2", 4002, &err));
    assert_true(address_map_add(map, "[::1]", 4003, &err));
    assert_true(address_map_add(map, "/tmp/Mongo.sock", 4004, &err));
    assert_true(leads_to(map, "db1.example.org:27018", 4001));
    assert_true(leads_to(map, "DB1.EXAMPLE.ORG:27018", 4001));
    assert_true(leads_to(map, "db2:27017", 4002));
    assert_true(leads_to(map, "DB2", 4002));
    assert_true(leads_to(map, "[::1]:27017", 4003));
    assert_false(leads_to(map, "db1.example.org", 4001));
    assert_false(leads_to(map, "", 4001));
    address_map_free(map);
    address_map_free(NULL);
}

static void test_text_inside_a_document(void **state)
{
    (void)state;
    uint16_t port = 0;
    struct address_map *map = address_map_new();
    assert_true(address_map_add(map, "db1:27017", 4001, NULL));
    assert_true(address_map_port(map, "db1:27017xyz", 9, &port));
    assert_false(address_map_port(map, "db1:27017xyz", 10, &port));
    assert_false(address_map_port(map, "db1\0:27017", 10, &port));
    address_map_free(map);
}

static void test_changes(void **state)
{
    (void)state;
    struct error err = {0};
    struct address_map *map = address_map_new();
    assert_true(address_map_add(map, "a:1", 4001, &err));
    assert_true(address_map_add(map, "b:1", 4002, &err));
    assert_true(address_map_add(map, "A:1", 4003, &err)); /* a new port for the same server */
    assert_true(leads_to(map, "a:1", 4003));
    assert_false(address_map_add(map, "b:1", 4003, &err));
    assert_string_equal(err.message, "Port 4003 already leads to a:1 and cannot lead to b:1");
    assert_false(address_map_remove(map, "c:1"));
    assert_true(address_map_remove(map, "a:1"));
    assert_false(leads_to(map, "a:1", 4003));
    assert_true(leads_to(map, "b:1", 4002));
    address_map_free(map);
}

static void test_long_addresses(void **state)
{
    (void)state;
    struct error err = {0};
    char address[ADDRESS_MAP_BYTES + 8];
    struct address_map *map = address_map_new();
    for (size_t len = 1; len < sizeof address; len++) {
        memset(address, 'h', len);
        address[len] = '\0';
        bool fits = len < ADDRESS_MAP_BYTES - 7; /* ":27017" is added */
        assert_int_equal(address_map_add(map, address, 4001, &err), fits);
        if (fits) {
            assert_true(leads_to(map, address, 4001));
            assert_true(address_map_remove(map, address));
        }
    }
    address_map_free(map);
}

static void *look_up(void *arg)
{
    struct address_map *map = arg;
    for (int i = 0; i < 20000; i++) {
        uint16_t port = 0;
        if (address_map_port(map, "b:1", 3, &port) && port != 4002)
            return map;
    }
    return NULL;
}

static void test_readers_while_it_changes(void **state)
{
    (void)state;
    struct address_map *map = address_map_new();
    pthread_t readers[2];
    void *wrong = NULL;
    assert_true(address_map_add(map, "b:1", 4002, NULL));
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, look_up, map), 0);
    for (int i = 0; i < 500; i++) {
        char address[16];
        (void)snprintf(address, sizeof address, "a%d:1", i % 40);
        (void)address_map_add(map, address, (uint16_t)(5000 + i % 40), NULL);
        if (i % 3 == 0)
            (void)address_map_remove(map, address);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(readers[i], &wrong), 0);
        assert_null(wrong);
    }
    address_map_free(map);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    struct error err = {0};
    memory_fail_after(1);
    struct address_map *map = address_map_new();
    memory_fail_never();
    assert_null(map);
    map = address_map_new();
    memory_fail_after(1);
    bool ok = address_map_add(map, "a:1", 1, &err);
    memory_fail_never();
    assert_false(ok);
    assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
    address_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_text_inside_a_document),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_long_addresses),
        cmocka_unit_test(test_readers_while_it_changes),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
