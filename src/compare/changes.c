#include "compare/changes.h"

#include "base/memory.h"
#include "base/text.h"
#include "schema/schema_internal.h"

/* A search without an answer takes about a second. After this many, no search begins. */
enum { UNKNOWN_MAX = 20 };

enum { STEPS_MAX = 2 * SCHEMA_DEPTH_MAX, GROUP_MAX = 8, EDIT_MAX = 48 * 1024 * 1024 };

/* The schemas below a keyword. */
enum keyword_shape {
    SHAPE_VALUE,
    SHAPE_SCHEMA,
    SHAPE_SCHEMAS_BY_NAME,
    SHAPE_SCHEMA_LIST,
    SHAPE_NOTHING
};

static const struct {
    const char *name;
    enum keyword_shape shape;
} shapes[] = {
    {"properties", SHAPE_SCHEMAS_BY_NAME},
    {"patternProperties", SHAPE_SCHEMAS_BY_NAME},
    {"$defs", SHAPE_SCHEMAS_BY_NAME},
    {"dependencies", SHAPE_SCHEMAS_BY_NAME},
    {"dependentSchemas", SHAPE_SCHEMAS_BY_NAME},
    {"items", SHAPE_SCHEMA},
    {"additionalItems", SHAPE_SCHEMA},
    {"additionalProperties", SHAPE_SCHEMA},
    {"propertyNames", SHAPE_SCHEMA},
    {"contains", SHAPE_SCHEMA},
    {"not", SHAPE_SCHEMA},
    {"if", SHAPE_SCHEMA},
    {"then", SHAPE_SCHEMA},
    {"else", SHAPE_SCHEMA},
    {"allOf", SHAPE_SCHEMA_LIST},
    {"anyOf", SHAPE_SCHEMA_LIST},
    {"oneOf", SHAPE_SCHEMA_LIST},
    {"prefixItems", SHAPE_SCHEMA_LIST},
    {"title", SHAPE_NOTHING},
    {"description", SHAPE_NOTHING},
    {"default", SHAPE_NOTHING},
    {"example", SHAPE_NOTHING},
    {"examples", SHAPE_NOTHING},
    {"deprecated", SHAPE_NOTHING},
    {"readOnly", SHAPE_NOTHING},
    {"writeOnly", SHAPE_NOTHING},
    {"contentEncoding", SHAPE_NOTHING},
    {"contentSchema", SHAPE_NOTHING},
    {"encryptMetadata", SHAPE_NOTHING},
    {"$schema", SHAPE_NOTHING},
    {"$id", SHAPE_NOTHING},
    {"$comment", SHAPE_NOTHING},
};

/* Keywords that have a meaning only together. They change together. */
static const char *const groups[][GROUP_MAX] = {
    {"minimum", "exclusiveMinimum"},
    {"maximum", "exclusiveMaximum"},
    {"type", "bsonType", "format", "contentMediaType", "encrypt"},
    {"items", "additionalItems"},
};

struct walk {
    const struct compatibility_side *old_side, *new_side;
    compatibility_change_fn *report;
    void *arg;
    const char *steps[STEPS_MAX]; /* the path from the schema to the walk's position */
    size_t step_count;
    struct error *err;
    unsigned unknown; /* searches without an answer */
    bool failed;
};

static enum keyword_shape shape_of(const char *name)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strcmp(shapes[i].name, name) == 0)
            return shapes[i].shape;
    return SHAPE_VALUE;
}

const char *compatibility_effect(const struct compatibility_change *change)
{
    bool narrower = change->keeps_old == COMPATIBILITY_NO;
    bool wider = change->keeps_new == COMPATIBILITY_NO;
    if (narrower || wider)
        return narrower && wider ? "both" : narrower ? "narrower" : "wider";
    return change->keeps_old == COMPATIBILITY_YES && change->keeps_new == COMPATIBILITY_YES
               ? "none"
               : "unknown";
}

/* The element of that name; kind BSON_KIND_EOD if there is none. */
static struct scan_element element_of(struct bytes document, const char *name)
{
    struct scan_element element;
    return scan_find(document, name, &element) ? element : (struct scan_element){0};
}

/* Two missing elements are the same. */
static bool same_element(const struct scan_element *a, const struct scan_element *b)
{
    return a->kind == b->kind && bytes_left(&a->value) == bytes_left(&b->value) &&
           (a->kind == BSON_KIND_EOD ||
            memcmp(a->value.pos, b->value.pos, bytes_left(&a->value)) == 0);
}

/* --- a schema with one change --- */

/* The names that change, and the document of their new values. */
struct edit {
    const char *const *steps;
    size_t step_count;
    const char *names[GROUP_MAX];
    struct bytes source;
};

static bool is_edited(const struct edit *edit, const char *name)
{
    for (size_t i = 0; i < GROUP_MAX && edit->names[i] != NULL; i++)
        if (strcmp(edit->names[i], name) == 0)
            return true;
    return false;
}

