/* mongosluice schema push: stores schema files in a registry. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "cli/diff_report.h"
#include "cli/fleet_arguments.h"
#include "cli/fleet_commands.h"
#include "cli/fleet_diff.h"
#include "fleet/fleet_render.h"

static const char usage[] =
    "usage: mongosluice schema push [flags] FILE|FOLDER...\n"
    "Makes the schema of each file the newest version of its namespace. The previous versions\n"
    "stay accepted until they are retired.\n"
    "  --candidate            stores it as the candidate: proxies count it and enforce nothing\n"
    "  --name NAME            the name of the version (one file only)\n"
    "  --keep TIME            accepts the previous versions for this time (90s, 12h, 7d)\n"
    "  --retire-others        ends the acceptance of the previous versions now\n"
    "  --keep-settings        keeps level, action, unproved, allow_bypass of a namespace\n"
    "  --allow-incompatible   stores it even if it may refuse documents that the newest version\n"
    "                         accepts\n" FLEET_USAGE_AUTHOR FLEET_USAGE_PLACE;

enum {
    COMMAND_FLAGS = FLEET_FLAG_DRY_RUN | FLEET_FLAG_CANDIDATE | FLEET_FLAG_ALLOW_INCOMPATIBLE |
                    FLEET_FLAG_KEEP | FLEET_FLAG_NAME | FLEET_FLAG_REVISION | FLEET_FLAG_AUTHOR |
                    FLEET_FLAG_KEEP_SETTINGS
};

/* A file, and the outcome for its namespace. */
struct pushed {
    char *path;
    char *text; /* owned */
    size_t text_len;
    struct schema_file file;
    struct fleet_document *document;
    int64_t revision; /* before */
    enum fleet_outcome outcome;
};

struct push {
    const char *command;
    const struct fleet_arguments *arguments;
    struct pushed *of;
    size_t count;
    int exit_code;
};

static void worsen(struct push *push, int exit_code)
{
    if (exit_code > push->exit_code)
        push->exit_code = exit_code;
}

/* --- the files ---------------------------------------------------------------------------------
 */

static bool add_path(struct push *push, const char *path)
{
    struct pushed *bigger = memory_resize(push->of, (push->count + 1) * sizeof *bigger);
    if (bigger == NULL)
        return false;
    push->of = bigger;
    bigger[push->count] = (struct pushed){.path = memory_copy_string(path)};
    if (bigger[push->count].path == NULL)
        return false;
    push->count++;
    return true;
}

