/* JSON-Schema-Test-Suite against one dialect.
 *
 *   conformance mongodb|json-schema FOLDER EXCLUSIONS
 *
 * FOLDER holds the suite's files of one draft. For dialect mongodb the runner wraps each piece of
 * data in a document, {v: data}, and each schema in {properties: {v: schema}}; for json-schema the
 * schema is applied to the value itself. EXCLUSIONS has lines `dialect | file | group or * |
 * reason`; an exclusion that excludes nothing is an error, and so is a test whose outcome differs
 * from the suite's. Prints the numbers of run, passed and excluded tests. Exit code 77, "skipped",
 * without the folder. */
#include "bson/scan.h"
#include "schema/schema.h"

#include <bson/bson.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXCLUSIONS_MAX 512
#define SKIPPED        77

struct exclusion {
    char dialect[16];
    char file[64];
    char group[128];
    unsigned used;
};

struct run {
    enum schema_dialect dialect;
    const char *dialect_name;
    const char *file;
    struct schema_scratch *scratch;
    struct exclusion exclusions[EXCLUSIONS_MAX];
    size_t exclusion_count;
    unsigned passed;
    unsigned failed;
    unsigned excluded;
};

static void trim_into(char *to, size_t room, const char *from, size_t len)
{
    while (len > 0 && *from == ' ') {
        from++;
        len--;
    }
    while (len > 0 && from[len - 1] == ' ')
        len--;
    if (len >= room)
        len = room - 1;
    memcpy(to, from, len);
    to[len] = 0;
}

static bool read_exclusions(struct run *run, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return false;
    }
    while (fgets(line, sizeof line, file) != NULL && run->exclusion_count < EXCLUSIONS_MAX) {
        char *fields[4] = {line};
        if (line[0] == '#' || line[0] == '\n')
            continue;
        for (int i = 1; i < 4 && fields[i - 1] != NULL; i++) {
            fields[i] = strchr(fields[i - 1], '|');
            fields[i] = fields[i] == NULL ? NULL : fields[i] + 1;
        }
        if (fields[3] == NULL || strspn(fields[3], " \n") == strlen(fields[3])) {
            (void)fprintf(stderr, "%s: no reason in: %s", path, line);
            (void)fclose(file);
            return false;
        }
        struct exclusion *e = &run->exclusions[run->exclusion_count++];
        trim_into(e->dialect, sizeof e->dialect, fields[0], (size_t)(fields[1] - fields[0]) - 1);
        trim_into(e->file, sizeof e->file, fields[1], (size_t)(fields[2] - fields[1]) - 1);
        trim_into(e->group, sizeof e->group, fields[2], (size_t)(fields[3] - fields[2]) - 1);
    }
    (void)fclose(file);
    return true;
}

static bool is_excluded(struct run *run, const char *group)
{
    for (size_t i = 0; i < run->exclusion_count; i++) {
        struct exclusion *e = &run->exclusions[i];
        if (strcmp(e->dialect, run->dialect_name) == 0 && strcmp(e->file, run->file) == 0 &&
            (strcmp(e->group, "*") == 0 || strcmp(e->group, group) == 0)) {
            e->used++;
            return true;
        }
    }
    return false;
}

static struct bytes bytes_of_bson(const bson_t *bson)
{
    return bytes_of(bson_get_data(bson), bson->len);
}

static struct schema *compile(const struct run *run, const bson_iter_t *schema, struct error *err)
{
    bson_t whole = BSON_INITIALIZER;
    bson_t child;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (run->dialect == SCHEMA_MONGODB) {
        BSON_APPEND_DOCUMENT_BEGIN(&whole, "properties", &child);
        (void)bson_append_iter(&child, "v", 1, schema);
        (void)bson_append_document_end(&whole, &child);
    } else if (BSON_ITER_HOLDS_DOCUMENT(schema)) {
        bson_iter_document(schema, &len, &data);
        bson_destroy(&whole);
        (void)bson_init_static(&whole, data, len);
    } else { /* true and false are no documents */
        BSON_APPEND_ARRAY_BEGIN(&whole, "allOf", &child);
        (void)bson_append_iter(&child, "0", 1, schema);
        (void)bson_append_array_end(&whole, &child);
    }
    struct schema *compiled = schema_compile(bytes_of_bson(&whole), run->dialect, NULL, NULL, err);
    bson_destroy(&whole);
    return compiled;
}

static enum schema_verdict check(const struct run *run, const struct schema *schema,
                                 const bson_iter_t *data, struct error *err)
{
    bson_t document = BSON_INITIALIZER;
    struct scan_element value;
    (void)bson_append_iter(&document, "v", 1, data);
    enum schema_verdict verdict = SCHEMA_MALFORMED;
    if (run->dialect == SCHEMA_MONGODB)
        verdict = schema_check(schema, run->scratch, bytes_of_bson(&document), err);
    else if (scan_find(bytes_of_bson(&document), "v", &value))
        verdict = schema_check_value(schema, run->scratch, value.kind, value.value, err);
    bson_destroy(&document);
    return verdict;
}

