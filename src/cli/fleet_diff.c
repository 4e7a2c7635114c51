/* mongosluice schema diff with a registry: compares a file with the newest version, or two
 * versions. */
#include "cli/fleet_diff.h"

#include <stdio.h>
#include <string.h>

#include "cli/diff_report.h"
#include "cli/fleet_arguments.h"
#include "cli/fleet_commands.h"
#include "cli/subcommands.h"
#include "fleet/fleet_render.h"

static const char usage[] =
    "usage: mongosluice schema diff [--json] [flags] FILE\n"
    "       mongosluice schema diff [--json] [flags] NAMESPACE OLD NEW\n"
    "       mongosluice schema diff [--json] OLD_FILE NEW_FILE\n"
    "Compares the newest version of a registry with a file, two versions, or two files. Exit\n"
    "codes: 0 backward or full, 1 the newer one refuses a document that the older one accepts,\n"
    "2 wrong usage or no reply, 3 unknown.\n" FLEET_USAGE_PLACE;

bool fleet_diff_load(const struct fleet_document *document, const struct fleet_version *version,
                     struct schema_file *file, struct error *err)
{
    struct text text = text_growing();
    bool ok = fleet_render_version(document, version, &text, err) &&
              schema_file_parse(text.data, text.len, NULL, NULL, file, err);
    text_release(&text);
    return ok;
}

static int print(const struct fleet_arguments *arguments, const char *command,
                 const struct schema_file *old_file, const struct schema_file *new_file,
                 const struct diff_names *names)
{
    static const int codes[] = {FLEET_EXIT_CONFLICT /* unknown */, FLEET_EXIT_DONE,
                                FLEET_EXIT_REFUSED};
    struct error err;
    struct text out = text_growing();
    enum compatibility_answer backward = COMPATIBILITY_UNKNOWN;
    int exit_code = FLEET_EXIT_FAILED;
    if (diff_report(old_file, new_file, names, arguments->json, &out, &backward, &err)) {
        (void)fputs(out.data, stdout);
        exit_code = codes[backward];
    } else {
        (void)fleet_arguments_fail(command, &err);
    }
    text_release(&out);
    return exit_code;
}

static int diff_versions(const struct fleet_arguments *arguments, const char *command,
                         const struct fleet_document *document)
{
    struct error err;
    struct schema_file old_file;
    struct schema_file new_file;
    const struct diff_names names = {arguments->words[1], arguments->words[2]};
    const struct fleet_version *old_version = fleet_version_named(document, names.old_name, &err);
    const struct fleet_version *new_version =
        old_version == NULL ? NULL : fleet_version_named(document, names.new_name, &err);
    if (new_version == NULL || !fleet_diff_load(document, old_version, &old_file, &err))
        return fleet_arguments_fail(command, &err);
    int exit_code = FLEET_EXIT_FAILED;
    if (fleet_diff_load(document, new_version, &new_file, &err)) {
        exit_code = print(arguments, command, &old_file, &new_file, &names);
        schema_file_release(&new_file);
    } else {
        (void)fleet_arguments_fail(command, &err);
    }
    schema_file_release(&old_file);
    return exit_code;
}

static int diff_newest(const struct fleet_arguments *arguments, const char *command,
                       const struct fleet_document *document, const struct schema_file *new_file)
{
    struct error err;
    struct schema_file old_file;
    char name[32];
    if (fleet_is_empty(document)) {
        (void)fprintf(stderr, "%s: %s accepts no version\n", command, document->ns);
        return FLEET_EXIT_FAILED;
    }
    const struct fleet_version *newest =
        fleet_version_find(document, document->state.accepted[0].version);
    if (!fleet_diff_load(document, newest, &old_file, &err))
        return fleet_arguments_fail(command, &err);
    (void)snprintf(name, sizeof name, "v%d", newest->number);
    const struct diff_names names = {name, arguments->words[0]};
    int exit_code = print(arguments, command, &old_file, new_file, &names);
    schema_file_release(&old_file);
    return exit_code;
}

static int diff_file(const struct fleet_arguments *arguments, const char *command)
{
    struct error err;
    struct schema_file file;
    int exit_code = FLEET_EXIT_FAILED;
    if (!schema_file_load(arguments->words[0], NULL, NULL, &file, &err)) {
        (void)fprintf(stderr, "%s: %s: %s\n", command, arguments->words[0], err.message);
        return FLEET_EXIT_FAILED;
    }
    struct fleet_document *document =
        fleet_arguments_get(arguments, command, file.ns != NULL ? file.ns : "", false, &exit_code);
    exit_code =
        document == NULL ? FLEET_EXIT_FAILED : diff_newest(arguments, command, document, &file);
    fleet_document_free(document);
    schema_file_release(&file);
    return exit_code;
}

static int diff_in_registry(int argc, char **argv)
{
    static const struct fleet_command command = {usage, FLEET_FLAG_JSON, 1, 3};
    struct fleet_arguments arguments;
    int exit_code = FLEET_EXIT_DONE;
    if (!fleet_arguments_begin(argc, argv, &command, &arguments, &exit_code))
        return exit_code;
    if (arguments.word_count == 3) {
        struct fleet_document *document =
            fleet_arguments_get(&arguments, argv[0], arguments.words[0], false, &exit_code);
        exit_code =
            document == NULL ? FLEET_EXIT_FAILED : diff_versions(&arguments, argv[0], document);
        fleet_document_free(document);
    } else if (arguments.word_count == 1) {
        exit_code = diff_file(&arguments, argv[0]);
    } else {
        (void)fprintf(stderr, "%s: name a file, or a namespace and two versions\n%s", argv[0],
                      usage);
        exit_code = FLEET_EXIT_FAILED;
    }
    fleet_arguments_end(&arguments);
    return exit_code;
}

/* Two words without a flag of a registry name two files. */
int command_schema_diff_any(int argc, char **argv)
{
    int words = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0) {
            (void)fputs(usage, stdout);
            return FLEET_EXIT_DONE;
        }
        if (strncmp(word, "--registry", 10) == 0 || strncmp(word, "--collection", 12) == 0 ||
            strncmp(word, "--config", 8) == 0)
            return diff_in_registry(argc, argv);
        words += word[0] != '-' || word[1] == 0;
    }
    return words == 1 || words == 3 ? diff_in_registry(argc, argv)
                                    : command_schema_diff(argc, argv);
}
