#include "enforce/pipeline.h"

#include "enforce/grammar.h"

enum {
    DEPTH_MAX = 200,     /* of documents in a stage; MongoDB takes 180 */
    STAGES_MAX = 10000,  /* MongoDB takes 1,000, some versions more */
    FIELDS_MAX = 100000, /* visited one by one; more of them count as an error */
    WRITER_FIELDS = 100, /* the cost of a $out or $merge inside a stage */
    CODE_TOO_LONG = 7749501,
    CODE_ONE_FIELD = 40323,
    CODE_NOT_LAST = 40601,
    CODE_IN_FACET = 40600,
    CODE_IN_LOOKUP = 51047,
    CODE_IN_UNION = 31441
};

void pipeline_begin(struct pipeline *pipeline, const struct registry *registry,
                    struct bytes database, bool guarded)
{
    pipeline->registry = registry;
    pipeline->database = database;
    pipeline->guarded = guarded;
    pipeline->collectionless = false;
    pipeline->stages = 0;
    pipeline->left = FIELDS_MAX;
    pipeline->says = PIPELINE_READS;
}

static void wrong(struct pipeline *pipeline, int code, const char *what)
{
    pipeline->says = PIPELINE_WRONG;
    (void)error_set(&pipeline->err, code, "pipeline: %s", what);
}

/* --- targets --- */

static void write_to(struct pipeline *pipeline, struct bytes database, struct bytes collection)
{
    struct judge_target target = judge_find(pipeline->registry, database, collection);
    if (target.entry == NULL)
        return;
    pipeline->says = PIPELINE_WRITES;
    pipeline->target = target;
}

/* A name in the command's own database. */
static void write_to_own(struct pipeline *pipeline, const struct scan_element *target)
{
    struct bytes name;
    if (!pipeline->guarded)
        return;
    if (grammar_is_name(target, false, &name))
        write_to(pipeline, pipeline->database, name);
    else
        wrong(pipeline, ERROR_INVALID_NAMESPACE,
              "the target of $out or $merge is not a valid name of a collection");
}

struct naming {
    const struct registry *registry;
    const char *const *names; /* the wanted field names; NULL ends them */
    bool (*matches)(void *arg, const struct scan_element *field);
    void *arg;
    size_t *left; /* the remaining fields to visit */
};

/* False if too few are left. */
static bool spend(size_t *left, size_t fields)
{
    bool enough = *left >= fields;
    *left = enough ? *left - fields : 0;
    return enough;
}

/* True if a field with one of the names matches, at any depth. Too deep or too many fields count as
 * a match. */
static bool any_field(struct naming *naming, struct bytes document, unsigned depth)
{
    struct scan scan;
    struct scan_element field;
    if (depth > DEPTH_MAX)
        return true;
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field)) {
        if (!spend(naming->left, 1))
            return true;
        for (const char *const *name = naming->names; *name != NULL; name++)
            if (scan_name_is(&field, *name) && naming->matches(naming->arg, &field))
                return true;
        if ((field.kind == BSON_KIND_OBJECT || field.kind == BSON_KIND_ARRAY) &&
            any_field(naming, field.value, depth + 1))
            return true;
    }
    return false;
}

static bool may_be_guarded(void *arg, const struct scan_element *field)
{
    const struct registry *registry = arg;
    struct bytes name;
    return !grammar_is_name(field, false, &name) || registry_guards(registry, name);
}

static bool names_guarded(const struct registry *registry, struct bytes document, size_t *left)
{
    static const char *const names[] = {"db", NULL};
    struct naming naming = {.names = names,
                            .matches = may_be_guarded,
                            .arg = (void *)(uintptr_t)registry,
                            .left = left};
    return any_field(&naming, document, 0);
}

bool pipeline_names_guarded(const struct registry *registry, struct bytes document)
{
    size_t left = FIELDS_MAX;
    return names_guarded(registry, document, &left);
}

/* Reads an object by its table. False if it does not fit; this counts if it may name a database
 * with a schema. */
