#include "schema/evaluate.h"

#include "base/keyed_hash.h"
#include "base/utf8.h"
#include "schema/unique.h"

#include <math.h>

static place evaluate_object(struct evaluation *e, const struct object_rule *o, place start,
                             place end, unsigned depth);
static place evaluate_array(struct evaluation *e, const struct array_rule *a, place start,
                            place end, unsigned depth);

static RARE place fault(struct evaluation *e, place at, const char *what)
{
    return validate_fail(&e->fault, at, what);
}

const char evaluate_work_cut_off[] = "the schema needs more work than is allowed for one document";

RARE place evaluate_cut_off(struct evaluation *e, const char *limit)
{
    e->cut_off = limit;
    return NULL;
}

RARE place evaluate_refuse(struct evaluation *e, place after)
{
    if (stopped(e) || e->tentative > 0)
        return NULL;
    e->refused = true;
    return after;
}

RARE place evaluate_refuse_value(struct evaluation *e, uint8_t kind, place pos, place end,
                                 unsigned depth)
{
    if (stopped(e) || e->tentative > 0)
        return NULL;
    e->refused = true;
    return validate_value(kind, pos, end, depth, &e->fault);
}

static RARE place too_deep(struct evaluation *e, place at)
{
    e->fault.too_deep = true;
    return fault(e, at, "the document is nested too deeply");
}

