#include "schema/evaluate.h"

#include "bson/utf8.h"
#include "schema/byte_class.h"
#include "schema/unique.h"

#include <math.h>

#define HOT   inline __attribute__((always_inline))
#define RARE  __attribute__((noinline))
#define IF(x) __builtin_expect(!!(x), 1)

/* Values of an enum that are compared one by one, without hashing. */
#define FEW_VALUES 8

typedef const uint8_t *place;

static place evaluate_object(struct evaluation *e, const struct object_rule *o, place start,
                             place end, unsigned depth);
static place evaluate_array(struct evaluation *e, const struct array_rule *a, place start,
                            place end, unsigned depth);
static place evaluate_combinations(struct evaluation *e, const struct node *node, uint8_t kind,
                                   place pos, place end, unsigned depth, place after);

static RARE place fault(struct evaluation *e, place at, const char *what)
{
    return validate_fail(&e->fault, at, what);
}

static RARE place cut_off(struct evaluation *e, const char *limit)
{
    e->cut_off = limit;
    return NULL;
}

/* A refusal inside the value at pos, one of those up to `last`, will stand: what is left is checked
 * for being BSON, from where the refusing walk ended. */
static RARE void finish_refused(struct evaluation *e, uint8_t kind, place pos, place last,
                                unsigned depth)
{
    if (e->fault.what != NULL || e->cut_off != NULL || e->tentative > 0)
        return;
    pos = e->resume != NULL ? e->resume : validate_value(kind, pos, last, depth, &e->fault);
    while (pos != NULL && pos < last) {
        kind = *pos;
        pos = validate_skip_name(pos + 1, last, &e->fault);
        if (pos != NULL)
            pos = validate_value(kind, pos, last, depth, &e->fault);
    }
    e->resume = pos == NULL ? NULL : last + 1;
}

/* A refusal of a whole object or array whose bytes are checked up to its end. */
static RARE place refuse_whole(struct evaluation *e, place after)
{
    if (e->fault.what == NULL && e->cut_off == NULL && e->tentative == 0)
        e->resume = after;
    return NULL;
}

/* After a NULL: it was no refusal, and no other alternative will help. */
static bool stopped(const struct evaluation *e)
{
    return e->fault.what != NULL || e->cut_off != NULL;
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

static bool text_fits(struct evaluation *e, const struct string_rule *s, place text, size_t len,
                      size_t characters)
{
    if (characters < s->min_length || characters > s->max_length)
        return false;
    if (s->pattern == NULL)
        return true;
    if (s->row != NULL)
        return byte_class_match(s->row, text, len, (size_t)(e->limit - text));
    enum pattern_result found = pattern_match(s->pattern, text, len, e->scratch->patterns);
    if (found == PATTERN_CUT_OFF)
        (void)cut_off(e, "a pattern needs more steps than are allowed for one string");
    return found == PATTERN_YES;
}

static HOT place walk_string(struct evaluation *e, const struct string_rule *s, place pos,
                             place end)
{
    size_t left = (size_t)(end - pos);
    if (left < 5)
        return fault(e, pos, "a string ends before its length");
    /* A length of 0 wraps, so that one comparison finds both ends. */
    size_t len = (size_t)(load_u32(pos) - 1);
    if (len >= left - 4)
        return fault(e, pos, "a string's length is out of bounds");
    place text = pos + 4;
    if (text[len] != 0)
        return fault(e, text + len, "a string does not end with a NUL");
    size_t characters = len;
    if (!utf8_is_ascii_string(text, len)) {
        if (!utf8_check_slow(text, len))
            return fault(e, text, "a string is not UTF-8");
        if (s != NULL)
            characters = utf8_count(text, len);
    }
    if (s != NULL && !text_fits(e, s, text, len, characters))
        return NULL;
    return text + len + 1;
}

static HOT place walk_fixed(struct evaluation *e, place pos, place end, size_t len)
{
    if (len > (size_t)(end - pos))
        return fault(e, pos, "a value runs over the end of its document");
    return pos + len;
}

static bool bound_admits(const struct number_bound *bound, const struct number *value)
{
    if (number_is_nan(value) || number_is_nan(&bound->value))
        return !bound->exclusive && number_is_nan(value) && number_is_nan(&bound->value);
    int order = number_compare(value, &bound->value);
    return bound->upper ? order < (bound->exclusive ? 0 : 1) : order > (bound->exclusive ? 0 : -1);
}

/* The comparison with the bounds as they are written, for what has no faster way. */
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
    /* An encrypted blob: its kind (1 deterministic, 2 random), a key's UUID, the type it had. */
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
        return NULL;
    return after;
}