static bool read_object(struct pipeline *pipeline, const struct grammar *grammar,
                        struct bytes object, struct grammar_found *found)
{
    struct error err = {0};
    if (grammar_read(grammar, object, found, &err))
        return true;
    if (pipeline->guarded || names_guarded(pipeline->registry, object, &pipeline->left)) {
        pipeline->says = PIPELINE_WRONG;
        pipeline->err = err;
    }
    return false;
}

/* {db, coll}, or {coll} in the command's database. */
static void write_to_object(struct pipeline *pipeline, const struct grammar *grammar,
                            struct bytes object)
{
    struct grammar_found found;
    struct bytes database = pipeline->database;
    struct bytes collection;
    if (!read_object(pipeline, grammar, object, &found))
        return;
    if (grammar_has(&found, MEANS_DATABASE))
        (void)grammar_is_name(&found.at[MEANS_DATABASE], false, &database);
    (void)grammar_is_name(&found.at[MEANS_COLLECTION], false, &collection);
    write_to(pipeline, database, collection);
}

static void take_out(struct pipeline *pipeline, const struct scan_element *stage)
{
    if (stage->kind == BSON_KIND_STRING)
        write_to_own(pipeline, stage);
    else if (stage->kind == BSON_KIND_OBJECT)
        write_to_object(pipeline, &grammar_out, stage->value);
    else if (pipeline->guarded)
        wrong(pipeline, ERROR_TYPE_MISMATCH, "$out must be a string or an object");
}

static void take_merge(struct pipeline *pipeline, const struct scan_element *stage)
{
    struct grammar_found found;
    if (stage->kind == BSON_KIND_STRING) {
        write_to_own(pipeline, stage);
    } else if (stage->kind != BSON_KIND_OBJECT) {
        if (pipeline->guarded)
            wrong(pipeline, ERROR_TYPE_MISMATCH, "$merge must be a string or an object");
    } else if (read_object(pipeline, &grammar_merge, stage->value, &found)) {
        const struct scan_element *into = &found.at[MEANS_TARGET];
        if (into->kind == BSON_KIND_STRING)
            write_to_own(pipeline, into);
        else
            write_to_object(pipeline, &grammar_merge_into, into->value);
    }
}

/* True for a writing stage, which is then processed. */
static bool take_writer(struct pipeline *pipeline, const struct scan_element *stage)
{
    if (SCAN_NAME_IS(stage, "$out"))
        take_out(pipeline, stage);
    else if (SCAN_NAME_IS(stage, "$merge"))
        take_merge(pipeline, stage);
    else
        return false;
    pipeline->operator_name = stage->name;
    return true;
}

/* --- stages inside others --- */

static bool is_guarded_writer(void *arg, const struct scan_element *stage)
{
    struct pipeline *pipeline = arg;
    return !spend(&pipeline->left, WRITER_FIELDS) ||
           (take_writer(pipeline, stage) && pipeline->says != PIPELINE_READS);
}

static bool has_text(struct bytes document, const char *text, size_t len)
{
    return memmem(document.pos, bytes_left(&document), text, len) != NULL;
}

/* Finds $out or $merge at every place in the document, where the server never accepts them. Most
 * documents do not contain these bytes at all, and a search for them is faster than a walk over the
 * fields. */
static void look_inside(struct pipeline *pipeline, struct bytes document, int code)
{
    static const char *const names[] = {"$out", "$merge", NULL};
    struct naming naming = {
        .names = names, .matches = is_guarded_writer, .arg = pipeline, .left = &pipeline->left};
    if (!has_text(document, "$out", sizeof "$out") &&
        !has_text(document, "$merge", sizeof "$merge"))
        return;
    if (any_field(&naming, document, 0))
        wrong(pipeline, code, "$out or $merge is at a place where the server does not accept it");
}

enum stage_kind {
    STAGE_OTHER,
    STAGE_LEAF,  /* without its own pipeline */
    STAGE_SOURCE /* the same, and it needs no collection */
};