static HOT uint32_t load_u32(place pos)
{
    uint32_t value;
    memcpy(&value, pos, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    return value;
}

/* --- scalars --- */

static RARE bool pattern_fits(struct evaluation *e, const struct pattern *pattern, place text,
                              size_t len)
{
    enum pattern_result found = pattern_match(pattern, text, len, e->scratch->patterns);
    if (found == PATTERN_CUT_OFF)
        (void)evaluate_cut_off(e, pattern_cut_off_reason(e->scratch->patterns));
    return found == PATTERN_YES;
}

static bool text_fits(struct evaluation *e, const struct string_rule *s, place text, size_t len,
                      size_t characters)
{
    if (characters < s->min_length || characters > s->max_length)
        return false;
    if (s->row != NULL)
        return byte_class_match(s->row, text, len, (size_t)(e->limit - text));
    return s->pattern == NULL || pattern_fits(e, s->pattern, text, len);
}

static RARE place wrong_string(struct evaluation *e, place pos, place end)
{
    if (end - pos < 5)
        return fault(e, pos, "a string is longer than its document");
    (void)validate_value(BSON_KIND_STRING, pos, end, 0, &e->fault);
    return NULL;
}

/* Finds the end of the string's characters, at its NUL. */
static HOT place find_string_end(struct evaluation *e, place pos, place end)
{
    ptrdiff_t left = end - pos;
    if (left < 5)
        return wrong_string(e, pos, end);
    /* A length of 0 wraps, so that one comparison finds both ends. */
    size_t len = (size_t)(load_u32(pos) - 1);
    if (len >= (size_t)left - 4 || pos[4 + len] != 0)
        return wrong_string(e, pos, end);
    return pos + 4 + len;
}

#define NOT_UTF8 SIZE_MAX

static RARE size_t count_wide_characters(struct evaluation *e, place text, size_t len)
{
    if (utf8_check_slow(text, len))
        return utf8_count(text, len);
    (void)fault(e, text, "a string is not UTF-8");
    return NOT_UTF8;
}

/* NOT_UTF8 with the fault set. */
static HOT size_t count_characters(struct evaluation *e, place text, size_t len)
{
    return IF(utf8_is_ascii_string(text, len)) ? len : count_wide_characters(e, text, len);
}

struct measured_string {
    size_t len;
    size_t characters;
};

/* Returns the string's NUL; NULL if there is none, or if the string is not UTF-8. */
static HOT place measure_string(struct evaluation *e, place pos, place end,
                                struct measured_string *out)
{
    place nul = find_string_end(e, pos, end);
    if (nul == NULL)
        return NULL;
    out->len = (size_t)(nul - pos) - 4;
    out->characters = count_characters(e, pos + 4, out->len);
    return out->characters == NOT_UTF8 ? NULL : nul;
}

static HOT place walk_string(struct evaluation *e, const struct string_rule *s, place pos,
                             place end)
{
    struct measured_string string;
    place nul = measure_string(e, pos, end, &string);
    if (nul == NULL)
        return NULL;
    if (s != NULL && !text_fits(e, s, pos + 4, string.len, string.characters))
        return evaluate_refuse(e, nul + 1);
    return nul + 1;
}

static HOT place walk_fixed(struct evaluation *e, place pos, place end, size_t len)
{
    if ((ptrdiff_t)len > end - pos)
        return fault(e, pos, "a value is longer than its document");
    return pos + len;
}

static bool bound_admits(const struct number_bound *bound, const struct number *value)
{
    if (number_is_nan(value) || number_is_nan(&bound->value))
        return !bound->exclusive && number_is_nan(value) && number_is_nan(&bound->value);
    int order = number_compare(value, &bound->value);
    return bound->upper ? order < (bound->exclusive ? 0 : 1) : order > (bound->exclusive ? 0 : -1);
}

/* Compares with the bounds as written, for values without a faster way. */
static RARE bool bounds_admit(const struct evaluation *e, const struct number_rule *n,
                              const struct number *value)
{
    for (uint32_t i = 0; i < n->bound_count; i++)
        if (!bound_admits(&e->program->bounds[n->bound_first + i], value))
            return false;
    return true;
}

static RARE bool number_fits_slowly(const struct evaluation *e, const struct number_rule *n,
                                    uint8_t kind, place pos)
{
    struct number value;
    (void)number_read(kind, pos, &value);
    return bounds_admit(e, n, &value) && (!n->integral || number_is_integral(&value)) &&
           (!n->has_multiple || number_is_multiple(&value, &n->multiple_of));
}

static HOT bool number_fits(const struct evaluation *e, const struct number_rule *n, uint8_t kind,
                            place pos)
{
    if (n->exact || n->has_multiple || kind == BSON_KIND_DECIMAL128)
        return number_fits_slowly(e, n, kind, pos);
    if (kind == BSON_KIND_DOUBLE) {
        double value = number_load_double(pos);
        if (n->bound_count > 0 && !(value >= n->min_real && value <= n->max_real))
            return false;
        return !n->integral || (isfinite(value) && value == trunc(value));
    }
    int64_t value = kind == BSON_KIND_INT32 ? bytes_load_i32(pos) : bytes_load_i64(pos);
    return value >= n->min_integer && value <= n->max_integer;
}

static RARE bool binary_fits(const struct evaluation *e, const struct node *node, place pos)
{
    uint32_t len = load_u32(pos);
    place data = pos + 5;
    if (node->binary_subtype >= 0 && pos[4] != node->binary_subtype)
        return false;
    if (node->binary != NO_INDEX) {
        const struct string_rule *s = &e->program->strings[node->binary];
        if (len < s->min_length || len > s->max_length)
            return false;
    }
    if (node->encrypted == 0)
        return true;
    if (pos[4] != 6)
        return false;
    if (node->encrypted == TYPES_ALL)
        return true;
    /* An encrypted blob: its kind (1 deterministic, 2 random), a key's UUID, its original type. */
    return len >= 18 && (data[0] == 1 || data[0] == 2) &&
           (type_bits[data[17]] & node->encrypted) != 0;
}

/* --- any value --- */

static RARE place walk_rare(struct evaluation *e, const struct node *node, uint8_t kind, place pos,
                            place end, unsigned depth)
{
    place after = validate_value(kind, pos, end, depth, &e->fault);
    if (after != NULL && kind == BSON_KIND_BINARY &&
        (node->plain & TYPE_BIT(BSON_KIND_BINARY)) == 0 && !binary_fits(e, node, pos))
        return evaluate_refuse(e, after);
    return after;
}

/* Checks the value's bytes and the node's own rules for its kind. A plain value has only bytes. */
static HOT place walk_value(struct evaluation *e, const struct node *node, uint8_t kind, bool plain,
                            place pos, place end, unsigned depth)
{
    const struct program *program = e->program;
    place after;
    switch (kind) {
    case BSON_KIND_STRING:
        return walk_string(
            e, plain || node->string == NO_INDEX ? NULL : &program->strings[node->string], pos,
            end);
    case BSON_KIND_INT32:
        after = walk_fixed(e, pos, end, 4);
        break;
    case BSON_KIND_INT64:
    case BSON_KIND_DOUBLE:
        after = walk_fixed(e, pos, end, 8);
        break;
    case BSON_KIND_DATE:
        return walk_fixed(e, pos, end, 8);
    case BSON_KIND_OBJECT_ID:
        return walk_fixed(e, pos, end, 12);
    case BSON_KIND_BOOL:
        if (pos >= end || *pos > 1)
            return fault(e, pos, "a boolean is neither 0 nor 1");
        return pos + 1;
    case BSON_KIND_NULL:
        return pos;
    case BSON_KIND_OBJECT:
        if (!plain && node->object != NO_INDEX)
            return evaluate_object(e, &program->objects[node->object], pos, end, depth);
        return walk_rare(e, node, kind, pos, end, depth);
    case BSON_KIND_ARRAY:
        if (!plain && node->array != NO_INDEX)
            return evaluate_array(e, &program->arrays[node->array], pos, end, depth);
        return walk_rare(e, node, kind, pos, end, depth);
    case BSON_KIND_DECIMAL128:
        after = walk_fixed(e, pos, end, 16);
        break;
    default:
        return walk_rare(e, node, kind, pos, end, depth);
    }
    if (!plain && node->number != NO_INDEX && after != NULL &&
        !number_fits(e, &program->numbers[node->number], kind, pos))
        return evaluate_refuse(e, after);
    return after;
}

static RARE place evaluate_own(struct evaluation *e, const struct node *node, uint8_t kind,
                               place pos, place end, unsigned depth)
{
    return walk_value(e, node, kind, false, pos, end, depth);
}

/* True if the node's own rules walk a value of this kind as a whole. Otherwise, if only one
 * alternative can match, the walk of that alternative suffices. */
static bool walks_itself(const struct node *node, uint8_t kind)
{
    if (kind == BSON_KIND_OBJECT)
        return node->object != NO_INDEX;
    return kind != BSON_KIND_ARRAY || node->array != NO_INDEX;
}

static HOT place evaluate_node(struct evaluation *e, const struct node *node, uint8_t kind,
                               place pos, place end, unsigned depth)
{
    type_mask bit = type_bits[kind];
    if (!IF((node->types & bit) != 0))
        return evaluate_refuse_value(e, kind, pos, end, depth);
    if (IF((node->combined & bit) == 0))
        return walk_value(e, node, kind, (node->plain & bit) != 0, pos, end, depth);
    place after = NULL;
    if (walks_itself(node, kind)) {
        after = evaluate_own(e, node, kind, pos, end, depth);
        if (after == NULL)
            return NULL;
    }
    return evaluate_combinations(e, node, kind, pos, end, depth, after);
}

const uint8_t *evaluate_value(struct evaluation *e, uint32_t node, uint8_t kind, const uint8_t *pos,
                              const uint8_t *end, unsigned depth)
{
    return evaluate_node(e, &e->program->nodes[node], kind, pos, end, depth);
}

/* --- values of the likely kind ---
 *
 * A predicted name may end at the document's own NUL, so the value's position may be one past
 * `end`. All code here therefore compares end - pos as a signed number. */

/* Handles values that the quick operations leave to the general ones: errors and rare cases. */
static RARE place walk_generally(struct evaluation *e, const struct quick *q, place pos, place end,
                                 unsigned depth)
{
    return evaluate_node(e, &e->program->nodes[q->node], (uint8_t)q->kind, pos, end, depth);
}

static HOT place quick_string(struct evaluation *e, const struct quick *q, place pos, place end)
{
    struct measured_string string;
    place nul = measure_string(e, pos, end, &string);
    if (nul == NULL)
        return NULL;
    if (string.characters < q->string.min_length || string.characters > q->string.max_length ||
        (q->string.row != NULL &&
         !byte_class_match(q->string.row, pos + 4, string.len, (size_t)(e->limit - pos) - 4)))
        return evaluate_refuse(e, nul + 1);
    return nul + 1;
}

static HOT place quick_code(struct evaluation *e, const struct quick *q, place pos, place end,
                            unsigned depth)
{
    const struct byte_class_code *code = q->code;
    ptrdiff_t size = q->size_bytes;
    if (IF(end - pos >= size && e->limit - pos >= code->room + 4 &&
           load_u32(pos) == (uint32_t)size - 4 && pos[size - 1] == 0 &&
           byte_class_code_match(code, pos + 4)))
        return pos + size;
    return walk_generally(e, q, pos, end, depth);
}

static HOT bool head_is(const struct head *head, block16 here)
{
    uint32_t same = block_equal_bits(here, block_load(head->bytes));
    return (same & head->need) == head->need;
}

static HOT place quick_enum(struct evaluation *e, const struct quick *q, place pos, place end,
                            unsigned depth)
{
    if (IF(e->limit - pos >= BLOCK_BYTES)) {
        const struct enum_value *values = &e->program->values[q->values.first];
        block16 here = block_load(pos);
        for (uint32_t i = 0; i < q->values.count; i++) {
            /* the value is a whole string, so only its place must be checked */
            if (head_is(&values[i].head, here) && end - pos >= (ptrdiff_t)load_u32(pos) + 4)
                return pos + 4 + load_u32(pos);
        }
    }
    return walk_generally(e, q, pos, end, depth);
}

/* A value of the quick operation's kind. */
static HOT place walk_quick(struct evaluation *e, const struct quick *q, place pos, place end,
                            unsigned depth)
{
    const struct program *program = e->program;
    switch ((enum quick_op)q->op) {
    case QUICK_FIXED:
        return walk_fixed(e, pos, end, q->size_bytes);
    case QUICK_BOOL:
        if (pos >= end || *pos > 1)
            return fault(e, pos, "a boolean is neither 0 nor 1");
        return pos + 1;
    case QUICK_INT32: {
        place after = walk_fixed(e, pos, end, 4);
        if (after == NULL)
            return NULL;
        int32_t value = (int32_t)load_u32(pos);
        return value < q->int32.min || value > q->int32.max ? evaluate_refuse(e, after) : after;
    }
    case QUICK_DOUBLE: {
        place after = walk_fixed(e, pos, end, 8);
        if (after == NULL)
            return NULL;
        double value = number_load_double(pos);
        return value >= q->real.min && value <= q->real.max ? after : evaluate_refuse(e, after);
    }
    case QUICK_STRING:
        return quick_string(e, q, pos, end);
    case QUICK_CODE:
        return quick_code(e, q, pos, end, depth);
    case QUICK_ENUM:
        return quick_enum(e, q, pos, end, depth);
    case QUICK_OBJECT:
        return evaluate_object(e, &program->objects[q->index], pos, end, depth);
    case QUICK_ARRAY:
        return evaluate_array(e, &program->arrays[q->index], pos, end, depth);
    case QUICK_NONE: /* its kind is that of no value */
        break;
    }
    __builtin_unreachable();
}

/* --- objects --- */

static const struct property *find_property(const struct evaluation *e, const struct object_rule *o,
                                            place name, size_t len)
{
    const uint32_t *slots = e->program->links + o->slot_first;
    const struct property *properties = e->program->properties + o->property_first;
    uint32_t hash = (uint32_t)keyed_hash(name, len);
    for (uint32_t slot = hash & o->slot_mask; slots[slot] != NO_INDEX;
         slot = (slot + 1) & o->slot_mask) {
        const struct property *property = &properties[slots[slot]];
        if (property->hash == hash && property->name_len == len &&
            memcmp(e->program->text + property->name, name, len) == 0)
            return property;
    }
    return NULL;
}

/* True if `propertyNames` allows the name. */
static bool name_fits(struct evaluation *e, const struct node *node, place name, size_t len)
{
    const struct program *program = e->program;
    if ((node->types & TYPE_BIT(BSON_KIND_STRING)) == 0)
        return false;
    if (node->string != NO_INDEX &&
        !text_fits(e, &program->strings[node->string], name, len, utf8_count(name, len)))
        return false;
    for (uint32_t i = 0; i < node->combination_count; i++) {
        const struct combination *c = &program->combinations[node->combination_first + i];
        const struct enum_rule *set = &program->enums[c->first];
        bool found = false;
        for (uint32_t v = 0; v < set->value_count && !found; v++) {
            const struct compare_value *value = &program->values[set->value_first + v].value;
            found = value->kind == BSON_KIND_STRING && bytes_left(&value->bytes) == len + 5 &&
                    memcmp(value->bytes.pos + 4, name, len) == 0;
        }
        if (!found)
            return false;
    }
    return true;
}

/* Checks a field that its name does not settle: patternProperties, propertyNames, and additional
 * names. `node` is that of a listed name, or NODE_OTHER. `field` is the byte of its kind; its name
 * follows. */
static RARE place evaluate_other_field(struct evaluation *e, const struct object_rule *o,
                                       uint32_t node, place field, place value, place last,
                                       unsigned depth)
{
    const struct program *program = e->program;
    const uint8_t kind = *field;
    const place name = field + 1;
    size_t len = (size_t)(value - name) - 1;
    place after = NULL;
    if (o->names != NO_INDEX && !name_fits(e, &program->nodes[o->names], name, len))
        return evaluate_refuse_value(e, kind, value, last, depth);
    if (node != NODE_OTHER) {
        after = evaluate_value(e, node, kind, value, last, depth);
        if (after == NULL)
            return NULL;
    }
    for (uint32_t i = 0; i < o->pattern_count; i++) {
        const struct pattern_property *pattern = &program->patterns[o->pattern_first + i];
        enum pattern_result found =
            pattern_match(pattern->pattern, name, len, e->scratch->patterns);
        if (found == PATTERN_CUT_OFF)
            return evaluate_cut_off(e, pattern_cut_off_reason(e->scratch->patterns));
        if (found == PATTERN_NO)
            continue;
        after = evaluate_value(e, pattern->node, kind, value, last, depth);
        if (after == NULL)
            return NULL;
    }
    if (after != NULL)
        return after;
    if (o->additional == NODE_NOTHING)
        return evaluate_refuse_value(e, kind, value, last, depth);
    return evaluate_value(e, o->additional, kind, value, last, depth);
}

static bool is_seen(const uint64_t *seen, uint32_t property)
{
    return (seen[property / 64] >> (property % 64) & 1) != 0;
}

static RARE bool dependencies_fit(struct evaluation *e, const struct object_rule *o,
                                  const uint64_t *seen, place start, place end, unsigned depth)
{
    for (uint32_t i = 0; i < o->dependency_count; i++) {
        const struct dependency *d = &e->program->dependencies[o->dependency_first + i];
        if (!is_seen(seen, d->property))
            continue;
        for (uint32_t n = 0; n < d->name_count; n++)
            if (!is_seen(seen, e->program->links[d->name_first + n]))
                return false;
        if (d->node == NO_INDEX)
            continue;
        e->tentative++; /* the object itself reports the refusal */
        place after = evaluate_value(e, d->node, BSON_KIND_OBJECT, start, end, depth);
        e->tentative--;
        if (after == NULL)
            return false;
    }
    return true;
}

/* Checks the object as a whole after all its fields. */
static bool object_fits(struct evaluation *e, const struct object_rule *o, const uint64_t *seen,
                        uint32_t count, place start, place end, unsigned depth)
{
    const uint64_t *required = e->program->bits + o->required_first;
    if (count < o->min_properties || count > o->max_properties)
        return false;
    for (uint32_t i = 0; i < o->words; i++)
        if ((required[i] & ~seen[i]) != 0)
            return false;
    return o->dependency_count == 0 || dependencies_fit(e, o, seen, start, end, depth);
}

/* Does the same for one word of names, passed by value so that it can stay in a register. */
static RARE bool narrow_object_fits(struct evaluation *e, const struct object_rule *o,
                                    uint64_t seen, uint32_t count, place start, place end,
                                    unsigned depth)
{
    return object_fits(e, o, &seen, count, start, end, depth);
}

/* Checks a field with a value of an unlikely kind, or with a name that does not settle it. */
static RARE place evaluate_field(struct evaluation *e, const struct object_rule *o, uint32_t node,
                                 place field, place value, place last, unsigned depth)
{
    if (value > last)
        return fault(e, field + 1, "a field name or a regular expression has no terminator");
    if (node == NODE_OTHER || o->pattern_count > 0 || o->names != NO_INDEX)
        return evaluate_other_field(e, o, node, field, value, last, depth);
    return evaluate_node(e, &e->program->nodes[node], *field, value, last, depth);
}

/* True if the property's name is at this place and ends before `last`. */
static bool name_matches(const struct program *program, const struct property *property, place name,
                         place last)
{
    return property->name_len < (size_t)(last - name) &&
           memcmp(program->text + property->name, name, property->name_len + 1) == 0;
}

struct found_field {
    const struct property *property; /* NULL: no known name */
    place value;                     /* NULL: the name is broken */
};

/* Finds the property of a field whose name was not predicted: the next one in the schema's order,
 * the one after it, or any other. */
static RARE struct found_field find_field(struct evaluation *e, const struct object_rule *o,
                                          const struct property *next, place name, place last)
{
    for (size_t i = 0; i < 2; i++)
        if (name_matches(e->program, &next[i], name, last))
            return (struct found_field){&next[i], name + next[i].name_len + 1};
    place value = validate_skip_name(name, last, &e->fault);
    if (value == NULL)
        return (struct found_field){NULL, NULL};
    return (struct found_field){find_property(e, o, name, (size_t)(value - name) - 1), value};
}

/* Walks the fields. Returns their number, or a negative number. `seen` gets a bit for each known
 * name: o->words zeroed words, or, without `wide`, one word that is written at the end. */
static HOT int64_t walk_fields(struct evaluation *e, const struct object_rule *o, place pos,
                               place last, bool wide, uint64_t *seen, unsigned depth)
{
    /* kept in locals, because every call hides e from the compiler */
    const struct program *program = e->program;
    const place limit = e->limit;
    const struct property *properties = program->properties + o->property_first;
    const struct property *next = properties; /* by the schema's order, this is the next field */
    uint64_t narrow = 0;
    int64_t count = 0;
    for (; pos < last; count++) {
        uint8_t kind = *pos;
        struct found_field field = {next, pos + 2 + next->name_len};
        if (!IF(limit - pos > BLOCK_BYTES && head_is(&next->head, block_load(pos + 1)))) {
            field = find_field(e, o, next, pos + 1, last);
            if (field.value == NULL)
                return -1;
        }
        const struct quick *quick = NULL;
        uint32_t node = NODE_OTHER;
        if (IF(field.property != NULL)) {
            size_t index = (size_t)(field.property - properties);
            uint64_t *word = wide ? &seen[index / 64] : &narrow;
            bool repeated = (*word & field.property->bit) != 0;
            *word |= field.property->bit;
            next = field.property + 1;
            node = field.property->quick.node;
            if (IF(!repeated || o->check_repeated || node == NODE_OTHER))
                quick = &field.property->quick;
            else
                node = NODE_ANY;
        }
        if (IF(quick != NULL && quick->kind == kind))
            pos = walk_quick(e, quick, field.value, last, depth);
        else
            pos = evaluate_field(e, o, node, pos, field.value, last, depth);
        if (!IF(pos != NULL))
            return -1;
    }
    if (!wide)
        *seen = narrow;
    return count;
}

static RARE place evaluate_wide_object(struct evaluation *e, const struct object_rule *o,
                                       place start, place end, place pos, place last,
                                       unsigned depth)
{
    if (o->words > SCRATCH_BITS - e->bits_used)
        return evaluate_cut_off(e, "too many sub-schemas with many properties inside each other");
    uint64_t *seen = e->scratch->bits + e->bits_used;
    memset(seen, 0, o->words * sizeof *seen);
    e->bits_used += o->words;
    int64_t count = walk_fields(e, o, pos, last, true, seen, depth + 1);
    bool fits = count >= 0 && spend(e, (uint64_t)count + 1) &&
                object_fits(e, o, seen, (uint32_t)count, start, end, depth);
    e->bits_used -= o->words;
    if (fits)
        return last + 1;
    return count < 0 ? NULL : evaluate_refuse(e, last + 1);
}

static place evaluate_object(struct evaluation *e, const struct object_rule *o, place start,
                             place end, unsigned depth)
{
    place last = NULL;
    if (depth >= VALIDATE_DEPTH_MAX)
        return too_deep(e, start);
    place pos = validate_open(start, end, &last, &e->fault);
    if (pos == NULL)
        return NULL;
    if (o->words > 1)
        return evaluate_wide_object(e, o, start, end, pos, last, depth);
    uint64_t seen = 0;
    int64_t count = walk_fields(e, o, pos, last, false, &seen, depth + 1);
    if (count < 0)
        return NULL;
    if (!spend(e, (uint64_t)count + 1) || (o->required & ~seen) != 0 ||
        (o->asks_more && !narrow_object_fits(e, o, seen, (uint32_t)count, start, end, depth)))
        return evaluate_refuse(e, last + 1);
    return last + 1;
}

/* --- arrays --- */

static bool is_contained(struct evaluation *e, uint32_t node, uint8_t kind, place pos, place end,
                         unsigned depth)
{
    e->tentative++;
    place after = evaluate_value(e, node, kind, pos, end, depth);
    e->tentative--;
    return after != NULL;
}

/* Checks the array as a whole. */
static bool array_fits(struct evaluation *e, const struct array_rule *a, struct bytes array,
                       uint32_t count, uint32_t contained)
{
    if (!spend(e, (uint64_t)count + 1) || count < a->min_items || count > a->max_items)
        return false;
    if (a->contains != NO_INDEX && (contained < a->min_contains || contained > a->max_contains))
        return false;
    if (!a->unique || count < 2 || e->refused)
        return true;
    switch (unique_check(array, count, e->scratch, &e->work, NULL)) {
    case UNIQUE_YES:
        return true;
    case UNIQUE_NO_MEMORY:
        (void)evaluate_cut_off(e, "no memory for uniqueItems over so many items");
        return false;
    case UNIQUE_CUT_OFF:
        (void)evaluate_cut_off(e, "uniqueItems needs more comparisons than are allowed");
        return false;
    default:
        return false;
    }
}

/* Checks an item of the prefix, or of an unlikely kind. */
static RARE place evaluate_item(struct evaluation *e, const struct array_rule *a, uint32_t index,
                                uint8_t kind, place value, place last, unsigned depth)
{
    if (value > last)
        return fault(e, last, "a field name or a regular expression has no terminator");
    uint32_t node =
        index < a->prefix_count ? e->program->links[a->prefix_first + index] : a->rest.node;
    if (node == NODE_NOTHING)
        return evaluate_refuse_value(e, kind, value, last, depth);
    return evaluate_node(e, &e->program->nodes[node], kind, value, last, depth);
}

/* The length of an array's keys with their NUL: the key of an item is as long as the key before it.
 */
struct foretold_key {
    uint64_t high; /* the high bit of each byte of the key, … */
    uint64_t nul;  /* … and that of its NUL alone */
    uint32_t len;
};

static HOT bool key_matches(const struct foretold_key *foretold, place key, place limit)
{
    if (limit - key < 8)
        return false;
    /* the subtraction sets the high bit only for a NUL or a byte after one */
    uint64_t word = utf8_load_word(key);
    uint64_t nuls = (word - 0x0101010101010101U) & foretold->high;
    return (nuls ^ foretold->nul) == 0 && (word & foretold->high) == 0;
}

static RARE place skip_key(struct evaluation *e, place key, place last,
                           struct foretold_key *foretold)
{
    place value = validate_skip_name(key, last, &e->fault);
    *foretold = (struct foretold_key){.nul = 1};
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (value != NULL && value - key <= 8) {
        foretold->len = (uint32_t)(value - key);
        foretold->high = UTF8_HIGH_BITS >> (64 - 8 * foretold->len);
        foretold->nul = (uint64_t)0x80 << (8 * foretold->len - 8);
    }
#endif
    return value;
}

static place evaluate_array(struct evaluation *e, const struct array_rule *a, place start,
                            place end, unsigned depth)
{
    place last = NULL;
    uint32_t count = 0;
    uint32_t contained = 0;
    const place limit = e->limit;
    struct foretold_key foretold = {.nul = 1}; /* matches nothing */
    if (depth >= VALIDATE_DEPTH_MAX)
        return too_deep(e, start);
    place pos = validate_open(start, end, &last, &e->fault);
    if (pos == NULL)
        return NULL;
    for (; pos < last; count++) {
        uint8_t kind = *pos;
        place value = pos + 1 + foretold.len;
        if (!IF(key_matches(&foretold, pos + 1, limit)))
            value = skip_key(e, pos + 1, last, &foretold);
        if (value == NULL)
            return NULL;
        if (IF(count >= a->prefix_count && kind == a->rest.kind))
            pos = walk_quick(e, &a->rest, value, last, depth + 1);
        else
            pos = evaluate_item(e, a, count, kind, value, last, depth + 1);
        if (!IF(pos != NULL))
            return NULL;
        if (a->contains != NO_INDEX) {
            contained += is_contained(e, a->contains, kind, value, last, depth + 1);
            if (stopped(e))
                return NULL;
        }
    }
    if (!array_fits(e, a, bytes_of(start, (size_t)(last + 1 - start)), count, contained))
        return evaluate_refuse(e, last + 1);
    return last + 1;
}

const uint8_t *evaluate_document(struct evaluation *e, const struct quick *quick,
                                 const uint8_t *start, const uint8_t *end)
{
    if (IF(quick->op == QUICK_OBJECT))
        return evaluate_object(e, &e->program->objects[quick->index], start, end, 0);
    return evaluate_value(e, quick->node, BSON_KIND_OBJECT, start, end, 0);
}
