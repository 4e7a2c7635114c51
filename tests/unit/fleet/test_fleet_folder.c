/* The files of a registry in a proxy's folder. */
#include "../cmocka_all.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "fleet/fleet_folder.h"
#include "schema/file.h"

static char place[PATH_MAX];

static int make_place(void **state)
{
    (void)state;
    (void)snprintf(place, sizeof place, "/tmp/fleet_folder_XXXXXX");
    return mkdtemp(place) == NULL;
}

static int remove_place(void **state)
{
    char command[PATH_MAX + 16];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", place);
    return system(command);
}

static const char *in_place(const char *name)
{
    static char path[PATH_MAX + 300];
    (void)snprintf(path, sizeof path, "%s/%s", place, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(in_place(name), "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_text(const char *name, const char *expected)
{
    size_t len = 0;
    char *text = schema_file_read(in_place(name), &len, NULL);
    assert_non_null(text);
    assert_string_equal(text, expected);
    memory_free(text);
}

static bool put(struct fleet_folder *folder, const char *ns, const char *text)
{
    struct error err;
    bool changed = false;
    assert_true(fleet_folder_claim(folder, ns, &err));
    assert_true(fleet_folder_save(folder, &err));
    assert_true(fleet_folder_put(folder, ns, text, strlen(text), &changed, &err));
    return changed;
}

static void files_come_and_go(void **state)
{
    struct error err;
    bool changed = false;
    (void)state;
    assert_false(fleet_folder_is_fed(place));
    struct fleet_folder *folder = fleet_folder_open(place, &err);
    assert_non_null(folder);
    assert_true(put(folder, "a.b", "one"));
    assert_false(put(folder, "a.b", "one"));
    assert_true(put(folder, "a.b", "two"));
    assert_true(put(folder, "a./etc/x", "x"));
    assert_text("a.b.json", "two");
    assert_text("a.%2Fetc%2Fx.json", "x");
    assert_int_equal(fleet_folder_count(folder), 2);
    assert_true(fleet_folder_is_fed(place));
    /* one folder has one owner */
    assert_null(fleet_folder_open(place, &err));
    assert_non_null(strstr(err.message, "its own folder"));
    fleet_folder_close(folder);
    folder = fleet_folder_open(place, &err);
    assert_int_equal(fleet_folder_count(folder), 2);
    assert_true(fleet_folder_remove(folder, "a.b", &changed, &err) && changed);
    assert_true(fleet_folder_remove(folder, "a.b", &changed, &err) && !changed);
    assert_true(fleet_folder_save(folder, &err));
    assert_false(fleet_folder_holds(folder, "a.b"));
    assert_true(fleet_folder_holds(folder, "a./etc/x"));
    fleet_folder_close(folder);
    assert_text(".registry",
                "# The files in this folder that mongosluice writes from its registry.\n"
                "a.%2Fetc%2Fx.json\n");
}

/* A file that did not come from the registry is kept beside. A file without an entry stays
 * untouched. */
static void others_files_stay(void **state)
{
    struct error err;
    bool changed = false;
    (void)state;
    write_text("a.b.json", "mine");
    write_text("c.d.json", "mine too");
    struct fleet_folder *folder = fleet_folder_open(place, &err);
    assert_true(fleet_folder_remove(folder, "c.d", &changed, &err) && !changed);
    assert_true(put(folder, "a.b", "the registry's"));
    fleet_folder_close(folder);
    assert_text("a.b.json", "the registry's");
    assert_text("a.b.json.replaced", "mine");
    assert_text("c.d.json", "mine too");
}

/* A list with foreign content cannot lead outside the folder. */
static void a_list_names_files_of_the_folder(void **state)
{
    struct error err;
    (void)state;
    write_text(".registry", "../../etc/passwd.json\n/etc/x.json\n.hidden.json\n\nnothing\n.json\n"
                            "good.one.json");
    struct fleet_folder *folder = fleet_folder_open(place, &err);
    assert_int_equal(fleet_folder_count(folder), 1);
    fleet_folder_close(folder);
}

static void a_folder_may_be_missing(void **state)
{
    struct error err;
    (void)state;
    assert_null(fleet_folder_open(in_place("none"), &err));
    assert_non_null(strstr(err.message, "none"));
    /* a folder in the place of the file */
    bool changed = false;
    struct fleet_folder *folder = fleet_folder_open(place, &err);
    assert_int_equal(mkdir(in_place("a.b.json"), 0755), 0);
    assert_false(fleet_folder_claim(folder, "a.b", &err));
    assert_non_null(strstr(err.message, "a.b.json"));
    assert_false(fleet_folder_put(folder, "x.y", "", 0, &changed, &err));
    char longest[400];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_false(fleet_folder_claim(folder, longest, &err));
    fleet_folder_close(folder);
}

static void memory_may_be_out(void **state)
{
    struct error err;
    (void)state;
    write_text(".registry", "a.b.json\nc.d.json\n");
    struct fleet_folder *folder = NULL;
    for (long n = 1; folder == NULL; n++) {
        memory_fail_after(n);
        folder = fleet_folder_open(place, &err);
        memory_fail_never();
        assert_true(n < 1000);
    }
    assert_int_equal(fleet_folder_count(folder), 2);
    fleet_folder_close(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_come_and_go, make_place, remove_place),
        cmocka_unit_test_setup_teardown(others_files_stay, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_list_names_files_of_the_folder, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_folder_may_be_missing, make_place, remove_place),
        cmocka_unit_test_setup_teardown(memory_may_be_out, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
