#include "cli/diff_report.h"

#include "base/json.h"
#include "cli/extended_json.h"
#include "compare/changes.h"

#include <bson/bson.h>

enum { VALUE_WIDTH = 60 };

struct report {
    struct text *out;
    struct json json;
    bool as_json;
    unsigned changes;
};

static const char *answer_name(enum compatibility_answer answer)
{
    static const char *const names[] = {"unknown", "yes", "no"};
    return names[answer];
}

static void add_document(struct report *report, const char *name, struct bytes document)
{
    char *json = bytes_left(&document) == 0 ? NULL : extended_json_of(document);
    if (report->as_json && json != NULL)
        json_add_raw(&report->json, name, json);
    else if (json != NULL)
        text_format(report->out, "  %s %s\n", name, json);
    bson_free(json);
}

/* --- changes --- */

static void add_value(struct report *report, const char *name, const struct scan_element *value)
{
    char *json = value->kind == BSON_KIND_EOD ? NULL : extended_json_of_value(value);
    if (report->as_json) {
        if (json != NULL)
            json_add_raw(&report->json, name, json);
    } else if (json == NULL) {
        text_add(report->out, "(not there)");
    } else {
        bool cut = strlen(json) > VALUE_WIDTH;
        text_add_bytes(report->out, json, cut ? VALUE_WIDTH : strlen(json));
        text_add(report->out, cut ? "…" : "");
    }
    bson_free(json);
}

static void add_change(void *arg, const struct compatibility_change *change)
{
    struct report *report = arg;
    report->changes++;
    if (!report->as_json) {
        text_format(report->out, "%s: %s: ", change->path[0] == 0 ? "/" : change->path,
                    compatibility_effect(change));
        if (change->path[0] == 0) {
            text_add(report->out, "the dialects differ");
        } else {
            add_value(report, "", &change->old_value);
            text_add(report->out, " -> ");
            add_value(report, "", &change->new_value);
        }
        text_add(report->out, "\n");
        add_document(report, "  NEW refuses:", change->refused_by_new);
        add_document(report, "  OLD refuses:", change->refused_by_old);
        return;
    }
    json_open_object(&report->json, NULL);
    json_add_string(&report->json, "path", change->path);
    json_add_string(&report->json, "effect", compatibility_effect(change));
    add_value(report, "old", &change->old_value);
    add_value(report, "new", &change->new_value);
    json_add_string(&report->json, "keeps_old", answer_name(change->keeps_old));
    json_add_string(&report->json, "keeps_new", answer_name(change->keeps_new));
    add_document(report, "refused_by_new", change->refused_by_new);
    add_document(report, "refused_by_old", change->refused_by_old);
    json_close_object(&report->json);
}

/* --- settings of the files --- */

static void add_setting(struct report *report, const char *field, const char *before,
                        const char *after)
{
    if (strcmp(before, after) == 0)
        return;
    if (!report->as_json) {
        text_format(report->out, "%s: %s -> %s\n", field, before, after);
        return;
    }
    json_open_object(&report->json, NULL);
    json_add_string(&report->json, "field", field);
    json_add_string(&report->json, "old", before);
    json_add_string(&report->json, "new", after);
    json_close_object(&report->json);
}

static void add_settings(struct report *report, const struct schema_file *a,
                         const struct schema_file *b)
{
    add_setting(report, "ns", a->ns == NULL ? "" : a->ns, b->ns == NULL ? "" : b->ns);
    add_setting(report, "level", schema_level_names[a->level], schema_level_names[b->level]);
    add_setting(report, "action", schema_action_names[a->action], schema_action_names[b->action]);
    add_setting(report, "unproved", a->reject_unproved ? "reject" : "allow",
                b->reject_unproved ? "reject" : "allow");
    add_setting(report, "allow_bypass", a->allow_bypass ? "true" : "false",
                b->allow_bypass ? "true" : "false");
}

/* --- the whole --- */

struct side {
    const struct schema *schemas[SCHEMA_VERSIONS_MAX];
    struct compatibility_side side;
};

static void side_of(const struct schema_file *file, struct side *out)
{
    out->side = (struct compatibility_side){out->schemas, file->version_count};
    for (size_t i = 0; i < file->version_count; i++)
        out->schemas[i] = file->versions[i].schema;
}

static void begin_json(struct report *report, const struct diff_names *names,
                       const struct compatibility *verdict)
{
    json_open_object(&report->json, NULL);
    json_add_string(&report->json, "old", names->old_name);
    json_add_string(&report->json, "new", names->new_name);
    json_add_string(&report->json, "verdict", compatibility_verdict(verdict));
    json_add_string(&report->json, "backward", answer_name(verdict->backward));
    json_add_string(&report->json, "forward", answer_name(verdict->forward));
    add_document(report, "refused_by_new", verdict->refused_by_new);
    add_document(report, "refused_by_old", verdict->refused_by_old);
}

static void end_text(struct report *report, const struct diff_names *names,
                     const struct compatibility *verdict)
{
    if (report->changes == 0)
        text_add(report->out, "no keyword differs\n");
    text_format(report->out, "%s -> %s: %s\n", names->old_name, names->new_name,
                compatibility_verdict(verdict));
    text_format(report->out, "  NEW accepts all that OLD accepts: %s\n",
                answer_name(verdict->backward));
    add_document(report, "  NEW refuses:", verdict->refused_by_new);
    text_format(report->out, "  OLD accepts all that NEW accepts: %s\n",
                answer_name(verdict->forward));
    add_document(report, "  OLD refuses:", verdict->refused_by_old);
}

bool diff_report(const struct schema_file *old_file, const struct schema_file *new_file,
                 const struct diff_names *names, bool json, struct text *out,
                 enum compatibility_answer *backward, struct error *err)
{
    struct side before;
    struct side after;
    struct compatibility verdict;
    struct report report = {.out = out, .json = json_over(out), .as_json = json};
    side_of(old_file, &before);
    side_of(new_file, &after);
    if (!compatibility_judge(&before.side, &after.side, &verdict, err))
        return false;
    if (json) {
        begin_json(&report, names, &verdict);
        json_open_array(&report.json, "settings");
    }
    add_settings(&report, old_file, new_file);
    if (json) {
        json_close_array(&report.json);
        json_open_array(&report.json, "changes");
    }
    bool ok = compatibility_list_changes(&before.side, &after.side, add_change, &report, err);
    if (json) {
        json_close_array(&report.json);
        json_close_object(&report.json);
        text_add(out, "\n");
    } else {
        end_text(&report, names, &verdict);
    }
    *backward = verdict.backward;
    compatibility_release(&verdict);
    return ok;
}
