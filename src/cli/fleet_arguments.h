/* The common parts of the subcommands over a registry: flags, the place of the registry, the
 * author. */
#ifndef SLUICE_CLI_FLEET_ARGUMENTS_H
#define SLUICE_CLI_FLEET_ARGUMENTS_H

#include "config/config.h"
#include "fleet/fleet_change.h"
#include "fleet/fleet_store.h"

/* Exit codes of these commands. */
enum {
    FLEET_EXIT_DONE,
    FLEET_EXIT_REFUSED, /* errors in a schema, incompatible, different, or a proxy is behind */
    FLEET_EXIT_FAILED,  /* wrong usage, or the registry does not answer */
    FLEET_EXIT_CONFLICT /* another command changed the namespace at the same time */
};

/* Flags that only some commands take. A command's set is their OR. */
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
    int64_t revision; /* required of the namespace; -1: any */
    const char *name;
    const char *out;
    char **words;
    int word_count;
    struct fleet_author author;
    char author_text[FLEET_WORD_BYTES_MAX + 1];
    struct config *config; /* NULL without --config */
    struct uri *uri;
    struct fleet_store *store;
};

/* Reads the arguments and opens the registry; sends nothing yet. False, with the exit code, for
 * --help and for wrong arguments. On true the caller must call fleet_arguments_end. */
bool fleet_arguments_begin(int argc, char **argv, const struct fleet_command *command,
                           struct fleet_arguments *arguments, int *exit_code);
void fleet_arguments_end(struct fleet_arguments *arguments);

/* Prints the error. Returns FLEET_EXIT_FAILED. */
int fleet_arguments_fail(const char *command, const struct error *err);

/* Reads the namespace's document. NULL with the exit code, after a message, if there is none or it
 * has not the required revision. `may_be_new`: makes a missing document. */
struct fleet_document *fleet_arguments_get(const struct fleet_arguments *arguments,
                                           const char *command, const char *ns, bool may_be_new,
                                           int *exit_code);

/* Replaces the document that has that revision, unless it is a dry run. Prints errors and returns
 * the exit code. */
int fleet_arguments_store(const struct fleet_arguments *arguments, const char *command,
                          const struct fleet_document *document, int64_t revision);

/* "2026-11-30 12:00:00Z"; out has 32 bytes. */
const char *fleet_time_text(int64_t ms, char out[32]);

/* One line about a state: "v3, v2 until …; candidate v4; strict, error". */
void fleet_state_text(const struct fleet_document *document, const struct fleet_state *state,
                      struct text *out);

#endif
