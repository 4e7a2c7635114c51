#include "cli/subcommands.h"

#include "base/clock.h"
#include "base/memory.h"
#include "schema/file.h"

#include <stdio.h>
#include <string.h>

struct lint {
    const char *path;
    unsigned problems;
};

/* The namespaces of the files so far. */
struct linted {
    struct linted_file {
        char *ns; /* owned */
        const char *path;
    } * of; /* owned; room for every file */
    size_t count;
};

static void print_problem(void *arg, const struct schema_problem *problem)
{
    struct lint *lint = arg;
    char scratch[32];
    lint->problems++;
    (void)printf("%s: %s%s%s (%s, %d)\n", lint->path, problem->pointer,
                 problem->pointer[0] == 0 ? "" : ": ", problem->message,
                 error_code_name(problem->code, scratch), problem->code);
}

/* True if no other file has the namespace; adds it to the list. */
static bool note_namespace(struct linted *linted, struct lint *lint, struct schema_file *file)
{
    char message[512];
    for (size_t i = 0; file->ns != NULL && i < linted->count; i++) {
        if (strcmp(linted->of[i].ns, file->ns) != 0)
            continue;
        (void)snprintf(
            message, sizeof message,
            "the namespace %.200s already has a schema in %.200s; keep one of the two files",
            file->ns, linted->of[i].path);
        print_problem(lint, &(struct schema_problem){ERROR_BAD_VALUE, "/ns", message});
        return false;
    }
    if (file->ns != NULL)
        linted->of[linted->count++] = (struct linted_file){file->ns, lint->path};
    return true;
}

static void print_good(const char *path, const struct schema_file *file)
{
    uint32_t accepted =
        schema_versions_accepted(file->versions, file->version_count, clock_wall_ms());
    (void)printf("%s: ok (%s, %s", path, file->ns != NULL ? file->ns : "no namespace",
                 schema_dialect_names[file->versions[0].dialect]);
    if (schema_file_is_extended(file))
        (void)printf(", extended: no server takes it");
    if (file->version_count > 1)
        (void)printf(", %zu versions", file->version_count);
    if (file->candidate.schema != NULL)
        (void)printf(", a candidate");
    (void)printf(")\n");
    for (size_t i = 1; i < file->version_count; i++)
        if ((accepted >> i & 1) == 0)
            (void)printf("%s: note: /versions/%zu/accepted_until has passed: the proxy no longer "
                         "accepts the version; remove it\n",
                         path, i);
}

/* The exit code for one file. */
static int lint_file(const char *path, struct linted *linted)
{
    struct lint lint = {.path = path};
    struct schema_file file;
    struct error err = {0};
    if (schema_file_load(path, print_problem, &lint, &file, &err)) {
        if (note_namespace(linted, &lint, &file)) {
            print_good(path, &file);
            file.ns = NULL;
        }
        schema_file_release(&file);
        return lint.problems > 0 ? 1 : 0;
    }
    if (lint.problems > 0)
        return 1;
    (void)fprintf(stderr, "mongosluice: %s\n", err.message); /* the file could not be read */
    return 2;
}

int command_schema_lint(int argc, char **argv)
{
    static const char usage[] = "usage: mongosluice schema lint FILE...\n"
                                "Compiles each schema file and prints every problem with its JSON "
                                "pointer and error code.\n";
    int worst = 0;
    if (argc > 1 && strcmp(argv[argc - 1], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc < 2 || (argv[1][0] == '-' && argv[1][1] != 0)) {
        (void)fprintf(stderr, "mongosluice schema lint: %s%s\n%s",
                      argc < 2 ? "name a schema file" : "unknown flag ", argc < 2 ? "" : argv[1],
                      usage);
        return 2;
    }
    struct linted linted = {.of = memory_array((size_t)argc, sizeof *linted.of)};
    if (linted.of == NULL) {
        (void)fputs("mongosluice: out of memory for the schema\n", stderr);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        int code = lint_file(argv[i], &linted);
        worst = code > worst ? code : worst;
    }
    for (size_t i = 0; i < linted.count; i++)
        memory_free(linted.of[i].ns);
    memory_free(linted.of);
    return worst;
}