/* The value's bytes and the node's own rules for its kind. A plain value has only bytes. */
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
        return NULL;
    return after;
}

static RARE place evaluate_own(struct evaluation *e, const struct node *node, uint8_t kind,
                               place pos, place end, unsigned depth)
{
    return walk_value(e, node, kind, false, pos, end, depth);
}

/* Whether the node's own rules walk a value of that kind as a whole. Where they do not, and one
 * alternative is all that can match, that alternative's walk will do. */
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
        return bit == 0 ? fault(e, pos, "a field has an unknown type") : NULL;
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

/* --- objects --- */

static HOT bool name_matches(const struct program *program, const struct property *property,
                             place name, place last, place limit)
{
    if (limit - name < 16) { /* near the end of everything: too few bytes for two words */
        const char *text = program->text + property->name;
        return property->name_len < (size_t)(last - name) &&
               memcmp(text, name, property->name_len + 1) == 0;
    }
    if ((((utf8_load_word(name) ^ property->words[0]) & property->masks[0]) |
         ((utf8_load_word(name + 8) ^ property->words[1]) & property->masks[1])) != 0)
        return false;
    if (property->name_len >= (size_t)(last - name))
        return false;
    return property->name_len < 16 ||
           memcmp(program->text + property->name + 16, name + 16, property->name_len - 15) == 0;
}

static const struct property *find_property(const struct evaluation *e, const struct object_rule *o,
                                            place name, size_t len)
{
    const uint32_t *slots = e->program->links + o->slot_first;
    const struct property *properties = e->program->properties + o->property_first;
    uint32_t hash = (uint32_t)compare_hash_bytes(name, len);
    for (uint32_t slot = hash & o->slot_mask; slots[slot] != NO_INDEX;
         slot = (slot + 1) & o->slot_mask) {
        const struct property *property = &properties[slots[slot]];
        if (property->hash == hash && property->name_len == len &&
            memcmp(e->program->text + property->name, name, len) == 0)
            return property;
    }
    return NULL;
}

/* Whether a name is allowed by `propertyNames`. */
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

/* A field that its name alone does not settle: patternProperties, propertyNames, and names that are
 * additional. `node` is that of a listed name, or NODE_OTHER. */
static RARE place evaluate_other_field(struct evaluation *e, const struct object_rule *o,
                                       uint32_t node, uint8_t kind, place name, place value,
                                       place last, unsigned depth)
{
    const struct program *program = e->program;
    size_t len = (size_t)(value - name) - 1;
    place after = NULL;
    if (o->names != NO_INDEX && !name_fits(e, &program->nodes[o->names], name, len))
        return NULL;
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
            return cut_off(e, "a pattern needs more steps than are allowed for one field name");
        if (found == PATTERN_NO)
            continue;
        after = evaluate_value(e, pattern->node, kind, value, last, depth);
        if (after == NULL)
            return NULL;
    }
    if (after != NULL)
        return after;
    if (o->additional == NODE_NOTHING)
        return NULL;
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
        e->tentative++; /* the object itself answers for the refusal */
        place after = evaluate_value(e, d->node, BSON_KIND_OBJECT, start, end, depth);
        e->tentative--;
        if (after == NULL)
            return false;
    }
    return true;
}

/* The same for one word of names: by value, so that the word can stay in a register until here. */
static RARE bool narrow_dependencies_fit(struct evaluation *e, const struct object_rule *o,
                                         uint64_t seen, place start, place end, unsigned depth)
{
    return dependencies_fit(e, o, &seen, start, end, depth);
}

/* What is asked of the object as a whole, when all of its fields were seen. */
static bool wide_object_fits(struct evaluation *e, const struct object_rule *o,
                             const uint64_t *seen, uint32_t count, place start, place end,
                             unsigned depth)
{
    const uint64_t *required = e->program->bits + o->required_first;
    if (count < o->min_properties || count > o->max_properties)
        return false;
    for (uint32_t i = 0; i < o->words; i++)
        if ((required[i] & ~seen[i]) != 0)
            return false;
    return o->dependency_count == 0 || dependencies_fit(e, o, seen, start, end, depth);
}

