#include "base/clock.h"
#include "base/memory.h"
#include "bson/scan.h"
#include "cli/subcommands.h"
#include "schema/file.h"

#include <bson/bson.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct check_run {
    struct schema_file schema;
    struct schema_scratch *scratch;
    const char *path; /* of a file of documents */
    bool candidate;   /* check by the candidate */
    bool quiet;       /* print only refused documents */
    unsigned number;  /* the position of the document in its file, from 1 */
    unsigned valid;
    unsigned refused;
};

static const char usage[] =
    "usage: mongosluice check --schema SCHEMA [--quiet] [--candidate] FILE...\n"
    "Checks documents against a schema file. A FILE (- for standard input) contains consecutive\n"
    "BSON documents, as mongodump writes them, or JSON: consecutive documents or an array of "
    "them;\n"
    "extended JSON is allowed. Prints a verdict for each document, with MongoDB's errInfo for\n"
    "refused ones. --quiet prints only refused documents. A document is valid if it satisfies one\n"
    "version that is accepted now; --candidate checks by the candidate of the file instead.\n";

/* The schema whose errInfo is shown. */
static const struct schema *shown_schema(const struct check_run *check)
{
    return check->candidate ? check->schema.candidate.schema : schema_file_newest(&check->schema);
}

static void print_errinfo(struct check_run *check, struct bytes document)
{
    struct build build;
    struct bytes info;
    struct error err = {0};
    if (schema_explain(shown_schema(check), check->scratch, document, &build, &info, &err)) {
        bson_t bson;
        char *json = bson_init_static(&bson, info.pos, bytes_left(&info))
                         ? bson_as_relaxed_extended_json(&bson, NULL)
                         : NULL;
        (void)printf("%s\n", json != NULL ? json : "");
        bson_free(json);
    } else {
        (void)printf("%s\n", err.message);
    }
    build_free(&build);
}

/* The older version that accepts it now; NULL for none. */
static const struct schema_version *find_older(struct check_run *check, struct bytes document)
{
    const struct schema_file *file = &check->schema;
    uint32_t accepted =
        schema_versions_accepted(file->versions, file->version_count, clock_wall_ms());
    struct error err;
    for (size_t i = 1; i < file->version_count && !check->candidate; i++)
        if ((accepted >> i & 1) != 0 &&
            schema_check(file->versions[i].schema, check->scratch, document, &err) == SCHEMA_VALID)
            return &file->versions[i];
    return NULL;
}

static void print_valid(struct check_run *check, const struct schema_version *older)
{
    check->valid++;
    if (check->quiet)
        return;
    (void)printf("%s:%u: valid", check->path, check->number);
    if (older != NULL && older->name != NULL)
        (void)printf(" (by the older version %s)", older->name);
    else if (older != NULL)
        (void)printf(" (by the older version %.12s)", older->hash);
    (void)printf("\n");
}

static void check_document(struct check_run *check, struct bytes document)
{
    static const char *const names[] = {"valid", "invalid", "malformed", "cut off"};
    struct error err = {0};
    const struct schema_version *older = NULL;
    enum schema_verdict verdict = schema_check(shown_schema(check), check->scratch, document, &err);
    check->number++;
    if (verdict == SCHEMA_INVALID || verdict == SCHEMA_CUT_OFF)
        older = find_older(check, document);
    if (verdict == SCHEMA_VALID || older != NULL) {
        print_valid(check, older);
        return;
    }
    check->refused++;
    (void)printf("%s:%u: %s: ", check->path, check->number, names[verdict]);
    if (verdict == SCHEMA_INVALID)
        print_errinfo(check, document);
    else
        (void)printf("%s\n", err.message);
}

/* Checks consecutive documents; remaining bytes count as one malformed document. */
static void check_bson(struct check_run *check, struct bytes all)
{
    while (bytes_left(&all) > 0) {
        struct bytes document = all;
        int32_t len = bytes_left(&all) < 4 ? 0 : bytes_load_i32(all.pos);
        if (len < 5 || !bytes_take(&all, (size_t)len, &document))
            all.pos = all.end;
        check_document(check, document);
    }
}

static void check_items(struct check_run *check, const bson_t *array)
{
    struct scan scan;
    struct scan_element item;
    (void)scan_open(&scan, bytes_of(bson_get_data(array), array->len));
    while (scan_next(&scan, &item)) {
        if (item.kind == BSON_KIND_OBJECT) {
            check_document(check, item.value);
            continue;
        }
        check->number++;
        check->refused++;
        (void)printf("%s:%u: malformed: no document\n", check->path, check->number);
    }
}