static void build_edited(struct build *build, struct bytes document, const struct edit *edit,
                         size_t step)
{
    struct scan scan;
    struct scan_element element;
    bool here = step == edit->step_count;
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &element)) {
        if (here && is_edited(edit, element.name))
            continue;
        if (here || strcmp(element.name, edit->steps[step]) != 0) {
            build_value(build, element.name, element.kind, element.value);
            continue;
        }
        if (element.kind == BSON_KIND_ARRAY)
            build_open_array(build, element.name);
        else
            build_open_object(build, element.name);
        build_edited(build, element.value, edit, step + 1);
        build_close(build);
    }
    (void)scan_open(&scan, edit->source);
    while (here && scan_next(&scan, &element))
        if (is_edited(edit, element.name))
            build_value(build, element.name, element.kind, element.value);
}

/* NULL if the change alone does not make a valid schema. */
static struct schema *edited_schema(const struct schema *schema, const struct edit *edit)
{
    struct build build;
    struct bytes bson;
    struct error err = {0};
    struct schema *edited = NULL;
    enum schema_dialect dialect = schema->may_extend ? SCHEMA_MONGODB_EXTENDED : schema->dialect;
    build_begin(&build, EDIT_MAX);
    build_edited(&build, schema_source(schema), edit, 0);
    if (build_finish(&build, &bson))
        edited = schema_compile(bson, dialect, NULL, NULL, &err);
    build_free(&build);
    return edited;
}

/* Tells whether `from` with this change alone still accepts all its documents. A proof of NO is a
 * document that `to` refuses too. */
static enum compatibility_answer judge(struct walk *walk, const struct schema *from,
                                       const struct compatibility_side *to, const struct edit *edit,
                                       uint8_t **proof, size_t *proof_len)
{
    struct schema *edited = walk->unknown < UNKNOWN_MAX ? edited_schema(from, edit) : NULL;
    enum compatibility_answer answer = COMPATIBILITY_UNKNOWN;
    *proof = NULL;
    *proof_len = 0;
    if (edited != NULL) {
        struct compatibility_side one = {&from, 1};
        const struct schema *changed = edited;
        struct compatibility_side other = {&changed, 1};
        answer = compatibility_contains(&one, &other, to, proof, proof_len);
    }
    schema_free(edited);
    walk->unknown += answer == COMPATIBILITY_UNKNOWN;
    return answer;
}

/* --- the walk --- */

static void add_pointer(struct text *text, const char *step)
{
    text_add(text, "/");
    for (; *step != 0; step++) {
        if (*step == '~' || *step == '/')
            text_add(text, *step == '~' ? "~0" : "~1");
        else
            text_add_bytes(text, step, 1);
    }
}

static void report_change(struct walk *walk, const char *const *names, struct bytes old_holder,
                          struct bytes new_holder)
{
    struct edit edit = {.steps = walk->steps, .step_count = walk->step_count};
    struct compatibility_change change = {0};
    struct text path = text_growing();
    uint8_t *proofs[2];
    size_t len = 0;
    const char *named = NULL;
    for (size_t i = 0; i < GROUP_MAX && names[i] != NULL; i++) {
        struct scan_element before = element_of(old_holder, names[i]);
        struct scan_element after = element_of(new_holder, names[i]);
        edit.names[i] = names[i];
        if (named != NULL || same_element(&before, &after))
            continue;
        named = names[i];
        change.old_value = before;
        change.new_value = after;
    }
    if (named == NULL)
        return;
    for (size_t i = 0; i < walk->step_count; i++)
        add_pointer(&path, walk->steps[i]);
    add_pointer(&path, named);
    edit.source = new_holder;
    change.keeps_old =
        judge(walk, walk->old_side->accepted[0], walk->new_side, &edit, &proofs[0], &len);
    change.refused_by_new = compatibility_proof(proofs[0], len);
    edit.source = old_holder;
    change.keeps_new =
        judge(walk, walk->new_side->accepted[0], walk->old_side, &edit, &proofs[1], &len);
    change.refused_by_old = compatibility_proof(proofs[1], len);
    change.path = path.data;
    if (path.data == NULL)
        walk->failed = true;
    else
        walk->report(walk->arg, &change);
    memory_free(proofs[0]);
    memory_free(proofs[1]);
    text_release(&path);
}

static void walk_schema(struct walk *walk, struct bytes old_schema, struct bytes new_schema);