static HOT bool spend(struct evaluation *e, uint64_t work)
{
    if (work > e->work) {
        (void)cut_off(e, "the schema needs more work than is allowed for one document");
        return false;
    }
    e->work -= work;
    return true;
}

/* Walks the fields. Returns how many there are, or a negative number. `seen` gets a bit for each
 * known name: o->words zeroed words, or, not `wide`, one word that is written at the end. */
static HOT int64_t walk_fields(struct evaluation *e, const struct object_rule *o, place pos,
                               place last, bool wide, uint64_t *seen, unsigned depth)
{
    /* Held here, because e is out of the compiler's sight with every call. */
    const struct program *program = e->program;
    const struct node *nodes = program->nodes;
    const place limit = e->limit;
    const struct property *properties = program->properties + o->property_first;
    const struct property *next = properties; /* by the schema's order, the next field is this */
    bool by_name_only = o->pattern_count == 0 && o->names == NO_INDEX;
    uint64_t narrow = 0;
    int64_t count = 0;
    for (; pos < last; count++) {
        uint8_t kind = *pos++;
        place name = pos;
        const struct property *property = next;
        uint32_t node = NODE_OTHER;
        if (IF(name_matches(program, next, name, last, limit))) {
            pos += next->name_len + 1;
        } else {
            property = next + 1;
            if (next - properties < o->property_count &&
                name_matches(program, property, name, last, limit)) {
                pos += property->name_len + 1;
            } else {
                pos = validate_skip_name(pos, last, &e->fault);
                if (pos == NULL)
                    return -1;
                property = find_property(e, o, name, (size_t)(pos - name) - 1);
            }
        }
        if (IF(property != NULL)) {
            uint64_t *word = wide ? &seen[property->word] : &narrow;
            bool repeated = (*word & property->bit) != 0;
            *word |= property->bit;
            next = property + 1;
            node = property->node;
            if (repeated && !o->check_repeated && node != NODE_OTHER)
                node = NODE_ANY;
        }
        place value = pos;
        if (IF(by_name_only && node != NODE_OTHER))
            pos = evaluate_node(e, &nodes[node], kind, value, last, depth);
        else
            pos = evaluate_other_field(e, o, node, kind, name, value, last, depth);
        if (!IF(pos != NULL)) {
            finish_refused(e, kind, value, last, depth);
            return -1;
        }
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
        return cut_off(e, "too many sub-schemas with many properties inside each other");
    uint64_t *seen = e->scratch->bits + e->bits_used;
    memset(seen, 0, o->words * sizeof *seen);
    e->bits_used += o->words;
    int64_t count = walk_fields(e, o, pos, last, true, seen, depth + 1);
    bool fits = count >= 0 && spend(e, (uint64_t)count + 1) &&
                wide_object_fits(e, o, seen, (uint32_t)count, start, end, depth);
    e->bits_used -= o->words;
    if (fits)
        return last + 1;
    return count < 0 ? NULL : refuse_whole(e, last + 1);
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
    if (!spend(e, (uint64_t)count + 1) || count < o->min_properties || count > o->max_properties ||
        (e->program->bits[o->required_first] & ~seen) != 0 ||
        (o->dependency_count > 0 && !narrow_dependencies_fit(e, o, seen, start, end, depth)))
        return refuse_whole(e, last + 1);
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

/* What is asked of the array as a whole. */
static bool array_fits(struct evaluation *e, const struct array_rule *a, struct bytes array,
                       uint32_t count, uint32_t contained)
{
    if (!spend(e, (uint64_t)count + 1) || count < a->min_items || count > a->max_items)
        return false;
    if (a->contains != NO_INDEX && (contained < a->min_contains || contained > a->max_contains))
        return false;
    if (!a->unique || count < 2)
        return true;
    switch (unique_check(array, count, e->scratch, &e->work, NULL)) {
    case UNIQUE_YES:
        return true;
    case UNIQUE_NO_MEMORY:
        (void)cut_off(e, "no memory for uniqueItems over so many items");
        return false;
    case UNIQUE_CUT_OFF:
        (void)cut_off(e, "uniqueItems needs more comparisons than are allowed");
        return false;
    default:
        return false;
    }
}

static place evaluate_array(struct evaluation *e, const struct array_rule *a, place start,
                            place end, unsigned depth)
{
    const struct program *program = e->program;
    place last = NULL;
    uint32_t count = 0;
    uint32_t contained = 0;
    if (depth >= VALIDATE_DEPTH_MAX)
        return too_deep(e, start);
    place pos = validate_open(start, end, &last, &e->fault);
    if (pos == NULL)
        return NULL;
    for (; pos < last; count++) {
        uint8_t kind = *pos;
        place value = validate_skip_name(pos + 1, last, &e->fault);
        if (value == NULL)
            return NULL;
        uint32_t node = count < a->prefix_count ? program->links[a->prefix_first + count] : a->rest;
        pos = node == NODE_NOTHING
                  ? NULL
                  : evaluate_node(e, &program->nodes[node], kind, value, last, depth + 1);
        if (!IF(pos != NULL)) {
            finish_refused(e, kind, value, last, depth + 1);
            return NULL;
        }
        if (a->contains != NO_INDEX) {
            contained += is_contained(e, a->contains, kind, value, last, depth + 1);
            if (stopped(e))
                return NULL;
        }
    }
    if (!array_fits(e, a, bytes_of(start, (size_t)(last + 1 - start)), count, contained))
        return refuse_whole(e, last + 1);
    return last + 1;
}

/* --- combinations --- */

static uint32_t count_candidates(const struct evaluation *e, const uint32_t *links, uint32_t count,
                                 type_mask bit, uint32_t *candidate)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if ((e->program->nodes[links[i]].types & bit) == 0)
            continue;
        *candidate = links[i];
        found++;
    }
    return found;
}

