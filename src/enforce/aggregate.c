/* aggregate with a writing stage: its documents are unknown. Also views, which must not write. */
#include "enforce/check.h"
#include "enforce/pipeline.h"

/* Examines all pipelines of the body: their effect and their number. */
static size_t look_at_body(const struct concern *concern, struct pipeline *pipeline)
{
    struct wire_fields fields;
    struct scan_element field;
    size_t count = 0;
    pipeline_begin(pipeline, concern->registry, concern->command->parsed->database,
                   concern->guarded);
    wire_fields_open(&fields, concern->command->parsed);
    while (pipeline->says == PIPELINE_READS && wire_fields_next(&fields, &field)) {
        if (!SCAN_NAME_IS(&field, "pipeline"))
            continue;
        count++;
        if (field.kind == BSON_KIND_ARRAY)
            pipeline_take_array(pipeline, field.value);
        else
            pipeline_take(pipeline, &field);
    }
    return count;
}

/* Does the same for document sequences. */
static void look_at_sequences(const struct concern *concern, struct pipeline *pipeline)
{
    const struct document_list *list = NULL;
    pipeline_begin(pipeline, concern->registry, concern->command->parsed->database,
                   concern->guarded);
    for (size_t i = 0; (list = wire_command_sequence(concern->command->parsed, i)) != NULL; i++) {
        struct list_walk items;
        struct scan_element stage = {.kind = BSON_KIND_OBJECT};
        list_walk_open(&items, list);
        while (pipeline->says == PIPELINE_READS && list_walk_next(&items, &stage.value))
            pipeline_take(pipeline, &stage);
    }
}

bool concerns_aggregate(const struct concern *concern)
{
    struct pipeline pipeline;
    size_t pipelines = look_at_body(concern, &pipeline);
    return pipeline.says != PIPELINE_READS || (concern->guarded && pipelines > 1) ||
           concern->sequences;
}

/* In a database without a schema, only a pipeline that reaches another database is refused for its
 * form. */
static bool is_free(const struct concern *concern)
{
    struct pipeline pipeline;
    if (concern->guarded || concern->command->parsed->lists_left_out)
        return false;
    (void)look_at_body(concern, &pipeline);
    if (pipeline.says == PIPELINE_READS)
        look_at_sequences(concern, &pipeline);
    return pipeline.says == PIPELINE_READS;
}

static bool is_explained(const struct grammar_found *found)
{
    return grammar_has(found, MEANS_EXPLAIN) && grammar_is_true(&found->at[MEANS_EXPLAIN]);
}

bool check_aggregate(struct check *check)
{
    struct judge_reason why = {.text =
                                   "the documents of the pipeline are not known before the write"};
    struct pipeline pipeline;
    struct grammar_found found;
    if (is_free(&check->concern))
        return true;
    if (!message_read(check->command, &grammar_aggregate, &found, &check->options, check->err))
        return false;
    pipeline_begin(&pipeline, check->concern.registry, check->command->parsed->database,
                   check->concern.guarded);
    pipeline.collectionless = found.at[MEANS_COLLECTION].kind != BSON_KIND_STRING;
    pipeline_take_array(&pipeline, found.at[MEANS_PIPELINE].value);
    if (pipeline.says == PIPELINE_WRONG) {
        *check->err = pipeline.err;
        return false;
    }
    if (pipeline.says == PIPELINE_READS || is_explained(&found))
        return true;
    why.operator_name = pipeline.operator_name;
    return check_unproved(check, pipeline.target, &why);
}

/* --- create and collMod --- */

bool concerns_view(const struct concern *concern)
{
    struct pipeline pipeline;
    (void)look_at_body(concern, &pipeline);
    return pipeline.says != PIPELINE_READS || concern->sequences;
}

bool check_view(struct check *check)
{
    struct pipeline pipeline;
    if (!check_no_sequences(check))
        return false;
    (void)look_at_body(&check->concern, &pipeline);
    if (pipeline.says == PIPELINE_READS)
        return true;
    if (pipeline.says == PIPELINE_WRONG)
        *check->err = pipeline.err;
    else
        (void)error_set(check->err, ERROR_OPTION_NOT_SUPPORTED_ON_VIEW,
                        "%s cannot be used in the definition of a view", pipeline.operator_name);
    return false;
}
