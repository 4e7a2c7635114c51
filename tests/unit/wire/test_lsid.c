/* The id of a logical session: only the form that drivers send is one. */
#include "../cmocka_all.h"

#include <bson/bson.h>

#include "wire/lsid.h"

static const uint8_t id[LSID_BYTES + 1] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static const uint8_t *read_from(const bson_t *command, bool *alone)
{
    struct scan_element element;
    assert_true(scan_find(bytes_of(bson_get_data(command), command->len), "lsid", &element));
    return lsid_read(&element, alone);
}

static bson_t *command_of(bson_subtype_t subtype, uint32_t len, const char *before,
                          const char *after)
{
    bson_t *command = bson_new();
    bson_t lsid;
    BSON_APPEND_DOCUMENT_BEGIN(command, "lsid", &lsid);
    if (before != NULL)
        BSON_APPEND_INT32(&lsid, before, 1);
    BSON_APPEND_BINARY(&lsid, "id", subtype, id, len);
    if (after != NULL)
        BSON_APPEND_INT32(&lsid, after, 1);
    bson_append_document_end(command, &lsid);
    return command;
}

static void the_id_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        const char *after;
    } others[] = {{NULL, NULL}, {"uid", NULL}, {NULL, "uid"}, {"uid", "id"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        bool alone = false;
        bson_t *command =
            command_of(BSON_SUBTYPE_UUID, LSID_BYTES, others[i].before, others[i].after);
        const uint8_t *found = read_from(command, &alone);
        assert_non_null(found);
        assert_memory_equal(found, id, LSID_BYTES);
        assert_int_equal(alone, i == 0);
        assert_ptr_equal(read_from(command, NULL), found);
        bson_destroy(command);
    }
}

static void nothing_else_is_an_id(void **state)
{
    (void)state;
    bson_t *others[] = {command_of(BSON_SUBTYPE_BINARY, LSID_BYTES, NULL, NULL),
                        command_of(BSON_SUBTYPE_UUID_DEPRECATED, LSID_BYTES, NULL, NULL),
                        command_of(BSON_SUBTYPE_UUID, LSID_BYTES - 1, NULL, NULL),
                        command_of(BSON_SUBTYPE_UUID, LSID_BYTES + 1, NULL, NULL),
                        command_of(BSON_SUBTYPE_UUID, 0, NULL, NULL),
                        BCON_NEW("lsid", "x"),
                        BCON_NEW("lsid", "{", "}"),
                        BCON_NEW("lsid", "[", BCON_INT32(1), "]"),
                        BCON_NEW("lsid", "{", "id", "sixteen bytes...", "}")};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        bool alone = false;
        assert_null(read_from(others[i], &alone));
        assert_false(alone);
        bson_destroy(others[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_id_is_found),
        cmocka_unit_test(nothing_else_is_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
