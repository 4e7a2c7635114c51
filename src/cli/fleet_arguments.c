#include "cli/fleet_arguments.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/quantity.h"

#define DEFAULT_REGISTRY "mongosluice.schemas"

/* Over 31 years. */
#define DURATION_MAX_MS INT64_C(1000000000000)

/* --- values ------------------------------------------------------------------------------------
 */

/* "90s", "15m", "12h", "7d": a time needs its unit. */
static bool read_duration(const char *flag, const char *text, int64_t *out, struct error *err)
{
    bool has_unit = text[strspn(text, "0123456789")] != 0;
    if (has_unit && quantity_read(QUANTITY_MS, text, out) && *out > 0 && *out <= DURATION_MAX_MS)
        return true;
    return error_set(err, ERROR_BAD_VALUE,
                     "--%s takes a time such as 90s, 15m, 12h or 7d, not '%.50s'", flag, text);
}

static bool read_revision(const char *text, int64_t *out, struct error *err)
{
    char *end = NULL;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || number > INT64_MAX)
        return error_set(err, ERROR_BAD_VALUE, "--revision takes a number, not '%.50s'", text);
    *out = (int64_t)number;
    return true;
}

static bool read_word(const char *flag, const char *text, const char **out, struct error *err)
{
    size_t len = strlen(text);
    if (len == 0 || len > FLEET_WORD_BYTES_MAX || !bson_utf8_validate(text, len, false))
        return error_set(err, ERROR_BAD_VALUE, "--%s takes 1 to %d bytes of UTF-8", flag,
                         FLEET_WORD_BYTES_MAX);
    *out = text;
    return true;
}

/* USER@HOST, the default author. */
static void guess_author(struct fleet_arguments *arguments)
{
    char host[128] = "?";
    const struct passwd *user = getpwuid(getuid());
    const char *named = getenv("MONGOSLUICE_AUTHOR");
    struct error ignored;
    if (named != NULL && read_word("by", named, &arguments->author.by, &ignored))
        return;
    if (gethostname(host, sizeof host - 1) != 0)
        (void)snprintf(host, sizeof host, "?");
    if (user != NULL)
        (void)snprintf(arguments->author_text, sizeof arguments->author_text, "%.100s@%.100s",
                       user->pw_name, host);
    else
        (void)snprintf(arguments->author_text, sizeof arguments->author_text, "uid %ld@%.100s",
                       (long)getuid(), host);
    arguments->author.by = arguments->author_text;
}

/* --- flags -------------------------------------------------------------------------------------
 */

enum letter {
    REGISTRY = 1,
    COLLECTION,
    CONFIG,
    HELP,
    DRY_RUN,
    JSON,
    CANDIDATE,
    ALLOW,
    KEEP,
    RETIRE_OTHERS,
    ALL,
    OTHERS,
    IN,
    NAME,
    OUT,
    VERSIONS,
    WAIT,
    REVISION,
    BY,
    NOTE,
    KEEP_SETTINGS
};

static const struct option options[] = {
    {"registry", required_argument, NULL, REGISTRY},
    {"collection", required_argument, NULL, COLLECTION},
    {"config", required_argument, NULL, CONFIG},
    {"help", no_argument, NULL, HELP},
    {"dry-run", no_argument, NULL, DRY_RUN},
    {"json", no_argument, NULL, JSON},
    {"candidate", no_argument, NULL, CANDIDATE},
    {"allow-incompatible", no_argument, NULL, ALLOW},
    {"keep", required_argument, NULL, KEEP},
    {"retire-others", no_argument, NULL, RETIRE_OTHERS},
    {"all", no_argument, NULL, ALL},
    {"others", no_argument, NULL, OTHERS},
    {"in", required_argument, NULL, IN},
    {"name", required_argument, NULL, NAME},
    {"out", required_argument, NULL, OUT},
    {"versions", no_argument, NULL, VERSIONS},
    {"wait", required_argument, NULL, WAIT},
    {"revision", required_argument, NULL, REVISION},
    {"by", required_argument, NULL, BY},
    {"note", required_argument, NULL, NOTE},
    {"keep-settings", no_argument, NULL, KEEP_SETTINGS},
    {NULL, 0, NULL, 0},
};

/* The bit of a flag that only some commands take; 0: every command takes it. */
static unsigned flag_of(int letter)
{
    static const unsigned flags[] = {[DRY_RUN] = FLEET_FLAG_DRY_RUN,
                                     [JSON] = FLEET_FLAG_JSON,
                                     [CANDIDATE] = FLEET_FLAG_CANDIDATE,
                                     [ALLOW] = FLEET_FLAG_ALLOW_INCOMPATIBLE,
                                     [KEEP] = FLEET_FLAG_KEEP,
                                     [RETIRE_OTHERS] = FLEET_FLAG_KEEP,
                                     [ALL] = FLEET_FLAG_ALL,
                                     [OTHERS] = FLEET_FLAG_OTHERS,
                                     [IN] = FLEET_FLAG_IN,
                                     [NAME] = FLEET_FLAG_NAME,
                                     [OUT] = FLEET_FLAG_OUT,
                                     [VERSIONS] = FLEET_FLAG_VERSIONS,
                                     [WAIT] = FLEET_FLAG_WAIT,
                                     [REVISION] = FLEET_FLAG_REVISION,
                                     [BY] = FLEET_FLAG_AUTHOR,
                                     [NOTE] = FLEET_FLAG_AUTHOR,
                                     [KEEP_SETTINGS] = FLEET_FLAG_KEEP_SETTINGS};
    return flags[letter];
}

