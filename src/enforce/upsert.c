/* Builds the document that an upsert inserts if nothing matches its query, as far as it is certain:
 * top-level fields with a value in the query, then the operators. */
#include "enforce/update.h"

/* More fields leave the result open, because each is searched among the others. */
enum { FIELDS_MAX = 256 };

struct new_field {
    struct scan_element element;
    bool gone;
};

struct new_document {
    struct new_field fields[FIELDS_MAX];
    size_t count;
    bool open; /* the document is not certain */
};

static struct new_field *find_field(struct new_document *document,
                                    const struct scan_element *element)
{
    for (size_t i = 0; i < document->count; i++) {
        const struct scan_element *field = &document->fields[i].element;
        if (field->name_len == element->name_len &&
            memcmp(field->name, element->name, field->name_len) == 0)
            return &document->fields[i];
    }
    return NULL;
}

/* False if there are too many. */
static bool put_field(struct new_document *document, const struct scan_element *name, uint8_t kind,
                      struct bytes value)
{
    struct new_field *field = find_field(document, name);
    if (field == NULL && document->count == FIELDS_MAX)
        return false;
    if (field == NULL)
        field = &document->fields[document->count++];
    *field = (struct new_field){.element = *name};
    field->element.kind = kind;
    field->element.value = value;
    return true;
}

/* --- the query --- */

/* True for conditions that add nothing to the new document. */
static bool is_no_equality(struct bytes condition)
{
    static const char *const names[] = {"$gt",     "$gte",  "$lt",    "$lte",     "$ne",   "$nin",
                                        "$exists", "$type", "$regex", "$options", "$size", "$mod"};
    struct scan scan;
    struct scan_element field;
    bool known = true;
    (void)scan_open(&scan, condition);
    while (known && scan_next(&scan, &field)) {
        known = false;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            known = known || scan_name_is(&field, names[i]);
    }
    return known;
}

static bool take_condition(struct new_document *document, const struct scan_element *condition)
{
    struct scan_element value;
    if (scan_name_is(condition, "$comment") || condition->kind == BSON_KIND_REGEX)
        return true;
    if (condition->name[0] == '$' || strchr(condition->name, '.') != NULL ||
        find_field(document, condition) != NULL)
        return false;
    if (!update_equality(condition, &value))
        return is_no_equality(condition->value);
    return put_field(document, condition, value.kind, value.value);
}

/* False if the query's effect on the document is not certain. */
static bool take_query(struct new_document *document, struct bytes query)
{
    struct scan scan;
    struct scan_element condition;
    if (bytes_left(&query) == 0)
        return true;
    (void)scan_open(&scan, query);
    while (scan_next(&scan, &condition))
        if (!take_condition(document, &condition))
            return false;
    return true;
}

/* --- the _id of a replacement --- */

/* True for `_id` or a field inside it. */
static bool is_id_path(const struct scan_element *field)
{
    return strncmp(field->name, "_id", 3) == 0 && (field->name[3] == 0 || field->name[3] == '.');
}

/* Searches at every depth; the depth of a query was checked before. */
static bool speaks_of_id(struct bytes query)
{
    struct scan scan;
    struct scan_element field;
    (void)scan_open(&scan, query);
    while (scan_next(&scan, &field))
        if (is_id_path(&field) ||
            ((field.kind == BSON_KIND_OBJECT || field.kind == BSON_KIND_ARRAY) &&
             speaks_of_id(field.value)))
            return true;
    return false;
}

static bool is_clear(const struct scan_element *condition, bool seen)
{
    struct scan_element value;
    if (scan_name_is(condition, "_id"))
        return !seen && (condition->kind == BSON_KIND_REGEX || update_equality(condition, &value) ||
                         is_no_equality(condition->value));
    if (is_id_path(condition))
        return false;
    bool inside = condition->kind == BSON_KIND_OBJECT || condition->kind == BSON_KIND_ARRAY;
    return condition->name[0] != '$' || !inside || !speaks_of_id(condition->value);
}

bool update_upsert_id_is_clear(struct bytes query)
{
    struct scan scan;
    struct scan_element condition;
    bool seen = false;
    if (bytes_left(&query) == 0)
        return true;
    (void)scan_open(&scan, query);
    while (scan_next(&scan, &condition)) {
        if (!is_clear(&condition, seen))
            return false;
        seen = seen || scan_name_is(&condition, "_id");
    }
    return true;
}

/* --- operators --- */

/* Applies operators that schema/prove.h can prove right; others have already left the result open.
 */
static bool apply(struct new_document *document, const struct scan_element *op,
                  const struct scan_element *operand)
{
    struct new_field *field = find_field(document, operand);
    bool sets = scan_name_is(op, "$set") || scan_name_is(op, "$setOnInsert");
    bool bounds = scan_name_is(op, "$min") || scan_name_is(op, "$max");
    if (strpbrk(operand->name, ".$") != NULL || operand->name_len == 0)
        return false;
    if (sets || (bounds && field == NULL))
        return put_field(document, operand, operand->kind, operand->value);
    if (!scan_name_is(op, "$unset"))
        return false;
    if (field != NULL)
        field->gone = true;
    return true;
}

static bool take_operand(void *arg, const struct scan_element *op,
                         const struct scan_element *operand)
{
    struct new_document *document = arg;
    document->open = !apply(document, op, operand);
    return !document->open;
}

static bool write_document(const struct new_document *document, struct build *out,
                           struct bytes *whole)
{
    for (size_t i = 0; i < document->count; i++) {
        const struct new_field *field = &document->fields[i];
        if (!field->gone)
            build_value(out, field->element.name, field->element.kind, field->element.value);
    }
    return build_finish(out, whole);
}

bool update_make_upsert(struct judge *judge, const struct update_statement *statement,
                        struct build *out, struct bytes *document)
{
    struct new_document made;
    bool bare = false;
    made.count = 0;
    made.open = false;
    build_begin(out, INT32_MAX);
    return take_query(&made, statement->query) &&
           update_each(statement->change.value, take_operand, &made, &bare, judge->err) &&
           !made.open && write_document(&made, out, document);
}
