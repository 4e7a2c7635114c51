#include "audit/audit_bounds.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "bson/compare.h"
#include "schema/schema_internal.h"

enum { SLOTS = 4096, PLACES_MAX = 20000, OTHERS_MAX = 20, VALUE_BYTES_MAX = 1 << 16 };

/* A range of lengths, items or fields. */
struct extent {
    bool seen;
    uint64_t least, most;
};

struct seen_number {
    bool seen;
    struct number number;
    uint8_t kind;
    uint8_t bytes[16];
};

struct other_value {
    uint8_t kind;
    uint8_t *bytes; /* owned */
    size_t len;
};

/* A subschema, and the range of the documents' values for it. */
struct bound_place {
    const struct rule *rule;
    char *path;
    struct bound_place *next; /* in the slot */
    struct bound_place *later;
    type_mask types;
    struct seen_number lowest, highest;
    struct extent length, items, fields;
    bool *values;  /* of the enum: its values that were seen */
    bool *missing; /* of `required` */
    bool valued;   /* a value was compared with the enum */
    bool too_many; /* of the values outside the enum */
    struct other_value *others;
    size_t other_count;
};

struct audit_bounds {
    const struct schema *schema;
    struct bound_place *slots[SLOTS];
    struct bound_place *first, *last; /* in the order of the schema */
    size_t count;
    bool failed;
};

/* --- the places of a schema --- */

static struct bound_place *find_place(const struct audit_bounds *bounds, const struct rule *rule)
{
    struct bound_place *place = bounds->slots[((uintptr_t)rule >> 4) % SLOTS];
    while (place != NULL && place->rule != rule)
        place = place->next;
    return place;
}

static void place_free(struct bound_place *place)
{
    for (size_t i = 0; i < place->other_count; i++)
        memory_free(place->others[i].bytes);
    memory_free(place->others);
    memory_free(place->values);
    memory_free(place->missing);
    memory_free(place->path);
    memory_free(place);
}

static bool has_values(const struct rule *rule)
{
    return rule_has(rule, KEYWORD_ENUM) && !rule_has(rule, KEYWORD_CONST) && rule->value_count > 0;
}

static bool add_place(struct audit_bounds *bounds, const struct rule *rule, const char *path)
{
    struct bound_place *place = bounds->count < PLACES_MAX ? memory_zalloc(sizeof *place) : NULL;
    if (place == NULL)
        return false;
    place->rule = rule;
    place->path = memory_copy_string(path);
    if (has_values(rule))
        place->values = memory_array(rule->value_count, sizeof *place->values);
    if (place->values != NULL)
        place->others = memory_array(OTHERS_MAX, sizeof *place->others);
    place->missing = memory_array(rule->required_count, sizeof *place->missing);
    if (place->path == NULL || place->missing == NULL ||
        (place->others == NULL && has_values(rule))) {
        place_free(place);
        return false;
    }
    struct bound_place **slot = &bounds->slots[((uintptr_t)rule >> 4) % SLOTS];
    place->next = *slot;
    *slot = place;
    if (bounds->last == NULL)
        bounds->first = place;
    else
        bounds->last->later = place;
    bounds->last = place;
    bounds->count++;
    return true;
}

static void visit(struct audit_bounds *bounds, const struct rule *rule, struct text *path);

/* Extends the path by a keyword, and by an index or a name below it. */
static void visit_below(struct audit_bounds *bounds, const struct rule *rule, struct text *path,
                        const char *keyword, const char *name)
{
    size_t len = path->len;
    if (rule == NULL)
        return;
    text_format(path, name == NULL ? "/%s" : "/%s/", keyword);
    for (const char *c = name; c != NULL && *c != 0; c++) {
        if (*c == '~' || *c == '/')
            text_add(path, *c == '~' ? "~0" : "~1");
        else
            text_add_bytes(path, c, 1);
    }
    visit(bounds, rule, path);
    text_rewind(path, len);
}

static void visit_list(struct audit_bounds *bounds, const struct rule_list *list, struct text *path,
                       const char *keyword)
{
    char index[24];
    for (size_t i = 0; i < list->count; i++) {
        (void)snprintf(index, sizeof index, "%zu", i);
        visit_below(bounds, list->rules[i], path, keyword, index);
    }
}

