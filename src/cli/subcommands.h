/* The subcommands other than the proxy itself. Each takes the arguments from its own name on,
 * prints to standard output, and returns the exit code: 0 success, 1 something was refused, 2 wrong
 * usage or a file that cannot be read. */
#ifndef SLUICE_CLI_SUBCOMMANDS_H
#define SLUICE_CLI_SUBCOMMANDS_H

/* mongosluice check --schema SCHEMA [--quiet] FILE...: prints verdicts on BSON or JSON documents.
 */
int command_check(int argc, char **argv);

/* mongosluice schema COMMAND …: runs a command of the table in schema_command.c. */
int command_schema(int argc, char **argv);

/* mongosluice schema lint FILE...: compiles schema files and prints every problem. */
int command_schema_lint(int argc, char **argv);

/* mongosluice schema diff OLD NEW: 0 NEW accepts all that OLD accepts, 1 it does not, 2 wrong usage
 * or a file with errors, 3 unknown. */
int command_schema_diff(int argc, char **argv);

/* mongosluice audit …: checks stored documents. 0 none breaks its schema, 1 some do, 2 an error. */
int command_audit(int argc, char **argv);

/* mongosluice status …: prints one screen about a running proxy. 0 it is ready, 1 it is not, 2 it
 * does not answer. */
int command_status(int argc, char **argv);

/* mongosluice top …: shows the same screen, live, on a terminal. */
int command_top(int argc, char **argv);

#endif
