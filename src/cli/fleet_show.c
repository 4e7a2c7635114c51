/* mongosluice schema list, show, history: print the contents of a registry. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/fleet_arguments.h"
#include "cli/fleet_commands.h"

/* --- as JSON -----------------------------------------------------------------------------------
 */

static void add_state(struct json *json, const struct fleet_state *state)
{
    json_open_object(json, "state");
    json_add_string(json, "level", schema_level_names[state->level]);
    json_add_string(json, "action", schema_action_names[state->action]);
    json_add_string(json, "unproved", state->reject_unproved ? "reject" : "allow");
    json_add_bool(json, "allow_bypass", state->allow_bypass);
    json_open_array(json, "accepted");
    for (size_t i = 0; i < state->accepted_count; i++) {
        json_open_object(json, NULL);
        json_add_int(json, "version", state->accepted[i].version);
        if (state->accepted[i].until_ms != 0)
            json_add_int(json, "until_ms", state->accepted[i].until_ms);
        json_close_object(json);
    }
    json_close_array(json);
    if (state->candidate != 0)
        json_add_int(json, "candidate", state->candidate);
    json_close_object(json);
}

static void add_version(struct json *json, const struct fleet_version *version, bool text)
{
    json_open_object(json, NULL);
    json_add_int(json, "version", version->number);
    json_add_string(json, "name", version->name);
    json_add_string(json, "dialect", schema_dialect_names[version->dialect]);
    json_add_string(json, "hash", version->hash);
    json_add_int(json, "at_ms", version->at_ms);
    json_add_string(json, "by", version->by);
    if (text)
        json_add_raw(json, "schema", version->text);
    json_close_object(json);
}

static void add_head(struct json *json, const struct fleet_document *document)
{
    json_add_string(json, "ns", document->ns);
    json_add_int(json, "revision", document->revision);
    json_add_int(json, "updated_ms", document->updated_ms);
    add_state(json, &document->state);
}

static void print_text(struct text *text)
{
    (void)printf("%s\n", text->data == NULL || text->cut ? "out of memory" : text->data);
    text_release(text);
}

/* --- list --------------------------------------------------------------------------------------
 */

struct registry_listing {
    bool as_json;
    struct text out;
    struct json json;
    size_t broken;
};

static void list_one(void *arg, const char *ns, struct fleet_document *document,
                     const struct error *problem)
{
    struct registry_listing *listing = arg;
    struct text state = text_growing();
    if (document == NULL) {
        (void)fprintf(stderr, "%s: %s\n", ns, problem->message);
        listing->broken++;
    } else if (listing->as_json) {
        json_break_line(&listing->json);
        json_open_object(&listing->json, NULL);
        add_head(&listing->json, document);
        json_close_object(&listing->json);
    } else {
        fleet_state_text(document, &document->state, &state);
        (void)printf("%-40s revision %lld: %s\n", ns, (long long)document->revision, state.data);
    }
    text_release(&state);
    fleet_document_free(document);
}

int command_schema_list(int argc, char **argv)
{
    static const char usage[] =
        "usage: mongosluice schema list [--json] [flags]\n"
        "Prints a line for each namespace. Exit code 1: a document is invalid.\n" FLEET_USAGE_PLACE;
    static const struct fleet_command command = {usage, FLEET_FLAG_JSON, 0, 0};
    struct fleet_arguments arguments;
    struct error err;
    int exit_code = FLEET_EXIT_DONE;
    if (!fleet_arguments_begin(argc, argv, &command, &arguments, &exit_code))
        return exit_code;
    struct registry_listing listing = {.as_json = arguments.json, .out = text_growing()};
    listing.json = json_over(&listing.out);
    json_open_array(&listing.json, NULL);
    if (!fleet_store_each(arguments.store, NULL, false, list_one, &listing, &err))
        exit_code = fleet_arguments_fail(argv[0], &err);
    else if (listing.broken > 0)
        exit_code = FLEET_EXIT_REFUSED;
    json_break_line(&listing.json);
    json_close_array(&listing.json);
    if (arguments.json && exit_code != FLEET_EXIT_FAILED)
        print_text(&listing.out);
    text_release(&listing.out);
    fleet_arguments_end(&arguments);
    return exit_code;
}

/* --- show --------------------------------------------------------------------------------------
 */

static void show_json(const struct fleet_document *document)
{
    struct text out = text_growing();
    struct json json = json_over(&out);
    json_open_object(&json, NULL);
    add_head(&json, document);
    json_open_array(&json, "versions");
    for (size_t i = 0; i < document->version_count; i++) {
        json_break_line(&json);
        add_version(&json, &document->versions[i], true);
    }
    json_close_array(&json);
    json_close_object(&json);
    print_text(&out);
}