static int is_schema(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static bool add_folder(struct push *push, const char *folder)
{
    char path[4096];
    struct dirent **names = NULL;
    int count = scandir(folder, &names, is_schema, alphasort);
    bool ok = count >= 0;
    for (int i = 0; i < count; i++) {
        int len = snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        ok = ok && len < (int)sizeof path && add_path(push, path);
        free(names[i]);
    }
    free(names);
    return ok;
}

static bool list_files(struct push *push)
{
    for (int i = 0; i < push->arguments->word_count; i++) {
        const char *word = push->arguments->words[i];
        struct stat what;
        bool folder = stat(word, &what) == 0 && S_ISDIR(what.st_mode);
        if (folder ? !add_folder(push, word) : !add_path(push, word)) {
            (void)fprintf(stderr, "%s: cannot read %s\n", push->command, word);
            return false;
        }
    }
    if (push->count == 0)
        (void)fprintf(stderr, "%s: no schema file there (*.json)\n", push->command);
    return push->count > 0;
}

static void print_problem(void *arg, const struct schema_problem *problem)
{
    const char *path = arg;
    char scratch[32];
    (void)fprintf(stderr, "%s: %s%s%s (%s, %d)\n", path, problem->pointer,
                  problem->pointer[0] == 0 ? "" : ": ", problem->message,
                  error_code_name(problem->code, scratch), problem->code);
}

static const char *why_not(const struct push *push, const struct pushed *pushed)
{
    const struct schema_file *file = &pushed->file;
    if (file->ns == NULL)
        return "the field 'ns' is missing: the registry needs the namespace";
    if (!fleet_is_namespace(file->ns, strlen(file->ns)))
        return "'ns' is not a namespace of MongoDB: use DATABASE.COLLECTION";
    if (file->version_count != 1 || file->candidate.schema != NULL)
        return "the file holds several versions or a candidate; push one file for each version, "
               "oldest first: the registry keeps them side by side";
    for (const struct pushed *other = push->of; other < pushed; other++)
        if (other->file.ns != NULL && strcmp(other->file.ns, file->ns) == 0)
            return "another of these files has the same namespace";
    return NULL;
}

static bool read_file(struct push *push, struct pushed *pushed)
{
    struct error err;
    pushed->text = schema_file_read(pushed->path, &pushed->text_len, &err);
    if (pushed->text == NULL) {
        worsen(push, fleet_arguments_fail(push->command, &err));
        return false;
    }
    bool ok = schema_file_parse(pushed->text, pushed->text_len, print_problem, pushed->path,
                                &pushed->file, &err);
    const char *reason = ok ? why_not(push, pushed) : NULL;
    if (reason != NULL)
        (void)fprintf(stderr, "%s: %s\n", pushed->path, reason);
    if (!ok || reason != NULL)
        worsen(push, FLEET_EXIT_REFUSED);
    return ok && reason == NULL;
}

/* --- the documents -----------------------------------------------------------------------------
 */

static bool change(struct push *push, struct pushed *pushed, struct error *err)
{
    const struct fleet_arguments *arguments = push->arguments;
    const struct schema_version *version = &pushed->file.versions[0];
    struct text file = text_growing();
    struct fleet_push wanted = {.hash = version->hash,
                                .name = arguments->name != NULL ? arguments->name : version->name,
                                .dialect = version->dialect,
                                .level = pushed->file.level,
                                .action = pushed->file.action,
                                .reject_unproved = pushed->file.reject_unproved,
                                .allow_bypass = pushed->file.allow_bypass,
                                .as_candidate = arguments->candidate,
                                .retire_others = arguments->retire_others};
    if (arguments->keep_settings && pushed->document->revision > 0) {
        const struct fleet_state *state = &pushed->document->state;
        wanted.level = state->level;
        wanted.action = state->action;
        wanted.reject_unproved = state->reject_unproved;
        wanted.allow_bypass = state->allow_bypass;
    }
    if (arguments->keep_ms != 0)
        wanted.until_ms = arguments->author.at_ms + arguments->keep_ms;
    if (!fleet_find_schema_text(pushed->text, pushed->text_len, &wanted.text, &wanted.text_len))
        return error_set(err, ERROR_FAILED_TO_PARSE, "the field 'schema' is missing");
    pushed->outcome = fleet_push(pushed->document, &wanted, &arguments->author, err);
    /* as every proxy will render it */
    bool ok = pushed->outcome != FLEET_IMPOSSIBLE && fleet_render(pushed->document, &file, err);
    text_release(&file);
    return ok;
}

/* True if there is a proof that this version accepts all that the newest one accepts. Otherwise it
 * prints the comparison. */
static bool is_compatible(const struct push *push, const struct pushed *pushed, struct error *err)
{
    const struct fleet_document *document = pushed->document;
    struct schema_file old_file;
    struct text report = text_growing();
    char name[32];
    enum compatibility_answer backward = COMPATIBILITY_YES;
    if (push->arguments->candidate || push->arguments->allow_incompatible ||
        fleet_is_empty(document))
        return true;
    const struct fleet_version *newest =
        fleet_version_find(document, document->state.accepted[0].version);
    (void)snprintf(name, sizeof name, "v%d", newest->number);
    const struct diff_names names = {name, pushed->path};
    if (strcmp(newest->hash, pushed->file.versions[0].hash) == 0)
        return true;
    if (!fleet_diff_load(document, newest, &old_file, err))
        return false;
    bool ok = diff_report(&old_file, &pushed->file, &names, false, &report, &backward, err);
    schema_file_release(&old_file);
    if (ok && backward != COMPATIBILITY_YES) {
        (void)fputs(report.data, stderr);
        ok = error_set(err, ERROR_BAD_VALUE,
                       "%s version %d of %s; push it as a --candidate first, or with "
                       "--allow-incompatible",
                       backward == COMPATIBILITY_NO ? "refuses documents that pass by"
                                                    : "may refuse documents that pass by",
                       newest->number, document->ns);
    }
    text_release(&report);
    return ok;
}

static bool prepare_one(struct push *push, struct pushed *pushed)
{
    struct error err;
    int exit_code = FLEET_EXIT_DONE;
    pushed->document =
        fleet_arguments_get(push->arguments, push->command, pushed->file.ns, true, &exit_code);
    if (pushed->document == NULL) {
        worsen(push, exit_code);
        return false;
    }
    pushed->revision = pushed->document->revision;
    if (is_compatible(push, pushed, &err) && change(push, pushed, &err))
        return true;
    (void)fprintf(stderr, "%s: %s\n", pushed->path, err.message);
    worsen(push, FLEET_EXIT_REFUSED);
    return false;
}

static void say(const struct push *push, const struct pushed *pushed)
{
    const struct fleet_document *document = pushed->document;
    struct text state = text_growing();
    fleet_state_text(document, &document->state, &state);
    const char *what = pushed->outcome == FLEET_UNCHANGED ? "unchanged"
                       : push->arguments->dry_run         ? "would be pushed"
                                                          : "pushed";
    (void)printf("%s: %s, revision %lld: %s\n", document->ns, what, (long long)document->revision,
                 state.data);
    text_release(&state);
}

static void store_all(struct push *push)
{
    struct error err;
    bool is_new = false; /* if one namespace has a document, the collections exist */
    for (size_t i = 0; i < push->count; i++)
        is_new = is_new || (push->of[i].outcome == FLEET_CHANGED && push->of[i].revision == 0);
    if (is_new && !push->arguments->dry_run && !fleet_store_prepare(push->arguments->store, &err)) {
        worsen(push, fleet_arguments_fail(push->command, &err));
        return;
    }
    for (size_t i = 0; i < push->count; i++) {
        struct pushed *pushed = &push->of[i];
        int exit_code = FLEET_EXIT_DONE;
        if (pushed->outcome == FLEET_CHANGED)
            exit_code = fleet_arguments_store(push->arguments, push->command, pushed->document,
                                              pushed->revision);
        if (exit_code == FLEET_EXIT_DONE)
            say(push, pushed);
        worsen(push, exit_code);
        if (exit_code == FLEET_EXIT_FAILED)
            return;
    }
}

static void release(struct push *push)
{
    for (size_t i = 0; i < push->count; i++) {
        fleet_document_free(push->of[i].document);
        schema_file_release(&push->of[i].file);
        memory_free(push->of[i].text);
        memory_free(push->of[i].path);
    }
    memory_free(push->of);
}

int command_schema_push(int argc, char **argv)
{
    static const struct fleet_command command = {usage, COMMAND_FLAGS, 1, -1};
    struct fleet_arguments arguments;
    int exit_code = FLEET_EXIT_DONE;
    if (!fleet_arguments_begin(argc, argv, &command, &arguments, &exit_code))
        return exit_code;
    struct push push = {.command = argv[0], .arguments = &arguments};
    if (!list_files(&push))
        push.exit_code = FLEET_EXIT_FAILED;
    /* checks all files before it stores the first */
    for (size_t i = 0; i < push.count && push.exit_code != FLEET_EXIT_FAILED; i++)
        (void)read_file(&push, &push.of[i]);
    for (size_t i = 0; i < push.count && push.exit_code == FLEET_EXIT_DONE; i++)
        (void)prepare_one(&push, &push.of[i]);
    if (push.exit_code == FLEET_EXIT_DONE)
        store_all(&push);
    else
        (void)fprintf(stderr, "%s: nothing was pushed\n", argv[0]);
    release(&push);
    fleet_arguments_end(&arguments);
    return push.exit_code;
}