/* The place of the registry, from the flags. */
struct place {
    const char *uri;
    const char *collection;
    const char *config;
};

static bool take_value(struct fleet_arguments *arguments, struct place *place, int letter,
                       struct error *err)
{
    switch (letter) {
    case REGISTRY:
        place->uri = optarg;
        return true;
    case COLLECTION:
        place->collection = optarg;
        return true;
    case CONFIG:
        place->config = optarg;
        return true;
    case KEEP:
        return read_duration("keep", optarg, &arguments->keep_ms, err);
    case IN:
        return read_duration("in", optarg, &arguments->in_ms, err);
    case WAIT:
        return read_duration("wait", optarg, &arguments->wait_ms, err);
    case REVISION:
        return read_revision(optarg, &arguments->revision, err);
    case BY:
        return read_word("by", optarg, &arguments->author.by, err);
    case NOTE:
        return read_word("note", optarg, &arguments->author.note, err);
    case NAME:
        return read_word("name", optarg, &arguments->name, err);
    default:
        arguments->out = optarg;
        return true;
    }
}

/* False: the flag is unknown or takes a value. */
static bool take_switch(struct fleet_arguments *arguments, int letter)
{
    bool *const switches[] = {[DRY_RUN] = &arguments->dry_run,
                              [JSON] = &arguments->json,
                              [CANDIDATE] = &arguments->candidate,
                              [ALLOW] = &arguments->allow_incompatible,
                              [RETIRE_OTHERS] = &arguments->retire_others,
                              [ALL] = &arguments->all,
                              [OTHERS] = &arguments->others,
                              [VERSIONS] = &arguments->versions,
                              [KEEP_SETTINGS] = &arguments->keep_settings};
    if (switches[letter] == NULL)
        return false;
    *switches[letter] = true;
    return true;
}

static bool read_flags(int argc, char **argv, unsigned flags, struct fleet_arguments *arguments,
                       struct place *place, bool *help, struct error *err)
{
    int letter = 0;
    optind = 1;
    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (letter == '?')
            return error_set(err, ERROR_BAD_VALUE, "wrong arguments");
        if (letter == HELP) {
            *help = true;
            return true;
        }
        if ((flag_of(letter) & ~flags) != 0)
            return error_set(err, ERROR_BAD_VALUE, "this command has no flag --%s",
                             options[letter - 1].name);
        if (!take_switch(arguments, letter) && !take_value(arguments, place, letter, err))
            return false;
    }
    arguments->words = argv + optind;
    arguments->word_count = argc - optind;
    return true;
}

/* --- the registry ------------------------------------------------------------------------------
 */

/* Uses the flags first, then the environment, which hides a password from the list of processes,
 * then the proxy's configuration. */
static bool find_place(struct fleet_arguments *arguments, struct place *place, struct error *err)
{
    if (place->config != NULL &&
        !config_load_file(place->config, CONFIG_USE_ALL, &arguments->config, err))
        return false;
    if (place->uri == NULL)
        place->uri = getenv("MONGOSLUICE_REGISTRY");
    if (place->uri == NULL && arguments->config != NULL)
        place->uri = arguments->config->schemas_registry_uri[0] != 0
                         ? arguments->config->schemas_registry_uri
                         : arguments->config->upstream;
    if (place->collection == NULL && arguments->config != NULL &&
        arguments->config->schemas_registry[0] != 0)
        place->collection = arguments->config->schemas_registry;
    if (place->collection == NULL)
        place->collection = DEFAULT_REGISTRY;
    return place->uri != NULL || error_set(err, ERROR_BAD_VALUE,
                                           "name the registry: --registry URI, the environment "
                                           "variable MONGOSLUICE_REGISTRY, or --config FILE");
}

static bool open_registry(struct fleet_arguments *arguments, struct place *place, struct error *err)
{
    if (!find_place(arguments, place, err))
        return false;
    arguments->uri = uri_parse(place->uri, err);
    if (arguments->uri == NULL)
        return false;
    arguments->store = fleet_store_open(arguments->uri, place->collection, err);
    return arguments->store != NULL;
}

static bool check_words(const struct fleet_arguments *arguments,
                        const struct fleet_command *command, struct error *err)
{
    if (arguments->word_count < command->words_min)
        return error_set(err, ERROR_BAD_VALUE, "an argument is missing");
    return command->words_max < 0 || arguments->word_count <= command->words_max ||
           error_set(err, ERROR_BAD_VALUE, "unexpected argument '%.100s'",
                     arguments->words[command->words_max]);
}

