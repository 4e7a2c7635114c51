/* aggregate that writes: $out or $merge as the last stage. What it writes is not known. */
#include "enforce/check.h"

/* The collection that a target names: "c", {db, coll}; in the command's database where it does not
 * say another. */
static const struct registry_entry *find_target(const struct check *check,
                                                const struct scan_element *target)
{
    struct scan_element field;
    struct bytes database = check->command->database;
    const char *text = NULL;
    size_t len = 0;
    if (target->kind != BSON_KIND_OBJECT)
        return check_find(check->command, check->registry, target);
    if (scan_find(target->value, "db", &field) && scan_as_string(&field, &text, &len))
        database = bytes_of(text, len);
    if (!scan_find(target->value, "coll", &field) || !scan_as_string(&field, &text, &len))
        return NULL;
    return judge_find(check->registry, database, text, len);
}

/* The entry that a stage writes to. */
static const struct registry_entry *find_written(const struct check *check, struct bytes stage,
                                                 const char **operator_name)
{
    struct scan scan;
    struct scan_element field;
    struct scan_element into;
    if (!scan_open(&scan, stage) || !scan_next(&scan, &field))
        return NULL;
    *operator_name = field.name;
    if (scan_name_is(&field, "$out"))
        return find_target(check, &field);
    if (!scan_name_is(&field, "$merge"))
        return NULL;
    if (field.kind == BSON_KIND_OBJECT)
        return scan_find(field.value, "into", &into) ? find_target(check, &into) : NULL;
    return find_target(check, &field);
}

static bool is_explained(struct bytes body)
{
    struct scan_element explain;
    return scan_find(body, "explain", &explain) && scan_is_true(&explain);
}

static bool find_last_stage(const struct message_list *pipeline, struct bytes *stage)
{
    struct message_items items;
    bool found = false;
    message_items_open(pipeline, &items);
    while (message_items_next(&items, stage))
        found = true;
    return found;
}

bool check_aggregate(struct check *check)
{
    struct message_list pipeline = {.name = "pipeline"};
    struct judge_reason why = {.text = "the documents that a pipeline writes are not known"};
    struct bytes stage;
    if (!message_read(check->command, &pipeline, 1, &check->options, check->err))
        return false;
    if (!pipeline.found || is_explained(check->command->body) ||
        !find_last_stage(&pipeline, &stage))
        return true;
    const struct registry_entry *entry = find_written(check, stage, &why.operator_name);
    if (entry == NULL)
        return true;
    judge_enter(&check->judge, entry);
    check->judge.bypass = check->options.bypass;
    if (judge_bypasses(&check->judge))
        return true;
    switch (judge_unproved(&check->judge, 0, &why, NULL)) {
    case JUDGED_FAILED:
        return false;
    case JUDGED_REFUSED:
        return check_answer_error(check);
    case JUDGED_PASS:
        break;
    }
    return true;
}

bool concerns_aggregate(const struct registry *registry, const struct enforce_command *command)
{
    struct check check = {.command = command, .registry = registry};
    struct scan scan;
    struct scan_element pipeline;
    struct scan_element stage = {.kind = BSON_KIND_EOD};
    const char *operator_name = NULL;
    if (!scan_find(command->body, "pipeline", &pipeline) || pipeline.kind != BSON_KIND_ARRAY)
        return true; /* in a section of its own, or what the server refuses */
    (void)scan_open(&scan, pipeline.value);
    while (scan_next(&scan, &stage))
        continue;
    return stage.kind == BSON_KIND_OBJECT &&
           find_written(&check, stage.value, &operator_name) != NULL;
}
