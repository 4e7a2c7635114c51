/* mongosluice schema status: shows which proxies have the registry's newest state. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/fleet_arguments.h"
#include "cli/fleet_commands.h"
#include "fleet/fleet_known.h"

static const char usage[] =
    "usage: mongosluice schema status [--json] [flags] [NAMESPACE]\n"
    "Prints a line for each proxy that follows the registry: whether it has the newest state of\n"
    "all namespaces, or of one. Exit code 1: a proxy is behind, or there is none. A proxy without\n"
    "a report for a minute is silent and does not count.\n"
    "  --wait TIME            waits until no proxy is behind, at most this time "
    "(90s)\n" FLEET_USAGE_PLACE;

enum { SILENT_MS = 60000, LISTED_MAX = 5, POLL_MS = 200 };

struct survey {
    const struct fleet_arguments *arguments;
    struct known_table wanted; /* the registry's: namespace and revision */
    size_t wanted_count;
    struct text out;
    struct json json;
    int64_t now_ms;
    bool quiet;     /* prints nothing, because another look follows */
    size_t proxies; /* all proxies with a report */
    size_t silent;
    size_t behind; /* proxies that are not silent and lack a revision */
};

/* --- what there is -----------------------------------------------------------------------------
 */

static void want(void *arg, const char *ns, int64_t revision, int64_t updated_ms)
{
    struct survey *survey = arg;
    (void)updated_ms;
    if (survey->arguments->word_count > 0 && strcmp(ns, survey->arguments->words[0]) != 0)
        return;
    struct known *known = known_get(&survey->wanted, ns);
    if (known == NULL)
        return;
    known->revision = revision;
    survey->wanted_count++;
}

static const char *text_at(const bson_iter_t *parent, const char *name)
{
    bson_iter_t child;
    return bson_iter_recurse(parent, &child) && bson_iter_find(&child, name) &&
                   BSON_ITER_HOLDS_UTF8(&child)
               ? bson_iter_utf8(&child, NULL)
               : "";
}

static const char *field_text(const bson_t *proxy, const char *name)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, proxy, name) && BSON_ITER_HOLDS_UTF8(&at)
               ? bson_iter_utf8(&at, NULL)
               : "?";
}

static bool open_list(const bson_t *proxy, const char *name, bson_iter_t *items)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, proxy, name) && BSON_ITER_HOLDS_ARRAY(&at) &&
           bson_iter_recurse(&at, items);
}

/* --- one proxy ---------------------------------------------------------------------------------
 */

/* {namespace: revision} in one binary value. */
static bool open_revisions(const bson_t *proxy, bson_t *revisions)
{
    bson_iter_t at;
    bson_subtype_t subtype = BSON_SUBTYPE_BINARY;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (!bson_iter_init_find(&at, proxy, "revisions") || !BSON_ITER_HOLDS_BINARY(&at))
        return false;
    bson_iter_binary(&at, &subtype, &len, &data);
    return bson_init_static(revisions, data, len) &&
           bson_validate(revisions, BSON_VALIDATE_NONE, NULL);
}

/* Marks the revisions that the proxy has, and counts the others. */
static size_t count_behind(struct survey *survey, const bson_t *proxy, unsigned mark)
{
    bson_t revisions;
    bson_iter_t items;
    size_t has = 0;
    if (!open_revisions(proxy, &revisions) || !bson_iter_init(&items, &revisions))
        return survey->wanted_count;
    while (bson_iter_next(&items)) {
        struct known *known = known_find(&survey->wanted, bson_iter_key(&items));
        if (known == NULL || known->seen == mark || bson_iter_as_int64(&items) < known->revision)
            continue;
        known->seen = mark;
        has++;
    }
    return survey->wanted_count - has;
}

static void add_behind(const struct survey *survey, unsigned mark, struct json *json)
{
    size_t listed = 0;
    json_open_array(json, "behind");
    for (const struct known *known = survey->wanted.of; known != NULL && listed < LISTED_MAX;
         known = known->hh.next) {
        if (known->seen == mark)
            continue;
        json_add_string(json, NULL, known->ns);
        listed++;
    }
    json_close_array(json);
}

static void print_broken(const bson_t *proxy)
{
    bson_iter_t items;
    size_t listed = 0;
    if (!open_list(proxy, "broken", &items))
        return;
    while (bson_iter_next(&items) && listed++ < LISTED_MAX)
        if (BSON_ITER_HOLDS_DOCUMENT(&items))
            (void)printf("    broken: %.255s: %.255s\n", text_at(&items, "ns"),
                         text_at(&items, "reason"));
}

struct proxy_line {
    struct survey *survey;
    const bson_t *proxy;
    bool silent;
    int64_t age_ms;
    size_t behind;
    unsigned mark;
};