static void visit_ref(struct audit_bounds *bounds, const struct rule *rule)
{
    const struct scan_element *element = rule_keyword_element(rule, KEYWORD_REF);
    const char *target = NULL;
    size_t len = 0;
    struct text path = text_growing();
    if (rule->ref == NULL || element == NULL || !scan_as_string(element, &target, &len))
        return;
    text_add(&path, target[0] == '#' ? target + 1 : target);
    visit(bounds, rule->ref, &path);
    text_release(&path);
}

static void visit(struct audit_bounds *bounds, const struct rule *rule, struct text *path)
{
    bool json = bounds->schema->dialect == SCHEMA_JSON_SCHEMA;
    if (bounds->failed || find_place(bounds, rule) != NULL)
        return;
    if (!add_place(bounds, rule, path->data == NULL ? "" : path->data)) {
        bounds->failed = true;
        return;
    }
    visit_ref(bounds, rule);
    for (size_t i = 0; i < rule->property_count; i++)
        visit_below(bounds, rule->properties[i].rule, path, "properties", rule->properties[i].name);
    for (size_t i = 0; i < rule->pattern_count; i++)
        visit_below(bounds, rule->patterns[i].rule, path, "patternProperties",
                    rule->patterns[i].text);
    visit_below(bounds, rule->additional, path, "additionalProperties", NULL);
    visit_list(bounds, &rule->prefix, path, json ? "prefixItems" : "items");
    visit_below(bounds, rule->rest, path,
                rule->prefix.count > 0 && !json ? "additionalItems" : "items", NULL);
    visit_list(bounds, &rule->all_of, path, "allOf");
}

struct audit_bounds *audit_bounds_new(const struct schema *schema)
{
    struct audit_bounds *bounds = memory_zalloc(sizeof *bounds);
    struct text path = text_growing();
    if (bounds == NULL)
        return NULL;
    bounds->schema = schema;
    visit(bounds, schema->document, &path);
    text_release(&path);
    return bounds;
}

void audit_bounds_free(struct audit_bounds *bounds)
{
    if (bounds == NULL)
        return;
    while (bounds->first != NULL) {
        struct bound_place *place = bounds->first;
        bounds->first = place->later;
        place_free(place);
    }
    memory_free(bounds);
}

/* --- documents --- */

static void widen(struct extent *extent, uint64_t value)
{
    if (!extent->seen || value < extent->least)
        extent->least = value;
    if (!extent->seen || value > extent->most)
        extent->most = value;
    extent->seen = true;
}

static void take_number(struct seen_number *seen, const struct number *number,
                        const struct scan_element *value, int order)
{
    if (seen->seen && number_compare(number, &seen->number) * order <= 0)
        return;
    seen->seen = true;
    seen->number = *number;
    seen->kind = value->kind;
    memcpy(seen->bytes, value->value.pos, bytes_left(&value->value));
}

/* Keeps a value that is not in the enum. */
static void keep_other(struct bound_place *place, const struct compare_value *value)
{
    uint64_t budget = 100000;
    size_t len = bytes_left(&value->bytes);
    for (size_t i = 0; i < place->other_count; i++) {
        struct compare_value other = {place->others[i].kind,
                                      bytes_of(place->others[i].bytes, place->others[i].len)};
        if (compare_equal(value, &other, &budget))
            return;
    }
    uint8_t *bytes =
        place->other_count < OTHERS_MAX && len < VALUE_BYTES_MAX ? memory_alloc(len) : NULL;
    if (bytes == NULL) {
        place->too_many = true;
        return;
    }
    memcpy(bytes, value->bytes.pos, len);
    place->others[place->other_count++] = (struct other_value){value->kind, bytes, len};
}

static void observe_value(struct bound_place *place, const struct scan_element *value)
{
    struct compare_value one = {value->kind, value->value};
    uint64_t budget = 100000;
    place->valued = true;
    for (size_t i = 0; i < place->rule->value_count; i++) {
        struct compare_value other = {place->rule->values[i].kind, place->rule->values[i].value};
        if (compare_equal(&one, &other, &budget)) {
            place->values[i] = true;
            return;
        }
    }
    keep_other(place, &one);
}

static void observe(struct audit_bounds *bounds, const struct rule *rule,
                    const struct scan_element *value);

