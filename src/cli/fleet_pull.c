/* mongosluice schema pull: writes a registry's schemas as schema files. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "catalog/schema_store.h"
#include "cli/fleet_arguments.h"
#include "cli/fleet_commands.h"
#include "fleet/fleet_render.h"

static const char usage[] =
    "usage: mongosluice schema pull [flags] --out FOLDER [NAMESPACE...]\n"
    "Writes the newest version of each namespace (default: all namespaces) as a schema file.\n"
    "Other files in the folder stay unchanged.\n"
    "  --out FOLDER           the folder; created if it does not exist\n"
    "  --versions             all accepted versions and the candidate, as in the proxies' files\n"
    "  --dry-run              prints which files would change; exit code 1 if one "
    "would\n" FLEET_USAGE_PLACE;

struct pull {
    const char *command;
    const struct fleet_arguments *arguments;
    size_t found;
    size_t changed;
    int exit_code;
};

static void fail(struct pull *pull, const char *ns, const char *reason)
{
    (void)fprintf(stderr, "%s: %s: %s\n", pull->command, ns, reason);
    if (pull->exit_code == FLEET_EXIT_DONE)
        pull->exit_code = FLEET_EXIT_REFUSED;
}

static bool is_same(const char *path, const struct text *file)
{
    size_t len = 0;
    struct stat what;
    if (stat(path, &what) != 0)
        return false;
    char *old = schema_file_read(path, &len, NULL);
    bool same = old != NULL && len == file->len && memcmp(old, file->data, len) == 0;
    memory_free(old);
    return same;
}

static bool write_file(struct pull *pull, const struct fleet_document *document,
                       const struct text *file, struct error *err)
{
    char name[NAME_MAX + 1];
    char path[PATH_MAX];
    const char *folder = pull->arguments->out;
    if (!schema_store_name(document->ns, name, sizeof name) ||
        snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return error_set(err, ERROR_BAD_VALUE, "the namespace is too long for a file name");
    if (is_same(path, file))
        return true;
    pull->changed++;
    if (!pull->arguments->dry_run && !schema_store_write(folder, path, file->data, file->len, err))
        return false;
    (void)printf("%s: %s, revision %lld\n", path,
                 pull->arguments->dry_run ? "would change" : "written",
                 (long long)document->revision);
    return true;
}

static void pull_one(void *arg, const char *ns, struct fleet_document *document,
                     const struct error *problem)
{
    struct pull *pull = arg;
    struct error err;
    struct text file = text_growing();
    pull->found++;
    if (document == NULL) {
        fail(pull, ns, problem->message);
    } else if (!fleet_is_empty(document)) {
        const struct fleet_version *newest =
            fleet_version_find(document, document->state.accepted[0].version);
        bool ok = pull->arguments->versions ? fleet_render(document, &file, &err)
                                            : fleet_render_version(document, newest, &file, &err);
        if (!ok || !write_file(pull, document, &file, &err))
            fail(pull, ns, err.message);
    }
    text_release(&file);
    fleet_document_free(document);
}

static bool check_out(const struct fleet_arguments *arguments, struct error *err)
{
    struct stat what;
    if (arguments->out == NULL)
        return error_set(err, ERROR_BAD_VALUE, "name the folder for the files: --out FOLDER");
    if (!arguments->dry_run)
        (void)mkdir(arguments->out, 0755);
    return arguments->dry_run || (stat(arguments->out, &what) == 0 && S_ISDIR(what.st_mode)) ||
           error_set(err, ERROR_BAD_VALUE, "cannot create the folder %.300s", arguments->out);
}

int command_schema_pull(int argc, char **argv)
{
    static const struct fleet_command command = {
        usage, FLEET_FLAG_OUT | FLEET_FLAG_VERSIONS | FLEET_FLAG_DRY_RUN, 0, -1};
    struct fleet_arguments arguments;
    struct error err;
    int exit_code = FLEET_EXIT_DONE;
    if (!fleet_arguments_begin(argc, argv, &command, &arguments, &exit_code))
        return exit_code;
    struct pull pull = {.command = argv[0], .arguments = &arguments};
    bson_t *only = bson_new();
    for (int i = 0; i < arguments.word_count; i++) {
        char index[16];
        const char *key = NULL;
        (void)bson_uint32_to_string((uint32_t)i, &key, index, sizeof index);
        BSON_APPEND_UTF8(only, key, arguments.words[i]);
    }
    if (!check_out(&arguments, &err) ||
        !fleet_store_each(arguments.store, arguments.word_count > 0 ? only : NULL, false, pull_one,
                          &pull, &err))
        pull.exit_code = fleet_arguments_fail(argv[0], &err);
    else if (pull.found < (size_t)arguments.word_count)
        fail(&pull, fleet_store_name(arguments.store),
             "has no schema for some of these namespaces");
    else if (arguments.dry_run && pull.changed > 0 && pull.exit_code == FLEET_EXIT_DONE)
        pull.exit_code = FLEET_EXIT_REFUSED;
    bson_destroy(only);
    fleet_arguments_end(&arguments);
    return pull.exit_code;
}
