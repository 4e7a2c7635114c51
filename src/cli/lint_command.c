#include "cli/commands.h"

#include "schema/file.h"

#include <stdio.h>
#include <string.h>

struct lint {
    const char *path;
    unsigned problems;
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

/* The exit code for one file. */
static int lint_file(const char *path)
{
    struct lint lint = {.path = path};
    struct schema_file file;
    struct error err = {0};
    if (schema_file_load(path, print_problem, &lint, &file, &err)) {
        (void)printf("%s: ok (%s, %s)\n", path, file.ns != NULL ? file.ns : "no namespace",
                     schema_dialect_names[file.versions[0].dialect]);
        schema_file_release(&file);
        return 0;
    }
    if (lint.problems > 0)
        return 1;
    (void)fprintf(stderr, "mongosluice: %s\n", err.message); /* it could not be read */
    return 2;
}

int command_schema(int argc, char **argv)
{
    static const char usage[] = "usage: mongosluice schema lint FILE...\n"
                                "Compiles each schema file and prints every problem with its JSON "
                                "pointer and error code.\n";
    int worst = 0;
    if (argc > 1 && strcmp(argv[argc - 1], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc < 2 || strcmp(argv[1], "lint") != 0) {
        (void)fprintf(stderr, "mongosluice schema: the only command is lint\n%s", usage);
        return 2;
    }
    if (argc < 3 || (argv[2][0] == '-' && argv[2][1] != 0)) {
        (void)fprintf(stderr, "mongosluice schema lint: %s%s\n%s",
                      argc < 3 ? "name a schema file" : "unknown flag ", argc < 3 ? "" : argv[2],
                      usage);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        int code = lint_file(argv[i]);
        worst = code > worst ? code : worst;
    }
    return worst;
}
