/* mongosluice schema …: the table of its commands. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/fleet_commands.h"
#include "cli/subcommands.h"

struct schema_part {
    const char *name;
    const char *full_name; /* in messages */
    int (*run)(int argc, char **argv);
    const char *purpose;
};

static const struct schema_part parts[] = {
    {"lint", "mongosluice schema lint", command_schema_lint, "compiles schema files"},
    {"diff", "mongosluice schema diff", command_schema_diff_any, "compares files or versions"},
    {"push", "mongosluice schema push", command_schema_push, "stores schema files in a registry"},
    {"pull", "mongosluice schema pull", command_schema_pull,
     "writes a registry's schemas as files"},
    {"list", "mongosluice schema list", command_schema_list, "prints the namespaces of a registry"},
    {"show", "mongosluice schema show", command_schema_show, "prints the versions of a namespace"},
    {"history", "mongosluice schema history", command_schema_history,
     "prints the changes of a namespace"},
    {"promote", "mongosluice schema promote", command_schema_promote,
     "makes a version the newest one"},
    {"rollback", "mongosluice schema rollback", command_schema_rollback,
     "restores an earlier revision"},
    {"retire", "mongosluice schema retire", command_schema_retire,
     "ends the acceptance of a version"},
    {"status", "mongosluice schema status", command_schema_status,
     "shows which proxies have the newest state"},
};

static void print_usage(FILE *to)
{
    (void)fputs("usage: mongosluice schema COMMAND … (COMMAND --help prints its usage)\n", to);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        (void)fprintf(to, "  %-9s %s\n", parts[i].name, parts[i].purpose);
}

int command_schema(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_usage(stdout);
        return 0;
    }
    for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(argv[1], parts[i].name) == 0) {
            argv[1] = (char *)parts[i].full_name;
            return parts[i].run(argc - 1, argv + 1);
        }
    (void)fprintf(stderr, "mongosluice schema: %s%.100s\n",
                  argc > 1 ? "unknown command " : "name a command", argc > 1 ? argv[1] : "");
    print_usage(stderr);
    return 2;
}
