#include "cli/subcommands.h"

#include "base/clock.h"
#include "base/quantity.h"
#include "catalog/folder.h"
#include "config/config.h"
#include "schema/file.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct lint {
    struct current_set set; /* what the proxy would enforce */
    const char *path;       /* of the present file */
    unsigned problems;      /* of the present file */
    bool bare;              /* files without a namespace are good */
};

static const char usage[] =
    "usage: mongosluice schema lint [--bare] [--memory-max BYTES] FILE...\n"
    "Compiles each schema file and prints every problem with its JSON pointer and error code. The\n"
    "files together are the folder of a proxy: lint refuses what the proxy refuses at its start.\n"
    "--bare also accepts schemas without a namespace, for `mongosluice check`. --memory-max is "
    "the\n"
    "proxy's option schemas_memory_max (default 128MiB).\n";

static void print_problem(void *arg, const struct schema_problem *problem)
{
    struct lint *lint = arg;
    char scratch[32];
    lint->problems++;
    (void)printf("%s: %s%s%s (%s, %d)\n", lint->path, problem->pointer,
                 problem->pointer[0] == 0 ? "" : ": ", problem->message,
                 error_code_name(problem->code, scratch), problem->code);
}

static void add_summary(const struct schema_file *file, struct text *out)
{
    text_format(out, "ok (%s, %s", file->ns != NULL ? file->ns : "no namespace",
                schema_dialect_names[file->versions[0].dialect]);
    if (schema_file_is_extended(file))
        text_add(out, ", extended: no server takes it");
    if (file->version_count > 1)
        text_format(out, ", %zu versions", file->version_count);
    if (file->candidate.schema != NULL)
        text_add(out, ", a candidate");
    text_add(out, ")\n");
}

static void add_notes(const char *path, const struct schema_file *file, struct text *out)
{
    uint32_t accepted =
        schema_versions_accepted(file->versions, file->version_count, clock_wall_ms());
    size_t len = strlen(path);
    for (size_t i = 1; i < file->version_count; i++)
        if ((accepted >> i & 1) == 0)
            text_format(out,
                        "%s: note: /versions/%zu/accepted_until has passed: the proxy no longer "
                        "accepts the version; remove it\n",
                        path, i);
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    if (file->ns != NULL && (*name == '.' || len < 6 || strcmp(path + len - 5, ".json") != 0))
        text_format(out, "%s: note: the proxy reads only files named *.json; rename it\n", path);
}

/* Judges the file beside the others. Takes over its content. */
static bool admit(struct lint *lint, struct schema_file *file)
{
    struct error err;
    if (lint->bare && file->ns == NULL) {
        schema_file_release(file);
        return true;
    }
    const char *pointer = file->ns == NULL ? "" : "/ns";
    if (folder_admit(&lint->set, lint->path, file, &err))
        return true;
    if (err.code == ERROR_EXCEEDED_MEMORY_LIMIT)
        pointer = "";
    print_problem(lint, &(struct schema_problem){err.code, pointer, err.message});
    return false;
}

/* The exit code for one file. */
static int lint_file(struct lint *lint, const char *path)
{
    struct schema_file file;
    struct error err = {0};
    struct text good = text_growing();
    lint->path = path;
    lint->problems = 0;
    if (!schema_file_load(path, print_problem, lint, &file, &err)) {
        if (lint->problems > 0)
            return 1;
        (void)fprintf(stderr, "mongosluice: %s\n", err.message); /* the file could not be read */
        return 2;
    }
    add_summary(&file, &good);
    add_notes(path, &file, &good);
    bool admitted = admit(lint, &file);
    if (admitted)
        (void)printf("%s: %s", path, good.data != NULL ? good.data : "ok\n");
    text_release(&good);
    return admitted ? 0 : 1;
}

static int lint_files(struct lint *lint, int count, char **paths, int64_t memory_max)
{
    int worst = 0;
    if (!current_set_init(&lint->set, (size_t)memory_max)) {
        (void)fputs("mongosluice: out of memory for the schemas\n", stderr);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        int code = lint_file(lint, paths[i]);
        worst = code > worst ? code : worst;
    }
    current_set_release(&lint->set);
    return worst;
}

static int refuse(const char *problem, const char *word)
{
    (void)fprintf(stderr, "mongosluice schema lint: %s%s\n%s", problem, word, usage);
    return 2;
}

int command_schema_lint(int argc, char **argv)
{
    static const struct option options[] = {{"bare", no_argument, NULL, 'b'},
                                            {"memory-max", required_argument, NULL, 'm'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct lint lint = {0};
    int64_t memory_max = config_default_number("schemas_memory_max");
    int option = 0;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'b':
            lint.bare = true;
            break;
        case 'm':
            if (!quantity_read(QUANTITY_BYTES, optarg, &memory_max))
                return refuse("--memory-max takes bytes, plain or with a unit, not ", optarg);
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return 0;
        default:
            return refuse("unknown flag ", argv[optind - 1]);
        }
    }
    if (optind == argc)
        return refuse("name a schema file", "");
    return lint_files(&lint, argc - optind, argv + optind, memory_max);
}