static enum stage_kind kind_of(const struct scan_element *stage)
{
#define LEAF(name)                                                                                 \
    {                                                                                              \
        name, sizeof(name) - 1                                                                     \
    }
    enum { SOURCES = 3 };
    static const struct {
        const char *name;
        size_t len;
    } leaves[] = {
        LEAF("$documents"),   LEAF("$changeStream"), LEAF("$currentOp"),  LEAF("$match"),
        LEAF("$group"),       LEAF("$project"),      LEAF("$sort"),       LEAF("$limit"),
        LEAF("$skip"),        LEAF("$addFields"),    LEAF("$set"),        LEAF("$unset"),
        LEAF("$unwind"),      LEAF("$count"),        LEAF("$sample"),     LEAF("$replaceRoot"),
        LEAF("$replaceWith"), LEAF("$bucket"),       LEAF("$bucketAuto"), LEAF("$sortByCount"),
        LEAF("$geoNear"),     LEAF("$graphLookup"),  LEAF("$redact"),     LEAF("$fill"),
        LEAF("$densify"),     LEAF("$indexStats"),   LEAF("$collStats"),  LEAF("$setWindowFields"),
    };
#undef LEAF
    for (size_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++)
        if (leaves[i].len == stage->name_len &&
            memcmp(leaves[i].name, stage->name, stage->name_len) == 0)
            return i < SOURCES ? STAGE_SOURCE : STAGE_LEAF;
    return STAGE_OTHER;
}

static int code_inside(const struct scan_element *stage)
{
    if (scan_name_is(stage, "$facet"))
        return CODE_IN_FACET;
    if (scan_name_is(stage, "$lookup"))
        return CODE_IN_LOOKUP;
    return scan_name_is(stage, "$unionWith") ? CODE_IN_UNION : CODE_NOT_LAST;
}

/* --- the stages --- */

/* An invalid stage: the server refuses it. */
static void take_other(struct pipeline *pipeline, const struct scan_element *stage)
{
    if (pipeline->guarded)
        wrong(pipeline, ERROR_TYPE_MISMATCH, "each of its stages must be an object");
    else if (stage->kind == BSON_KIND_ARRAY)
        look_inside(pipeline, stage->value, ERROR_TYPE_MISMATCH);
}

/* `field` is the only field of the stage. */
static void take_reader(struct pipeline *pipeline, struct bytes stage,
                        const struct scan_element *field)
{
    enum stage_kind kind = kind_of(field);
    if (kind == STAGE_OTHER)
        look_inside(pipeline, stage, code_inside(field));
    else if (kind == STAGE_LEAF && pipeline->stages == 1 && pipeline->collectionless)
        wrong(pipeline, ERROR_INVALID_NAMESPACE, "its first stage needs a collection");
}

void pipeline_take(struct pipeline *pipeline, const struct scan_element *stage)
{
    struct scan scan;
    struct scan_element first;
    if (pipeline->says == PIPELINE_WRITES)
        wrong(pipeline, CODE_NOT_LAST, "$out and $merge can only be the last stage");
    if (++pipeline->stages > STAGES_MAX)
        wrong(pipeline, CODE_TOO_LONG, "it has too many stages");
    if (pipeline->says == PIPELINE_WRONG)
        return;
    if (stage->kind != BSON_KIND_OBJECT) {
        take_other(pipeline, stage);
        return;
    }
    if (!scan_open(&scan, stage->value) || !scan_next(&scan, &first)) {
        if (pipeline->guarded)
            wrong(pipeline, CODE_ONE_FIELD, "a stage must have one field");
        return;
    }
    if (bytes_left(&scan.rest) > 0)
        look_inside(pipeline, stage->value, CODE_ONE_FIELD);
    else if (!take_writer(pipeline, &first))
        take_reader(pipeline, stage->value, &first);
}

void pipeline_take_array(struct pipeline *pipeline, struct bytes array)
{
    struct scan scan;
    struct scan_element stage;
    (void)scan_open(&scan, array);
    while (pipeline->says != PIPELINE_WRONG && scan_next(&scan, &stage))
        pipeline_take(pipeline, &stage);
    if (scan.broken && pipeline->guarded && pipeline->says != PIPELINE_WRONG)
        wrong(pipeline, ERROR_INVALID_BSON, "it is not BSON");
}