static const char *text_of(const bson_iter_t *object, const char *name)
{
    bson_iter_t inner;
    bson_iter_t found;
    if (bson_iter_recurse(object, &inner) && bson_iter_find(&inner, name)) {
        found = inner;
        return bson_iter_utf8(&found, NULL);
    }
    return "";
}

static void run_test(struct run *run, const struct schema *schema, const bson_iter_t *test,
                     const char *group)
{
    struct error err = {0};
    bson_iter_t data;
    bson_iter_t valid;
    if (!bson_iter_recurse(test, &data) || !bson_iter_find(&data, "data") ||
        !bson_iter_recurse(test, &valid) || !bson_iter_find(&valid, "valid")) {
        run->failed++;
        return;
    }
    enum schema_verdict verdict = check(run, schema, &data, &err);
    if (verdict == (bson_iter_bool(&valid) ? SCHEMA_VALID : SCHEMA_INVALID)) {
        run->passed++;
        return;
    }
    run->failed++;
    printf("FAILED %s: %s: %s: verdict %d, should be %s (%s)\n", run->file, group,
           text_of(test, "description"), (int)verdict, bson_iter_bool(&valid) ? "valid" : "invalid",
           err.message);
}

static void run_group(struct run *run, const bson_iter_t *group)
{
    struct error err = {0};
    bson_iter_t schema;
    bson_iter_t tests;
    bson_iter_t test;
    const char *name = text_of(group, "description");
    if (!bson_iter_recurse(group, &schema) || !bson_iter_find(&schema, "schema") ||
        !bson_iter_recurse(group, &tests) || !bson_iter_find(&tests, "tests") ||
        !bson_iter_recurse(&tests, &test)) {
        run->failed++;
        return;
    }
    bool excluded = is_excluded(run, name);
    struct schema *compiled = excluded ? NULL : compile(run, &schema, &err);
    if (!excluded && compiled == NULL)
        printf("REFUSED %s: %s: %s\n", run->file, name, err.message);
    while (bson_iter_next(&test)) {
        if (compiled != NULL)
            run_test(run, compiled, &test, name);
        else if (excluded)
            run->excluded++;
        else
            run->failed++;
    }
    schema_free(compiled);
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    size_t room = 1 << 20;
    char *text = calloc(1, room);
    size_t len = text == NULL ? 0 : fread(text, 1, room - 1, file);
    (void)fclose(file);
    if (len > 0 && len < room - 1)
        return text;
    free(text);
    return NULL;
}

static void run_file(struct run *run, const char *folder)
{
    char path[1024];
    bson_error_t err;
    bson_iter_t group;
    (void)snprintf(path, sizeof path, "%s/%s", folder, run->file);
    char *text = read_text(path);
    bson_t *file = text == NULL ? NULL : bson_new_from_json((const uint8_t *)text, -1, &err);
    if (file == NULL) {
        if (is_excluded(run, "*")) {
            printf("unreadable as BSON, excluded as a whole: %s\n", run->file);
        } else {
            printf("FAILED %s: %s\n", run->file, text == NULL ? "cannot be read" : err.message);
            run->failed++;
        }
    } else if (bson_iter_init(&group, file)) {
        while (bson_iter_next(&group))
            run_group(run, &group);
    }
    bson_destroy(file);
    free(text);
}

static int is_json(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static bool run_folder(struct run *run, const char *folder)
{
    struct dirent **files = NULL;
    int count = scandir(folder, &files, is_json, alphasort);
    for (int i = 0; i < count; i++) {
        run->file = files[i]->d_name;
        run_file(run, folder);
        free(files[i]);
    }
    free(files);
    return count > 0;
}

static bool exclusions_used(const struct run *run)
{
    bool ok = true;
    for (size_t i = 0; i < run->exclusion_count; i++) {
        const struct exclusion *e = &run->exclusions[i];
        if (e->used == 0 && strcmp(e->dialect, run->dialect_name) == 0) {
            printf("UNUSED exclusion: %s | %s | %s\n", e->dialect, e->file, e->group);
            ok = false;
        }
    }
    return ok;
}

int main(int argc, char **argv)
{
    static struct run run;
    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s mongodb|json-schema FOLDER EXCLUSIONS\n", argv[0]);
        return 2;
    }
    run.dialect_name = argv[1];
    run.dialect = strcmp(argv[1], "mongodb") == 0 ? SCHEMA_MONGODB : SCHEMA_JSON_SCHEMA;
    run.scratch = schema_scratch_new();
    if (run.scratch == NULL || !read_exclusions(&run, argv[3]))
        return 1;
    if (!run_folder(&run, argv[2])) {
        printf("skipped: there is no test suite in %s (set SLUICE_CONFORMANCE_DIR)\n", argv[2]);
        schema_scratch_free(run.scratch);
        return SKIPPED;
    }
    bool used = exclusions_used(&run);
    printf("%s: %u tests run, %u passed, %u failed, %u excluded\n", run.dialect_name,
           run.passed + run.failed, run.passed, run.failed, run.excluded);
    schema_scratch_free(run.scratch);
    return run.failed == 0 && used ? 0 : 1;
}