static void print_json_error(struct check_run *check, const char *text, size_t len,
                             const bson_error_t *err)
{
    char message[sizeof err->message];
    schema_file_explain_json(text, len, err->message, message, sizeof message);
    check->number++;
    check->refused++;
    (void)printf("%s:%u: malformed: %s\n", check->path, check->number, message);
}

static void check_json(struct check_run *check, const char *text, size_t len)
{
    bson_error_t err;
    bson_t document;
    int status = 0;
    if (text[strspn(text, " \t\r\n")] == '[') {
        bson_t *array = bson_new_from_json((const uint8_t *)text, (ssize_t)len, &err);
        if (array == NULL)
            print_json_error(check, text, len, &err);
        else
            check_items(check, array);
        bson_destroy(array);
        return;
    }
    bson_json_reader_t *reader = bson_json_data_reader_new(false, 0);
    bson_json_data_reader_ingest(reader, (const uint8_t *)text, len);
    bson_init(&document);
    while ((status = bson_json_reader_read(reader, &document, &err)) == 1) {
        check_document(check, bytes_of(bson_get_data(&document), document.len));
        bson_reinit(&document);
    }
    if (status < 0)
        print_json_error(check, check->number == 0 ? text : NULL, len, &err);
    bson_destroy(&document);
    bson_json_reader_destroy(reader);
}

static bool check_file(struct check_run *check, const char *path)
{
    size_t len = 0;
    struct error err = {0};
    char *text = schema_file_read(path, &len, &err);
    if (text == NULL) {
        (void)fprintf(stderr, "mongosluice: %s\n", err.message);
        return false;
    }
    check->path = path;
    check->number = 0;
    /* a BSON document starts with a length that contains a zero byte; JSON contains none */
    if (len >= 4 && memchr(text, 0, 4) != NULL)
        check_bson(check, bytes_of(text, len));
    else
        check_json(check, text, len);
    memory_free(text);
    return true;
}

struct schema_problems {
    const char *path; /* of the schema */
    unsigned count;
};

static void print_schema_problem(void *arg, const struct schema_problem *problem)
{
    struct schema_problems *problems = arg;
    problems->count++;
    (void)fprintf(stderr, "mongosluice: %s: %s%s%s\n", problems->path, problem->pointer,
                  problem->pointer[0] == 0 ? "" : ": ", problem->message);
}

static int check_files(struct check_run *check, const char *schema, int count, char **files)
{
    struct error err = {0};
    bool readable = true;
    struct schema_problems problems = {.path = schema};
    if (!schema_file_load(schema, print_schema_problem, &problems, &check->schema, &err)) {
        if (problems.count == 0) /* the file could not be read */
            (void)fprintf(stderr, "mongosluice: %s: %s\n", schema, err.message);
        return check->schema.siblings ? 1 : 2;
    }
    if (check->candidate && check->schema.candidate.schema == NULL) {
        (void)fprintf(stderr, "mongosluice: %s: the file has no candidate\n", schema);
        schema_file_release(&check->schema);
        return 2;
    }
    check->scratch = schema_scratch_new();
    if (check->scratch == NULL) {
        schema_file_release(&check->schema);
        (void)fputs("mongosluice: out of memory for the schema\n", stderr);
        return 2;
    }
    for (int i = 0; i < count; i++)
        readable = check_file(check, files[i]) && readable;
    (void)printf("%u valid, %u refused\n", check->valid, check->refused);
    schema_scratch_free(check->scratch);
    schema_file_release(&check->schema);
    return !readable ? 2 : check->refused > 0 ? 1 : 0;
}

int command_check(int argc, char **argv)
{
    static const struct option options[] = {{"schema", required_argument, NULL, 's'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"candidate", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct check_run check = {0};
    const char *schema = NULL;
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            schema = optarg;
            break;
        case 'q':
            check.quiet = true;
            break;
        case 'c':
            check.candidate = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return 0;
        default:
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    if (schema == NULL || optind == argc) {
        (void)fprintf(stderr, "mongosluice check: %s\n%s",
                      schema == NULL ? "name the schema file: --schema SCHEMA"
                                     : "name a file of documents",
                      usage);
        return 2;
    }
    return check_files(&check, schema, argc - optind, argv + optind);
}