static void observe_fields(struct audit_bounds *bounds, struct bound_place *place,
                           struct bytes object)
{
    const struct rule *rule = place->rule;
    struct scan scan;
    struct scan_element field;
    uint64_t count = 0;
    for (size_t i = 0; i < rule->required_count; i++)
        place->missing[i] = place->missing[i] || !scan_find(object, rule->required[i].name, &field);
    (void)scan_open(&scan, object);
    for (; scan_next(&scan, &field); count++) {
        bool listed = false;
        for (size_t i = 0; i < rule->property_count && !listed; i++) {
            listed = scan_name_is(&field, rule->properties[i].name);
            if (listed)
                observe(bounds, rule->properties[i].rule, &field);
        }
        /* patternProperties stays unchanged: its fields are not visited */
        if (!listed && rule->additional != NULL && rule->pattern_count == 0)
            observe(bounds, rule->additional, &field);
    }
    widen(&place->fields, count);
}

static void observe_items(struct audit_bounds *bounds, struct bound_place *place,
                          struct bytes array)
{
    const struct rule *rule = place->rule;
    struct scan scan;
    struct scan_element item;
    uint64_t count = 0;
    (void)scan_open(&scan, array);
    for (; scan_next(&scan, &item); count++) {
        if (count < rule->prefix.count)
            observe(bounds, rule->prefix.rules[count], &item);
        else if (rule->rest != NULL)
            observe(bounds, rule->rest, &item);
    }
    widen(&place->items, count);
}

static void observe(struct audit_bounds *bounds, const struct rule *rule,
                    const struct scan_element *value)
{
    struct bound_place *place = find_place(bounds, rule);
    struct number number;
    if (place == NULL)
        return;
    place->types |= type_bits[value->kind];
    if (number_read(value->kind, value->value.pos, &number) && !number_is_nan(&number)) {
        take_number(&place->lowest, &number, value, -1);
        take_number(&place->highest, &number, value, 1);
    }
    if (value->kind == BSON_KIND_STRING)
        widen(&place->length, utf8_count(value->value.pos + 4, bytes_left(&value->value) - 5));
    if (value->kind == BSON_KIND_BINARY && rule->binary_length)
        widen(&place->length, bytes_left(&value->value) - 5);
    if (place->values != NULL)
        observe_value(place, value);
    if (value->kind == BSON_KIND_OBJECT)
        observe_fields(bounds, place, value->value);
    if (value->kind == BSON_KIND_ARRAY)
        observe_items(bounds, place, value->value);
    if (rule->ref != NULL)
        observe(bounds, rule->ref, value);
    for (size_t i = 0; i < rule->all_of.count; i++)
        observe(bounds, rule->all_of.rules[i], value);
}

void audit_bounds_add(struct audit_bounds *bounds, struct bytes document)
{
    struct scan_element whole = {.kind = BSON_KIND_OBJECT, .name = "", .value = document};
    if (validate_document(document, NULL))
        observe(bounds, bounds->schema->document, &whole);
}

/* --- proposals --- */

struct proposal {
    struct build build;
    const struct bound_place *place;
    const struct scan_element *element; /* of the keyword */
    audit_bound_fn *report;
    void *arg;
    bool failed;
};

/* Writes {file: …}, and leaves the document open for `stored`. */
static void begin(struct proposal *p, enum keyword keyword)
{
    p->element = rule_keyword_element(p->place->rule, keyword);
    build_begin(&p->build, (size_t)1 << 24);
    build_value(&p->build, "file", p->element->kind, p->element->value);
}

static void end(struct proposal *p, bool looser)
{
    struct bytes value;
    struct text path = text_growing();
    text_format(&path, "%s/%s", p->place->path, p->element->name);
    bool ok = build_finish(&p->build, &value) && path.data != NULL;
    if (ok)
        p->report(p->arg, &(struct audit_bound){path.data, p->element->name, value, looser});
    p->failed = p->failed || !ok;
    build_free(&p->build);
    text_release(&path);
}

/* `low`: a lower bound. */
static void propose_bound(struct proposal *p, enum keyword keyword, const struct rule_bound *bound,
                          const struct seen_number *seen, bool low)
{
    if (!bound->set || !seen->seen || number_is_nan(&bound->value))
        return;
    int order = number_compare(&seen->number, &bound->value) * (low ? 1 : -1);
    if (order == 0 && !bound->exclusive)
        return;
    begin(p, keyword);
    build_value(&p->build, "stored", seen->kind,
                bytes_of(seen->bytes, seen->kind == BSON_KIND_INT32        ? 4
                                      : seen->kind == BSON_KIND_DECIMAL128 ? 16
                                                                           : 8));
    end(p, order < 0 || (order == 0 && bound->exclusive));
}

