/* mongosluice schema promote, rollback, retire: change the accepted versions in a registry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fleet_arguments.h"
#include "cli/fleet_commands.h"
#include "fleet/fleet_render.h"

enum { CHANGE_FLAGS = FLEET_FLAG_DRY_RUN | FLEET_FLAG_REVISION | FLEET_FLAG_AUTHOR };

/* Changes the document of one namespace, or sets the reason why it cannot. */
typedef enum fleet_outcome change_fn(const struct fleet_arguments *arguments,
                                     struct fleet_document *document, struct error *err);

static int finish(const struct fleet_arguments *arguments, const char *command,
                  struct fleet_document *document, int64_t revision, enum fleet_outcome outcome,
                  struct error *err)
{
    struct text file = text_growing();
    struct text state = text_growing();
    int exit_code = FLEET_EXIT_DONE;
    if (outcome == FLEET_IMPOSSIBLE ||
        (!fleet_is_empty(document) && !fleet_render(document, &file, err))) {
        (void)fleet_arguments_fail(command, err);
        exit_code = FLEET_EXIT_REFUSED;
    } else {
        if (outcome == FLEET_CHANGED)
            exit_code = fleet_arguments_store(arguments, command, document, revision);
        fleet_state_text(document, &document->state, &state);
        if (exit_code == FLEET_EXIT_DONE)
            (void)printf("%s: %srevision %lld: %s\n", document->ns,
                         outcome == FLEET_UNCHANGED ? "unchanged, "
                         : arguments->dry_run       ? "would be "
                                                    : "",
                         (long long)document->revision, state.data);
    }
    text_release(&file);
    text_release(&state);
    return exit_code;
}

static int run(int argc, char **argv, const struct fleet_command *command, change_fn *change)
{
    struct fleet_arguments arguments;
    struct error err = {0};
    int exit_code = FLEET_EXIT_DONE;
    if (!fleet_arguments_begin(argc, argv, command, &arguments, &exit_code))
        return exit_code;
    struct fleet_document *document =
        fleet_arguments_get(&arguments, argv[0], arguments.words[0], false, &exit_code);
    if (document != NULL) {
        int64_t revision = document->revision;
        enum fleet_outcome outcome = change(&arguments, document, &err);
        exit_code = finish(&arguments, argv[0], document, revision, outcome, &err);
    }
    fleet_document_free(document);
    fleet_arguments_end(&arguments);
    return exit_code;
}

static int64_t end_of(const struct fleet_arguments *arguments, int64_t ms)
{
    return ms == 0 ? 0 : arguments->author.at_ms + ms;
}

/* --- promote --- */

static enum fleet_outcome promote(const struct fleet_arguments *arguments,
                                  struct fleet_document *document, struct error *err)
{
    const char *version = arguments->word_count > 1 ? arguments->words[1] : "candidate";
    return fleet_promote(document, version, end_of(arguments, arguments->keep_ms),
                         arguments->retire_others, &arguments->author, err);
}

int command_schema_promote(int argc, char **argv)
{
    static const char usage[] =
        "usage: mongosluice schema promote [flags] NAMESPACE [VERSION]\n"
        "Makes a version the newest one. VERSION is its number, its name, or the beginning of its\n"
        "hash; the default is the candidate. The previous versions stay accepted until they are\n"
        "retired.\n"
        "  --keep TIME            accepts the previous versions for this time (90s, 12h, 7d)\n"
        "  --retire-others        ends the acceptance of the previous versions "
        "now\n" FLEET_USAGE_AUTHOR FLEET_USAGE_PLACE;
    static const struct fleet_command command = {usage, CHANGE_FLAGS | FLEET_FLAG_KEEP, 1, 2};
    return run(argc, argv, &command, promote);
}

/* --- rollback --- */

static enum fleet_outcome rollback(const struct fleet_arguments *arguments,
                                   struct fleet_document *document, struct error *err)
{
    char *end = NULL;
    long long revision = 0;
    if (arguments->word_count > 1) {
        revision = strtoll(arguments->words[1], &end, 10);
        if (*end != 0 || revision < 1) {
            (void)error_set(err, ERROR_BAD_VALUE, "'%.50s' is not a revision: use a number from 1",
                            arguments->words[1]);
            return FLEET_IMPOSSIBLE;
        }
    }
    return fleet_rollback(document, revision, &arguments->author, err);
}

int command_schema_rollback(int argc, char **argv)
{
    static const char usage[] = "usage: mongosluice schema rollback [flags] NAMESPACE [REVISION]\n"
                                "Restores the versions, the candidate and the settings of an "
                                "earlier revision (schema history\n"
                                "lists them); the default is the previous one. The result is a new "
                                "revision.\n" FLEET_USAGE_AUTHOR FLEET_USAGE_PLACE;
    static const struct fleet_command command = {usage, CHANGE_FLAGS, 1, 2};
    return run(argc, argv, &command, rollback);
}

/* --- retire --- */

static enum fleet_outcome retire(const struct fleet_arguments *arguments,
                                 struct fleet_document *document, struct error *err)
{
    bool named = arguments->word_count > 1;
    if (named + arguments->all + arguments->others != 1) {
        (void)error_set(err, ERROR_BAD_VALUE, "name one version, or use --others or --all");
        return FLEET_IMPOSSIBLE;
    }
    if (!named && arguments->in_ms != 0) {
        (void)error_set(err, ERROR_BAD_VALUE, "--in needs a version");
        return FLEET_IMPOSSIBLE;
    }
    if (arguments->all)
        return fleet_retire_all(document, &arguments->author, err);
    if (arguments->others)
        return fleet_retire_others(document, &arguments->author, err);
    return fleet_retire(document, arguments->words[1], end_of(arguments, arguments->in_ms),
                        &arguments->author, err);
}

int command_schema_retire(int argc, char **argv)
{
    static const char usage[] =
        "usage: mongosluice schema retire [flags] NAMESPACE VERSION|--others|--all\n"
        "Ends the acceptance of a version: the proxies then refuse documents that satisfy only "
        "this\n"
        "version. Also drops the candidate.\n"
        "  --others               retires all versions but the newest\n"
        "  --all                  retires all versions: nothing is enforced for the namespace\n"
        "  --in TIME              ends it after this time (90s, 12h, 7d)\n" FLEET_USAGE_AUTHOR
            FLEET_USAGE_PLACE;
    static const struct fleet_command command = {
        usage, CHANGE_FLAGS | FLEET_FLAG_ALL | FLEET_FLAG_OTHERS | FLEET_FLAG_IN, 1, 2};
    return run(argc, argv, &command, retire);
}
