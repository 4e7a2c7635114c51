/* `mongosluice schema …` over a registry. Each takes the arguments from its own name on and returns
 * the exit code: 0 done, 1 refused or different, 2 wrong use or no answer, 3 a conflict with
 * somebody else's change. */
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
/* Of two files (subcommands.h), or with a registry. */
int command_schema_diff_any(int argc, char **argv);

/* What all of these say of where the registry is. */
#define FLEET_USAGE_PLACE                                                                          \
    "  --registry URI         the deployment that holds the registry (or the environment "         \
    "variable\n"                                                                                   \
    "                         MONGOSLUICE_REGISTRY, which shows no password to others)\n"          \
    "  --collection DB.COLL   its collection; mongosluice.schemas where nothing is said\n"         \
    "  --config FILE          both from a proxy's configuration\n"
#define FLEET_USAGE_AUTHOR                                                                         \
    "  --by NAME              who does it; MONGOSLUICE_AUTHOR, else USER@HOST\n"                   \
    "  --note TEXT            why, for the history\n"                                              \
    "  --revision N           only if the namespace is at revision N (0: it is new)\n"             \
    "  --dry-run              says what would be done\n"

#endif