static void show_text(const struct fleet_document *document)
{
    char time[32];
    struct text state = text_growing();
    fleet_state_text(document, &document->state, &state);
    (void)printf("%s\n  revision  %lld, %s\n  in force  %s\n", document->ns,
                 (long long)document->revision, fleet_time_text(document->updated_ms, time),
                 state.data);
    for (size_t i = 0; i < document->version_count; i++) {
        const struct fleet_version *version = &document->versions[i];
        (void)printf("  v%-3d %.12s  %-11s  %s  %s%s%s%s\n", version->number, version->hash,
                     schema_dialect_names[version->dialect], fleet_time_text(version->at_ms, time),
                     version->by, version->name != NULL ? "  " : "",
                     version->name != NULL ? version->name : "",
                     fleet_version_is_used(&document->state, version->number) ? "" : "  (retired)");
    }
    text_release(&state);
}

static int show(const struct fleet_arguments *arguments, const char *command,
                const struct fleet_document *document)
{
    struct error err;
    if (arguments->word_count > 1) { /* the schema of one version, as it was pushed */
        const struct fleet_version *version =
            fleet_version_named(document, arguments->words[1], &err);
        if (version == NULL) {
            (void)fleet_arguments_fail(command, &err);
            return FLEET_EXIT_REFUSED;
        }
        (void)printf("%s\n", version->text);
    } else if (arguments->json) {
        show_json(document);
    } else {
        show_text(document);
    }
    return FLEET_EXIT_DONE;
}

int command_schema_show(int argc, char **argv)
{
    static const char usage[] =
        "usage: mongosluice schema show [--json] [flags] NAMESPACE [VERSION]\n"
        "Prints the settings and versions of a namespace, or the schema of one version. VERSION "
        "is\n"
        "its number, its name, the beginning of its hash, newest, or "
        "candidate.\n" FLEET_USAGE_PLACE;
    static const struct fleet_command command = {usage, FLEET_FLAG_JSON, 1, 2};
    struct fleet_arguments arguments;
    int exit_code = FLEET_EXIT_DONE;
    if (!fleet_arguments_begin(argc, argv, &command, &arguments, &exit_code))
        return exit_code;
    struct fleet_document *document =
        fleet_arguments_get(&arguments, argv[0], arguments.words[0], false, &exit_code);
    if (document != NULL)
        exit_code = show(&arguments, argv[0], document);
    fleet_document_free(document);
    fleet_arguments_end(&arguments);
    return exit_code;
}

/* --- history -----------------------------------------------------------------------------------
 */

static void history_json(const struct fleet_document *document)
{
    struct text out = text_growing();
    struct json json = json_over(&out);
    json_open_array(&json, NULL);
    for (size_t i = 0; i < document->step_count; i++) {
        const struct fleet_step *step = &document->steps[i];
        json_break_line(&json);
        json_open_object(&json, NULL);
        json_add_int(&json, "revision", step->revision);
        json_add_int(&json, "at_ms", step->at_ms);
        json_add_string(&json, "by", step->by);
        json_add_string(&json, "action", fleet_action_names[step->action]);
        json_add_string(&json, "note", step->note);
        add_state(&json, &step->state);
        json_close_object(&json);
    }
    json_break_line(&json);
    json_close_array(&json);
    print_text(&out);
}

static void history_text(const struct fleet_document *document)
{
    char time[32];
    for (size_t i = document->step_count; i-- > 0;) {
        const struct fleet_step *step = &document->steps[i];
        struct text state = text_growing();
        fleet_state_text(document, &step->state, &state);
        (void)printf("%lld  %s  %s  %s: %s%s%s\n", (long long)step->revision,
                     fleet_time_text(step->at_ms, time), step->by, fleet_action_names[step->action],
                     state.data, step->note != NULL ? "  # " : "",
                     step->note != NULL ? step->note : "");
        text_release(&state);
    }
}

int command_schema_history(int argc, char **argv)
{
    static const char usage[] =
        "usage: mongosluice schema history [--json] [flags] NAMESPACE\n"
        "Prints the changes of a namespace with time and author, newest first.\n" FLEET_USAGE_PLACE;
    static const struct fleet_command command = {usage, FLEET_FLAG_JSON, 1, 1};
    struct fleet_arguments arguments;
    int exit_code = FLEET_EXIT_DONE;
    if (!fleet_arguments_begin(argc, argv, &command, &arguments, &exit_code))
        return exit_code;
    struct fleet_document *document =
        fleet_arguments_get(&arguments, argv[0], arguments.words[0], false, &exit_code);
    if (document != NULL) {
        exit_code = FLEET_EXIT_DONE;
        if (arguments.json)
            history_json(document);
        else
            history_text(document);
    }
    fleet_document_free(document);
    fleet_arguments_end(&arguments);
    return exit_code;
}