/* A value under combination: where it is, and where it ends once some walk has told. */
struct combined {
    uint8_t kind;
    place pos;
    place end;
    place after;
    unsigned depth;
};

/* Walks the bytes if nothing did so far: from here on a refusal may be overruled. */
static bool walk_first(struct evaluation *e, struct combined *value)
{
    if (value->after == NULL)
        value->after = validate_value(value->kind, value->pos, value->end, value->depth, &e->fault);
    return value->after != NULL;
}

static bool must_match(struct evaluation *e, uint32_t node, struct combined *value)
{
    place after = evaluate_value(e, node, value->kind, value->pos, value->end, value->depth);
    if (after != NULL)
        value->after = after;
    return after != NULL;
}

/* The same where a refusal is no refusal of the whole. */
static bool may_match(struct evaluation *e, uint32_t node, struct combined *value)
{
    e->tentative++;
    bool matches = must_match(e, node, value);
    e->tentative--;
    return matches;
}

static bool any_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    const uint32_t *links = e->program->links + c->first;
    uint32_t candidate = 0;
    uint32_t candidates = count_candidates(e, links, c->count, type_bits[value->kind], &candidate);
    if (candidates == 1)
        return must_match(e, candidate, value);
    if (candidates == 0 || !walk_first(e, value))
        return false;
    for (uint32_t i = 0; i < c->count; i++) {
        if (may_match(e, links[i], value))
            return true;
        if (stopped(e) || !spend(e, 1))
            return false;
    }
    return false;
}

static bool one_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    const uint32_t *links = e->program->links + c->first;
    uint32_t candidate = 0;
    uint32_t matches = 0;
    uint32_t candidates = count_candidates(e, links, c->count, type_bits[value->kind], &candidate);
    if (candidates == 1)
        return must_match(e, candidate, value);
    if (candidates == 0 || !walk_first(e, value))
        return false;
    for (uint32_t i = 0; i < c->count && matches < 2; i++) {
        if (may_match(e, links[i], value))
            matches++;
        else if (stopped(e) || !spend(e, 1))
            return false;
    }
    return matches == 1;
}

static bool none_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    if (!walk_first(e, value))
        return false;
    return !may_match(e, e->program->links[c->first], value) && !stopped(e);
}