bool fleet_arguments_begin(int argc, char **argv, const struct fleet_command *command,
                           struct fleet_arguments *arguments, int *exit_code)
{
    struct error err;
    struct place place = {0};
    bool help = false;
    *arguments = (struct fleet_arguments){.revision = -1};
    guess_author(arguments);
    arguments->author.at_ms = clock_wall_ms();
    bool ok = read_flags(argc, argv, command->flags, arguments, &place, &help, &err);
    if (ok && help) {
        (void)fputs(command->usage, stdout);
        *exit_code = FLEET_EXIT_DONE;
        return false;
    }
    if (ok && check_words(arguments, command, &err) && open_registry(arguments, &place, &err))
        return true;
    (void)fprintf(stderr, "%s: %s\n%s", argv[0], err.message, command->usage);
    *exit_code = FLEET_EXIT_FAILED;
    fleet_arguments_end(arguments);
    return false;
}

void fleet_arguments_end(struct fleet_arguments *arguments)
{
    fleet_store_close(arguments->store);
    uri_free(arguments->uri);
    config_release(arguments->config);
}

int fleet_arguments_fail(const char *command, const struct error *err)
{
    (void)fprintf(stderr, "%s: %s\n", command, err->message);
    return FLEET_EXIT_FAILED;
}

struct fleet_document *fleet_arguments_get(const struct fleet_arguments *arguments,
                                           const char *command, const char *ns, bool may_be_new,
                                           int *exit_code)
{
    struct error err = {0};
    struct fleet_document *document = NULL;
    *exit_code = FLEET_EXIT_FAILED;
    if (!fleet_is_namespace(ns, strlen(ns)))
        (void)error_set(&err, ERROR_INVALID_NAMESPACE,
                        "'%.300s' is not a namespace: use DATABASE.COLLECTION", ns);
    else if (fleet_store_get(arguments->store, ns, &document, &err) && document == NULL) {
        *exit_code = FLEET_EXIT_REFUSED;
        if (may_be_new)
            document = fleet_document_new(ns);
        if (document == NULL)
            (void)error_set(&err, ERROR_BAD_VALUE,
                            "the registry %s has no schema for %s; push one (schema push)",
                            fleet_store_name(arguments->store), ns);
    }
    if (document != NULL && arguments->revision >= 0 && document->revision != arguments->revision) {
        *exit_code = FLEET_EXIT_CONFLICT;
        (void)error_set(&err, ERROR_BAD_VALUE, "%s is at revision %lld, not %lld", ns,
                        (long long)document->revision, (long long)arguments->revision);
        fleet_document_free(document);
        document = NULL;
    }
    if (document == NULL)
        (void)fleet_arguments_fail(command, &err);
    return document;
}

int fleet_arguments_store(const struct fleet_arguments *arguments, const char *command,
                          const struct fleet_document *document, int64_t revision)
{
    struct error err;
    if (arguments->dry_run)
        return FLEET_EXIT_DONE;
    switch (fleet_store_put(arguments->store, document, revision, &err)) {
    case FLEET_STORED:
        return FLEET_EXIT_DONE;
    case FLEET_CONFLICT:
        (void)fprintf(stderr,
                      "%s: another command changed %s at the same time; look at the change (schema "
                      "history %s) and try again\n",
                      command, document->ns, document->ns);
        return FLEET_EXIT_CONFLICT;
    case FLEET_PUT_FAILED:
        break;
    }
    return fleet_arguments_fail(command, &err);
}

/* --- texts -------------------------------------------------------------------------------------
 */

const char *fleet_time_text(int64_t ms, char out[32])
{
    struct tm parts;
    time_t seconds = (time_t)(ms / 1000);
    if (gmtime_r(&seconds, &parts) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M:%SZ", &parts) == 0)
        (void)snprintf(out, 32, "?");
    return out;
}

static void add_version(const struct fleet_document *document, int32_t number, struct text *out)
{
    const struct fleet_version *version = fleet_version_find(document, number);
    text_format(out, "v%d", number);
    if (version != NULL && version->name != NULL)
        text_format(out, " (%s)", version->name);
}

void fleet_state_text(const struct fleet_document *document, const struct fleet_state *state,
                      struct text *out)
{
    char time[32];
    if (state->accepted_count == 0)
        text_add(out, "retired: nothing is enforced");
    for (size_t i = 0; i < state->accepted_count; i++) {
        text_add(out, i == 0 ? "" : ", ");
        add_version(document, state->accepted[i].version, out);
        if (state->accepted[i].until_ms != 0)
            text_format(out, " until %s", fleet_time_text(state->accepted[i].until_ms, time));
    }
    if (state->candidate != 0) {
        text_add(out, "; candidate ");
        add_version(document, state->candidate, out);
    }
    text_format(out, "; %s, %s", schema_level_names[state->level],
                schema_action_names[state->action]);
    if (state->reject_unproved)
        text_add(out, ", unproved rejected");
    if (!state->allow_bypass)
        text_add(out, ", no bypass");
}
