/* Names of schema files, and writing them. */
#include "../cmocka_all.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/schema_store.h"

static void assert_name(const char *ns, const char *expected)
{
    char name[NAME_MAX + 1];
    assert_true(schema_store_name(ns, name, sizeof name));
    assert_string_equal(name, expected);
}

/* No namespace leads out of the folder, or to a file that readers leave out. */
static void names_are_plain(void **state)
{
    (void)state;
    assert_name("shop.orders", "shop.orders.json");
    assert_name("a.b_c-D9", "a.b_c-D9.json");
    assert_name("a../../etc/passwd", "a..%2F..%2Fetc%2Fpasswd.json");
    assert_name("../x", "%2E.%2Fx.json");
    assert_name("a.b c%\n\xC3\xA4", "a.b%20c%25%0A%C3%A4.json");
    char name[NAME_MAX + 1];
    char longest[NAME_MAX + 1];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_false(schema_store_name(longest, name, sizeof name));
    longest[NAME_MAX - 16 - 5] = 0;
    assert_true(schema_store_name(longest, name, sizeof name));
    longest[0] = ' '; /* three characters of the name */
    assert_false(schema_store_name(longest, name, sizeof name));
}

struct folder {
    char path[64];
    char file[96];
};

static void make_folder(struct folder *folder)
{
    (void)snprintf(folder->path, sizeof folder->path, "/tmp/sluice-store-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    (void)snprintf(folder->file, sizeof folder->file, "%s/a.b.json", folder->path);
}

static void assert_content(const char *path, const char *expected)
{
    char content[64] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    (void)!fread(content, 1, sizeof content - 1, file);
    (void)fclose(file);
    assert_string_equal(content, expected);
}

static void files_are_replaced_and_removed(void **state)
{
    (void)state;
    struct folder folder;
    struct error err;
    struct stat before;
    struct stat after;
    make_folder(&folder);
    assert_true(schema_store_write(folder.path, folder.file, "first", 5, &err));
    assert_content(folder.file, "first");
    assert_int_equal(stat(folder.file, &before), 0);
    assert_true(schema_store_write(folder.path, folder.file, "2nd", 3, &err));
    assert_content(folder.file, "2nd");
    assert_int_equal(stat(folder.file, &after), 0);
    assert_true(before.st_ino != after.st_ino); /* never written in place */
    assert_true(schema_store_holds(folder.path, folder.file));
    assert_false(schema_store_holds("/tmp", folder.file));
    assert_false(schema_store_holds(folder.path, "a.b.json"));
    assert_true(schema_store_remove(folder.path, folder.file, &err));
    assert_false(schema_store_remove(folder.path, folder.file, &err));
    assert_non_null(strstr(err.message, folder.file));
    assert_int_equal(rmdir(folder.path), 0); /* nothing is left behind */
}

static void a_folder_that_is_not_there_is_said(void **state)
{
    (void)state;
    struct error err;
    assert_false(schema_store_write("/nonexistent", "/nonexistent/a.b.json", "x", 1, &err));
    assert_non_null(strstr(err.message, "/nonexistent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_plain),
        cmocka_unit_test(files_are_replaced_and_removed),
        cmocka_unit_test(a_folder_that_is_not_there_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
