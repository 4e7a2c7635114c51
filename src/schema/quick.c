#include "schema/quick.h"

/* Values of an enum that are compared one by one. */
#define FEW_VALUES 8

static struct head make_head(const void *bytes, size_t len)
{
    struct head head = {.need = (1U << len) - 1};
    memcpy(head.bytes, bytes, len);
    return head;
}

struct head quick_name_head(const char *name, size_t len)
{
    if (len >= BLOCK_BYTES)
        return (struct head){.need = HEAD_NEVER};
    return make_head(name, len + 1);
}

struct head quick_string_head(const struct compare_value *value)
{
    size_t len = bytes_left(&value->bytes);
    if (value->kind != BSON_KIND_STRING || len > BLOCK_BYTES)
        return (struct head){.need = HEAD_NEVER};
    return make_head(value->bytes.pos, len);
}

static uint8_t fixed_size(uint8_t kind)
{
    switch (kind) {
    case BSON_KIND_INT32:
        return 4;
    case BSON_KIND_INT64:
    case BSON_KIND_DOUBLE:
    case BSON_KIND_DATE:
    case BSON_KIND_TIMESTAMP:
        return 8;
    case BSON_KIND_OBJECT_ID:
        return 12;
    case BSON_KIND_DECIMAL128:
        return 16;
    default:
        return 0;
    }
}

static void fill_plain(struct quick *quick)
{
    quick->size_bytes = fixed_size((uint8_t)quick->kind);
    if (quick->size_bytes > 0)
        quick->op = QUICK_FIXED;
    if (quick->kind == BSON_KIND_BOOL)
        quick->op = QUICK_BOOL;
    if (quick->kind == BSON_KIND_STRING) {
        quick->op = QUICK_STRING;
        quick->string.max_length = UINT32_MAX;
    }
}

static void fill_string(const struct string_rule *rule, struct quick *quick)
{
    const struct byte_class_code *code = rule->row == NULL ? NULL : byte_class_code(rule->row);
    if (code != NULL && code->len >= rule->min_length && code->len <= rule->max_length) {
        quick->op = QUICK_CODE;
        quick->size_bytes = (uint8_t)(code->len + 5);
        quick->code = code;
    } else if (rule->pattern == NULL || rule->row != NULL) {
        quick->op = QUICK_STRING;
        quick->string.min_length = rule->min_length;
        quick->string.max_length = rule->max_length;
        quick->string.row = rule->row;
    }
}

static void fill_number(const struct number_rule *rule, struct quick *quick)
{
    if (rule->exact || rule->has_multiple)
        return;
    if (quick->kind == BSON_KIND_DOUBLE && !rule->integral && rule->bound_count > 0) {
        quick->op = QUICK_DOUBLE;
        quick->real.min = rule->min_real;
        quick->real.max = rule->max_real;
    }
    if (quick->kind == BSON_KIND_INT32 && rule->min_integer <= INT32_MAX &&
        rule->max_integer >= INT32_MIN) {
        quick->op = QUICK_INT32;
        quick->int32.min = rule->min_integer < INT32_MIN ? INT32_MIN : (int32_t)rule->min_integer;
        quick->int32.max = rule->max_integer > INT32_MAX ? INT32_MAX : (int32_t)rule->max_integer;
    }
}

static void fill_enum(const struct program *program, const struct node *node, struct quick *quick)
{
    const struct combination *c = &program->combinations[node->combination_first];
    if (node->combination_count != 1 || c->kind != COMBINE_ENUM || node->string != NO_INDEX)
        return;
    const struct enum_rule *set = &program->enums[c->first];
    if (set->value_count > FEW_VALUES)
        return;
    quick->op = QUICK_ENUM;
    quick->values.first = set->value_first;
    quick->values.count = set->value_count;
}

/* The node's rules for values of quick->kind. */
static void fill_kind(const struct program *program, const struct node *node, struct quick *quick)
{
    type_mask bit = type_bits[(uint8_t)quick->kind];
    if ((node->types & bit) == 0)
        return;
    if ((node->plain & bit) != 0) {
        fill_plain(quick);
    } else if ((node->combined & bit) != 0) {
        if (quick->kind == BSON_KIND_STRING)
            fill_enum(program, node, quick);
    } else if (quick->kind == BSON_KIND_STRING) {
        fill_string(&program->strings[node->string], quick);
    } else if ((bit & TYPES_NUMBER) != 0) {
        fill_number(&program->numbers[node->number], quick);
    } else if (quick->kind == BSON_KIND_OBJECT) {
        quick->op = QUICK_OBJECT;
        quick->index = node->object;
    } else if (quick->kind == BSON_KIND_ARRAY) {
        quick->op = QUICK_ARRAY;
        quick->index = node->array;
    }
}

static struct quick find_quick(const struct program *program, uint32_t node)
{
    /* The likely kinds; the first one with an operation is predicted. */
    static const uint8_t kinds[] = {
        BSON_KIND_STRING,     BSON_KIND_OBJECT,    BSON_KIND_ARRAY, BSON_KIND_DOUBLE,
        BSON_KIND_INT32,      BSON_KIND_INT64,     BSON_KIND_DATE,  BSON_KIND_OBJECT_ID,
        BSON_KIND_DECIMAL128, BSON_KIND_TIMESTAMP, BSON_KIND_BOOL,
    };
    for (size_t i = 0; i < sizeof kinds; i++) {
        struct quick quick = {.kind = kinds[i], .node = node};
        fill_kind(program, &program->nodes[node], &quick);
        if (quick.op != QUICK_NONE)
            return quick;
    }
    return quick_none(node);
}

void quick_fill(struct program *program, uint32_t document_node, struct property *properties,
                struct array_rule *arrays, size_t object_count, size_t array_count)
{
    for (size_t i = 0; i < object_count; i++) {
        const struct object_rule *o = &program->objects[i];
        if (o->pattern_count > 0 || o->names != NO_INDEX)
            continue; /* the name has rules beyond its property's node */
        for (uint32_t p = 0; p < o->property_count; p++) {
            struct quick *quick = &properties[o->property_first + p].quick;
            if (quick->node != NODE_OTHER)
                *quick = find_quick(program, quick->node);
        }
    }
    program->document = (struct quick){.kind = BSON_KIND_OBJECT, .node = document_node};
    fill_kind(program, &program->nodes[document_node], &program->document);
    for (size_t i = 0; i < array_count; i++)
        if (arrays[i].rest.node != NODE_NOTHING)
            arrays[i].rest = find_quick(program, arrays[i].rest.node);
}