static void print_proxy(const struct proxy_line *line)
{
    struct survey *survey = line->survey;
    size_t listed = 0;
    (void)printf("%-40s %-13s seen %lld s ago  %s\n", field_text(line->proxy, "_id"),
                 field_text(line->proxy, "mode"), (long long)(line->age_ms / 1000),
                 line->silent        ? "silent"
                 : line->behind == 0 ? "has it"
                                     : "behind");
    if (line->silent)
        return;
    for (const struct known *known = survey->wanted.of;
         line->behind > 0 && known != NULL && listed < LISTED_MAX; known = known->hh.next)
        if (known->seen != line->mark && ++listed > 0)
            (void)printf("    behind: %s, revision %lld\n", known->ns, (long long)known->revision);
    if (line->behind > LISTED_MAX)
        (void)printf("    behind: %zu more\n", line->behind - LISTED_MAX);
    print_broken(line->proxy);
}

static void add_proxy(const struct proxy_line *line)
{
    struct json *json = &line->survey->json;
    json_break_line(json);
    json_open_object(json, NULL);
    json_add_string(json, "proxy", field_text(line->proxy, "_id"));
    json_add_string(json, "version", field_text(line->proxy, "version"));
    json_add_string(json, "mode", field_text(line->proxy, "mode"));
    json_add_int(json, "seen_ms_ago", line->age_ms);
    json_add_bool(json, "silent", line->silent);
    json_add_uint(json, "behind_count", line->behind);
    add_behind(line->survey, line->mark, json);
    json_close_object(json);
}

static void survey_proxy(void *arg, const bson_t *proxy)
{
    struct survey *survey = arg;
    bson_iter_t at;
    struct proxy_line line = {.survey = survey, .proxy = proxy};
    int64_t seen_ms = bson_iter_init_find(&at, proxy, "seen") && BSON_ITER_HOLDS_DATE_TIME(&at)
                          ? bson_iter_date_time(&at)
                          : 0;
    line.mark = (unsigned)++survey->proxies;
    line.age_ms = survey->now_ms > seen_ms ? survey->now_ms - seen_ms : 0;
    line.silent = line.age_ms > SILENT_MS;
    line.behind = count_behind(survey, proxy, line.mark);
    survey->behind += !line.silent && line.behind > 0;
    if (line.silent)
        survey->silent++;
    if (survey->quiet)
        return;
    if (survey->arguments->json)
        add_proxy(&line);
    else
        print_proxy(&line);
}

/* --- all of them -------------------------------------------------------------------------------
 */

static void forget(struct survey *survey)
{
    known_clear(&survey->wanted);
    survey->wanted_count = survey->proxies = survey->silent = survey->behind = 0;
}

static bool look(struct survey *survey, bool quiet, struct error *err)
{
    forget(survey);
    survey->quiet = quiet;
    survey->now_ms = clock_wall_ms();
    return fleet_store_revisions(survey->arguments->store, want, survey, err) &&
           fleet_store_each_proxy(survey->arguments->store, survey_proxy, survey, err);
}

static bool is_everywhere(const struct survey *survey)
{
    return survey->behind == 0 && survey->proxies > survey->silent &&
           (survey->wanted_count > 0 || survey->arguments->word_count == 0);
}

static bool wait_for(struct survey *survey, struct error *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    int64_t since_ms = clock_now_ms();
    do {
        if (!look(survey, true, err))
            return false;
        if (is_everywhere(survey))
            return true;
        nanosleep(&pause, NULL);
    } while (clock_now_ms() - since_ms < survey->arguments->wait_ms);
    return true;
}

static void print_end(struct survey *survey)
{
    if (!survey->arguments->json) {
        (void)printf("%zu namespaces, %zu proxies, %zu silent, %zu behind\n", survey->wanted_count,
                     survey->proxies, survey->silent, survey->behind);
        return;
    }
    json_break_line(&survey->json);
    json_close_array(&survey->json);
    json_add_uint(&survey->json, "namespaces", survey->wanted_count);
    json_add_uint(&survey->json, "silent", survey->silent);
    json_add_uint(&survey->json, "behind", survey->behind);
    json_close_object(&survey->json);
    (void)printf("%s\n", survey->out.data == NULL ? "" : survey->out.data);
}

int command_schema_status(int argc, char **argv)
{
    static const struct fleet_command command = {usage, FLEET_FLAG_JSON | FLEET_FLAG_WAIT, 0, 1};
    struct fleet_arguments arguments;
    struct error err;
    int exit_code = FLEET_EXIT_DONE;
    if (!fleet_arguments_begin(argc, argv, &command, &arguments, &exit_code))
        return exit_code;
    struct survey survey = {.arguments = &arguments, .out = text_growing()};
    survey.json = json_over(&survey.out);
    json_open_object(&survey.json, NULL);
    json_open_array(&survey.json, "proxies");
    if (!wait_for(&survey, &err) || !look(&survey, false, &err)) {
        exit_code = fleet_arguments_fail(argv[0], &err);
    } else {
        print_end(&survey);
        exit_code = is_everywhere(&survey) ? FLEET_EXIT_DONE : FLEET_EXIT_REFUSED;
    }
    text_release(&survey.out);
    forget(&survey);
    fleet_arguments_end(&arguments);
    return exit_code;
}
