/* `mongosluice schema …` over a registry. Each function takes the arguments from its own name on
 * and returns the exit code: 0 done, 1 refused or different, 2 wrong usage or no reply, 3 another
 * command changed the namespace at the same time. */
#ifndef SLUICE_CLI_FLEET_COMMANDS_H
#define SLUICE_CLI_FLEET_COMMANDS_H

int command_schema_push(int argc, char **argv);
int command_schema_promote(int argc, char **argv);
int command_schema_rollback(int argc, char **argv);
int command_schema_retire(int argc, char **argv);
int command_schema_pull(int argc, char **argv);
int command_schema_list(int argc, char **argv);
int command_schema_show(int argc, char **argv);
int command_schema_history(int argc, char **argv);
int command_schema_status(int argc, char **argv);
/* Compares two files (subcommands.h), or uses a registry. */
int command_schema_diff_any(int argc, char **argv);

/* The help for the flags that name the registry. */
#define FLEET_USAGE_PLACE                                                                          \
    "  --registry URI         the deployment that holds the registry (or the environment "         \
    "variable\n"                                                                                   \
    "                         MONGOSLUICE_REGISTRY, which keeps a password hidden)\n"              \
    "  --collection DB.COLL   its collection; the default is mongosluice.schemas\n"                \
    "  --config FILE          takes both from a proxy's configuration\n"
#define FLEET_USAGE_AUTHOR                                                                         \
    "  --by NAME              the author; default MONGOSLUICE_AUTHOR, else USER@HOST\n"            \
    "  --note TEXT            a note for the history\n"                                            \
    "  --revision N           requires revision N of the namespace (0: it is new)\n"               \
    "  --dry-run              prints the change and stores nothing\n"

#endif