/* Visits each schema of a list or of named ones. A schema on one side only is a change. */
static void walk_entries(struct walk *walk, struct bytes old_holder, struct bytes new_holder)
{
    struct bytes holders[] = {old_holder, new_holder};
    for (int side = 0; side < 2; side++) {
        struct scan scan;
        struct scan_element mine;
        (void)scan_open(&scan, holders[side]);
        while (scan_next(&scan, &mine) && !walk->failed) {
            struct scan_element other = element_of(holders[1 - side], mine.name);
            const char *const names[GROUP_MAX] = {mine.name};
            bool there = other.kind != BSON_KIND_EOD;
            if (there && (side == 1 || same_element(&mine, &other)))
                continue;
            if (!there || mine.kind != BSON_KIND_OBJECT || other.kind != BSON_KIND_OBJECT) {
                report_change(walk, names, old_holder, new_holder);
                continue;
            }
            walk->steps[walk->step_count++] = mine.name;
            walk_schema(walk, mine.value, other.value);
            walk->step_count--;
        }
    }
}

/* True if both values have parts that can be compared one by one. */
static bool can_enter(enum keyword_shape shape, const struct scan_element *a,
                      const struct scan_element *b)
{
    if (a->kind != b->kind || a->kind == BSON_KIND_EOD)
        return false;
    if (a->kind == BSON_KIND_ARRAY)
        return (shape == SHAPE_SCHEMA_LIST || shape == SHAPE_SCHEMA) &&
               scan_count(a->value) == scan_count(b->value);
    return a->kind == BSON_KIND_OBJECT && (shape == SHAPE_SCHEMA || shape == SHAPE_SCHEMAS_BY_NAME);
}

static const char *const *group_of(const char *name)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        for (size_t j = 0; j < GROUP_MAX && groups[i][j] != NULL; j++)
            if (strcmp(groups[i][j], name) == 0)
                return groups[i];
    return NULL;
}

/* True if an earlier keyword of the same group differs: the group was then reported. */
static bool is_reported(const char *const *group, const char *name, struct bytes old_schema,
                        struct bytes new_schema)
{
    for (size_t i = 0; i < GROUP_MAX && group[i] != NULL && strcmp(group[i], name) != 0; i++) {
        struct scan_element a = element_of(old_schema, group[i]);
        struct scan_element b = element_of(new_schema, group[i]);
        if (!same_element(&a, &b))
            return true;
    }
    return false;
}

static void walk_keyword(struct walk *walk, const char *name, struct bytes old_schema,
                         struct bytes new_schema)
{
    struct scan_element a = element_of(old_schema, name);
    struct scan_element b = element_of(new_schema, name);
    enum keyword_shape shape = shape_of(name);
    if (shape == SHAPE_NOTHING || same_element(&a, &b))
        return;
    if (can_enter(shape, &a, &b) && walk->step_count + 2 < STEPS_MAX) {
        walk->steps[walk->step_count++] = name;
        if (shape == SHAPE_SCHEMA && a.kind == BSON_KIND_OBJECT)
            walk_schema(walk, a.value, b.value);
        else
            walk_entries(walk, a.value, b.value);
        walk->step_count--;
        return;
    }
    const char *const alone[GROUP_MAX] = {name};
    const char *const *group = group_of(name);
    if (group == NULL)
        report_change(walk, alone, old_schema, new_schema);
    else if (!is_reported(group, name, old_schema, new_schema))
        report_change(walk, group, old_schema, new_schema);
}

static void walk_schema(struct walk *walk, struct bytes old_schema, struct bytes new_schema)
{
    struct scan scan;
    struct scan_element element;
    struct scan_element other;
    (void)scan_open(&scan, old_schema);
    while (scan_next(&scan, &element) && !walk->failed)
        walk_keyword(walk, element.name, old_schema, new_schema);
    (void)scan_open(&scan, new_schema);
    while (scan_next(&scan, &element) && !walk->failed)
        if (!scan_find(old_schema, element.name, &other))
            walk_keyword(walk, element.name, old_schema, new_schema);
}

/* Schemas of two dialects are compared only as a whole. */
static void report_dialects(struct walk *walk)
{
    struct compatibility_change change = {.path = ""};
    struct compatibility verdict;
    if (!compatibility_judge(walk->old_side, walk->new_side, &verdict, walk->err)) {
        walk->failed = true;
        return;
    }
    change.keeps_old = verdict.backward;
    change.keeps_new = verdict.forward;
    change.refused_by_new = verdict.refused_by_new;
    change.refused_by_old = verdict.refused_by_old;
    walk->report(walk->arg, &change);
    compatibility_release(&verdict);
}

bool compatibility_list_changes(const struct compatibility_side *old_side,
                                const struct compatibility_side *new_side,
                                compatibility_change_fn *report, void *arg, struct error *err)
{
    const struct schema *a = old_side->accepted[0];
    const struct schema *b = new_side->accepted[0];
    struct walk walk = {
        .old_side = old_side, .new_side = new_side, .report = report, .arg = arg, .err = err};
    if (a->dialect != b->dialect)
        report_dialects(&walk);
    else
        walk_schema(&walk, schema_source(a), schema_source(b));
    return !walk.failed || error_no_memory(err, "the changes between the schemas");
}