static bool if_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    const uint32_t *links = e->program->links + c->first;
    if (!walk_first(e, value))
        return false;
    bool condition = may_match(e, links[0], value);
    if (!condition && stopped(e))
        return false;
    return must_match(e, links[condition ? 1 : 2], value);
}

/* A string among few values: their bytes are compared, which is all that equality asks of strings.
 */
static uint32_t find_among_few(const struct evaluation *e, const struct enum_rule *set,
                               const struct compare_value *value)
{
    const struct enum_value *known = &e->program->values[set->value_first];
    size_t len = bytes_left(&value->bytes);
    for (uint32_t i = 0; i < set->value_count; i++)
        if (bytes_left(&known[i].value.bytes) == len &&
            (known[i].value.kind == BSON_KIND_STRING || known[i].value.kind == BSON_KIND_SYMBOL) &&
            memcmp(known[i].value.bytes.pos, value->bytes.pos, len) == 0)
            return i;
    return NO_INDEX;
}

/* The index of the value in the set; NO_INDEX if it is not there. */
static uint32_t find_value(struct evaluation *e, const struct enum_rule *set,
                           const struct compare_value *value)
{
    if (value->kind == BSON_KIND_STRING && set->value_count <= FEW_VALUES)
        return find_among_few(e, set, value);
    const uint32_t *slots = e->program->links + set->slot_first;
    uint64_t hash = compare_hash(value);
    for (uint32_t slot = (uint32_t)hash & set->slot_mask; slots[slot] != NO_INDEX;
         slot = (slot + 1) & set->slot_mask) {
        const struct enum_value *known = &e->program->values[slots[slot]];
        if (known->hash == hash && compare_equal(value, &known->value, &e->work))
            return slots[slot] - set->value_first;
    }
    if (e->work == 0)
        (void)cut_off(e, "the schema needs more work than is allowed for one document");
    return NO_INDEX;
}

static bool enum_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    if (!walk_first(e, value))
        return false;
    struct compare_value one = {value->kind,
                                bytes_of(value->pos, (size_t)(value->after - value->pos))};
    return find_value(e, &e->program->enums[c->first], &one) != NO_INDEX;
}

static bool alternatives_match(struct evaluation *e, const struct combination *c,
                               struct combined *value)
{
    return c->kind == COMBINE_ANY ? any_matches(e, c, value) : one_matches(e, c, value);
}

/* Finds the tag's string and goes to the one alternative that has it. */
static bool tag_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    const struct tag_rule *tag = &e->program->tags[c->first];
    const char *name = e->program->text + tag->name;
    struct scan_element field;
    if (value->kind != BSON_KIND_OBJECT ||
        !scan_find(bytes_of(value->pos, (size_t)(value->end - value->pos)), name, &field) ||
        field.kind != BSON_KIND_STRING || bytes_left(&field.value) < 5)
        return alternatives_match(e, &tag->otherwise, value);
    const struct enum_rule *set = &e->program->enums[tag->values];
    struct compare_value one = {field.kind, field.value};
    uint32_t index = find_value(e, set, &one);
    if (index == NO_INDEX)
        return false;
    return must_match(e, e->program->links[tag->links_first + index], value);
}

static bool combination_fits(struct evaluation *e, const struct combination *c,
                             struct combined *value)
{
    switch (c->kind) {
    case COMBINE_ALL:
        for (uint32_t i = 0; i < c->count; i++)
            if (!must_match(e, e->program->links[c->first + i], value))
                return false;
        return true;
    case COMBINE_ANY:
    case COMBINE_ONE:
        return alternatives_match(e, c, value);
    case COMBINE_NOT:
        return none_matches(e, c, value);
    case COMBINE_IF:
        return if_matches(e, c, value);
    case COMBINE_ENUM:
        return enum_matches(e, c, value);
    default:
        return tag_matches(e, c, value);
    }
}

static place evaluate_combinations(struct evaluation *e, const struct node *node, uint8_t kind,
                                   place pos, place end, unsigned depth, place after)
{
    struct combined value = {kind, pos, end, after, depth};
    if (!spend(e, 1))
        return NULL;
    for (uint32_t i = 0; i < node->combination_count; i++)
        if (!combination_fits(e, &e->program->combinations[node->combination_first + i], &value))
            return NULL;
    return walk_first(e, &value) ? value.after : NULL;
}