/* A keyword that counts: the least number, or the greatest. */
static void propose_count(struct proposal *p, enum keyword keyword, const struct extent *extent,
                          uint32_t bound, bool low)
{
    uint64_t stored = low ? extent->least : extent->most;
    if (!rule_has(p->place->rule, keyword) || !extent->seen || stored == bound)
        return;
    begin(p, keyword);
    build_int64(&p->build, "stored", (int64_t)stored);
    end(p, low ? stored < bound : stored > bound);
}

static void propose_values(struct proposal *p)
{
    const struct bound_place *place = p->place;
    const struct rule *rule = place->rule;
    size_t used = 0;
    if (!place->valued)
        return;
    for (size_t i = 0; i < rule->value_count; i++)
        used += place->values[i];
    if ((used == rule->value_count && place->other_count == 0) || place->too_many)
        return;
    begin(p, KEYWORD_ENUM);
    build_open_array(&p->build, "stored");
    for (size_t i = 0; i < rule->value_count; i++)
        if (place->values[i])
            build_value(&p->build, NULL, rule->values[i].kind, rule->values[i].value);
    for (size_t i = 0; i < place->other_count; i++)
        build_value(&p->build, NULL, place->others[i].kind,
                    bytes_of(place->others[i].bytes, place->others[i].len));
    build_close(&p->build);
    end(p, place->other_count > 0);
}

static void propose_required(struct proposal *p)
{
    const struct rule *rule = p->place->rule;
    size_t missing = 0;
    for (size_t i = 0; i < rule->required_count; i++)
        missing += p->place->missing[i];
    if (missing == 0 || rule_keyword_element(rule, KEYWORD_REQUIRED) == NULL)
        return;
    begin(p, KEYWORD_REQUIRED);
    build_open_array(&p->build, "stored");
    for (size_t i = 0; i < rule->required_count; i++)
        if (!p->place->missing[i])
            build_text(&p->build, NULL, rule->required[i].name);
    build_close(&p->build);
    end(p, true);
}

static void propose_types(struct proposal *p)
{
    static const uint8_t kinds[] = {1,
                                    2,
                                    3,
                                    4,
                                    5,
                                    6,
                                    7,
                                    8,
                                    9,
                                    10,
                                    11,
                                    12,
                                    13,
                                    14,
                                    15,
                                    16,
                                    17,
                                    18,
                                    19,
                                    BSON_KIND_MIN_KEY,
                                    BSON_KIND_MAX_KEY};
    const struct rule *rule = p->place->rule;
    if (!rule_has(rule, KEYWORD_BSON_TYPE) || p->place->types == 0 ||
        p->place->types == rule->types)
        return;
    begin(p, KEYWORD_BSON_TYPE);
    build_open_array(&p->build, "stored");
    for (size_t i = 0; i < sizeof kinds; i++)
        if ((type_bits[kinds[i]] & p->place->types) != 0)
            build_text(&p->build, NULL, type_alias(kinds[i]));
    build_close(&p->build);
    end(p, (p->place->types & ~rule->types) != 0);
}

bool audit_bounds_each(const struct audit_bounds *bounds, audit_bound_fn *report, void *arg)
{
    struct proposal p = {.report = report, .arg = arg};
    for (p.place = bounds->first; p.place != NULL; p.place = p.place->later) {
        const struct rule *rule = p.place->rule;
        propose_types(&p);
        propose_required(&p);
        propose_bound(&p, KEYWORD_MINIMUM, &rule->lower[0], &p.place->lowest, true);
        propose_bound(&p, KEYWORD_EXCLUSIVE_MINIMUM, &rule->lower[1], &p.place->lowest, true);
        propose_bound(&p, KEYWORD_MAXIMUM, &rule->upper[0], &p.place->highest, false);
        propose_bound(&p, KEYWORD_EXCLUSIVE_MAXIMUM, &rule->upper[1], &p.place->highest, false);
        propose_count(&p, KEYWORD_MIN_LENGTH, &p.place->length, rule->min_length, true);
        propose_count(&p, KEYWORD_MAX_LENGTH, &p.place->length, rule->max_length, false);
        propose_count(&p, KEYWORD_MIN_ITEMS, &p.place->items, rule->min_items, true);
        propose_count(&p, KEYWORD_MAX_ITEMS, &p.place->items, rule->max_items, false);
        propose_count(&p, KEYWORD_MIN_PROPERTIES, &p.place->fields, rule->min_properties, true);
        propose_count(&p, KEYWORD_MAX_PROPERTIES, &p.place->fields, rule->max_properties, false);
        if (p.place->values != NULL)
            propose_values(&p);
    }
    return !p.failed && !bounds->failed;
}
