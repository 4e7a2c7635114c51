/* What the subcommands over a registry have in common: their flags, where the registry is, and who
 * changes it. */
#ifndef SLUICE_CLI_FLEET_ARGUMENTS_H
#define SLUICE_CLI_FLEET_ARGUMENTS_H

#include "config/config.h"
#include "fleet/fleet_change.h"
#include "fleet/fleet_store.h"

/* Exit codes of these commands. */
enum {
    FLEET_EXIT_DONE,
    FLEET_EXIT_REFUSED, /* a schema with errors, not compatible, different, not everywhere */
    FLEET_EXIT_FAILED,  /* wrong use, or the registry does not answer */
    FLEET_EXIT_CONFLICT /* somebody else changed it at the same time */
};

/* Flags that a command may take beside those that all take; or them. */
enum fleet_flag {
    FLEET_FLAG_DRY_RUN = 1 << 0,
    FLEET_FLAG_JSON = 1 << 1,
    FLEET_FLAG_CANDIDATE = 1 << 2,
    FLEET_FLAG_ALLOW_INCOMPATIBLE = 1 << 3,
    FLEET_FLAG_KEEP = 1 << 4, /* --keep, --retire-others */
    FLEET_FLAG_ALL = 1 << 5,
    FLEET_FLAG_OTHERS = 1 << 6,
    FLEET_FLAG_IN = 1 << 7,
    FLEET_FLAG_NAME = 1 << 8,
    FLEET_FLAG_OUT = 1 << 9,
    FLEET_FLAG_VERSIONS = 1 << 10,
    FLEET_FLAG_WAIT = 1 << 11,
    FLEET_FLAG_REVISION = 1 << 12,
    FLEET_FLAG_AUTHOR = 1 << 13, /* --by, --note */
    FLEET_FLAG_KEEP_SETTINGS = 1 << 14
};

struct fleet_command {
    const char *usage;
    unsigned flags; /* enum fleet_flag */
    int words_min;
    int words_max; /* -1: any number */
};

struct fleet_arguments {
    bool dry_run;
    bool json;
    bool candidate;
    bool allow_incompatible;
    bool keep_settings;
    bool retire_others;
    bool all;
    bool others;
    bool versions;
    int64_t keep_ms; /* from now; 0: for good */
    int64_t in_ms;
    int64_t wait_ms;
    int64_t revision; /* that the namespace must have; -1: any */
    const char *name;
    const char *out;
    char **words;
    int word_count;
    struct fleet_author author;
    char author_text[FLEET_WORD_BYTES_MAX + 1];
    struct config *config; /* NULL: none was named */
    struct uri *uri;
    struct fleet_store *store;
};

/* Reads the arguments and opens the registry, without asking it anything. False, with the exit
 * code: help was asked for, or they are wrong. fleet_arguments_end is due when it is true. */
bool fleet_arguments_begin(int argc, char **argv, const struct fleet_command *command,
                           struct fleet_arguments *arguments, int *exit_code);
void fleet_arguments_end(struct fleet_arguments *arguments);

/* Prints the error. Returns FLEET_EXIT_FAILED. */
int fleet_arguments_fail(const char *command, const struct error *err);

/* Reads the namespace's document, and says so where there is none or it is not at the revision that
 * was asked for. NULL: said, with the exit code. `may_be_new`: one that is not there is made. */
struct fleet_document *fleet_arguments_get(const struct fleet_arguments *arguments,
                                           const char *command, const char *ns, bool may_be_new,
                                           int *exit_code);

/* Stores it in the place of the document with that revision, unless it is a dry run. The exit code;
 * what went wrong is said. */
int fleet_arguments_store(const struct fleet_arguments *arguments, const char *command,
                          const struct fleet_document *document, int64_t revision);

/* "2026-11-30 12:00:00Z"; out has 32 bytes. */
const char *fleet_time_text(int64_t ms, char out[32]);

/* One line about a state: "v3 newest; v2 until …; candidate v4; strict, error". */
void fleet_state_text(const struct fleet_document *document, const struct fleet_state *state,
                      struct text *out);

#endif
