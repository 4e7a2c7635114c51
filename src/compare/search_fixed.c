/* Made values, their judgement, and the search among listed values: those of an enum, and the types
 * that only the keyword type distinguishes. */
#include "compare/search_internal.h"

#include "bson/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- made values --- */

struct made_value made_bytes(struct search *s, uint8_t kind, const void *bytes, size_t len)
{
    uint8_t *copy = arena_alloc(s->arena, len + 1, 1);
    if (copy == NULL)
        return (struct made_value){0};
    memcpy(copy, bytes, len);
    return (struct made_value){kind, bytes_of(copy, len)};
}

struct made_value made_string(struct search *s, const char *text, size_t len)
{
    uint8_t *copy = arena_alloc(s->arena, len + 5, 1);
    if (copy == NULL)
        return (struct made_value){0};
    bytes_store_i32(copy, (int32_t)len + 1);
    memcpy(copy + 4, text, len);
    return (struct made_value){BSON_KIND_STRING, bytes_of(copy, len + 5)};
}

struct made_value made_integer(struct search *s, uint8_t kind, int64_t value)
{
    uint8_t bytes[8];
    bytes_store_i32(bytes, (int32_t)(uint64_t)value);
    bytes_store_i32(bytes + 4, (int32_t)((uint64_t)value >> 32));
    return made_bytes(s, kind, bytes, kind == BSON_KIND_INT32 ? 4 : 8);
}

struct made_value made_double(struct search *s, double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return made_integer(s, BSON_KIND_DOUBLE, (int64_t)bits);
}

struct made_value made_decimal(struct search *s, number_u128 coefficient, int32_t exponent,
                               bool negative)
{
    uint8_t bytes[16];
    uint64_t high = (uint64_t)(coefficient >> 64) | (uint64_t)(exponent + 6176) << 49 |
                    (uint64_t)negative << 63;
    uint64_t low = (uint64_t)coefficient;
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(low >> 8 * i);
        bytes[8 + i] = (uint8_t)(high >> 8 * i);
    }
    return made_bytes(s, BSON_KIND_DECIMAL128, bytes, sizeof bytes);
}

static bool equals(const struct made_value *value, const struct number *number)
{
    struct number other;
    return value->kind != BSON_KIND_EOD && number_read(value->kind, value->bytes.pos, &other) &&
           number_compare(&other, number) == 0;
}

/* Below 10^34, which a decimal holds. */
static number_u128 coefficient_limit(void)
{
    number_u128 limit = 1;
    for (int i = 0; i < 34; i++)
        limit *= 10;
    return limit;
}

static struct made_value decimal_of_double(struct search *s, double real)
{
    int exponent2 = 0;
    int exponent10 = 0;
    double fraction = frexp(fabs(real), &exponent2);
    number_u128 coefficient = (uint64_t)ldexp(fraction, 53);
    exponent2 -= 53;
    for (; exponent2 < 0 && coefficient % 2 == 0 && coefficient > 0; exponent2++)
        coefficient /= 2;
    for (; exponent2 < 0 && coefficient < coefficient_limit(); exponent2++) {
        coefficient *= 5;
        exponent10--;
    }
    for (; exponent2 > 0 && coefficient < coefficient_limit(); exponent2--)
        coefficient *= 2;
    if (coefficient >= coefficient_limit() || exponent2 != 0)
        return (struct made_value){0};
    return made_decimal(s, coefficient, exponent10, signbit(real) != 0);
}

static double nearest_double(const struct number *number)
{
    char text[80];
    char digits[40];
    size_t count = 0;
    if (number->form == NUMBER_INTEGER)
        return (double)number->integer;
    if (number->form == NUMBER_DOUBLE)
        return number->real;
    if (number->decimal.nan)
        return NAN;
    if (number->decimal.infinite)
        return number->decimal.negative ? -INFINITY : INFINITY;
    for (number_u128 c = number->decimal.coefficient; c > 0 || count == 0; c /= 10)
        digits[count++] = (char)('0' + (int)(c % 10));
    for (size_t i = 0; i < count / 2; i++) {
        char one = digits[i];
        digits[i] = digits[count - 1 - i];
        digits[count - 1 - i] = one;
    }
    (void)snprintf(text, sizeof text, "%s%.*se%d", number->decimal.negative ? "-" : "", (int)count,
                   digits, (int)number->decimal.exponent);
    return strtod(text, NULL);
}

struct made_value made_number(struct search *s, uint8_t kind, const struct number *number)
{
    struct made_value value = {0};
    int64_t integer = 0;
    bool whole = number_as_int64(number, &integer);
    if (kind == BSON_KIND_INT32 && whole && integer >= INT32_MIN && integer <= INT32_MAX)
        value = made_integer(s, kind, integer);
    if (kind == BSON_KIND_INT64 && whole)
        value = made_integer(s, kind, integer);
    if (kind == BSON_KIND_DOUBLE)
        value = made_double(s, nearest_double(number));
    if (kind == BSON_KIND_DECIMAL128 && whole)
        value = made_decimal(
            s, integer < 0 ? (number_u128)0 - (number_u128)integer : (number_u128)integer, 0,
            integer < 0);
    else if (kind == BSON_KIND_DECIMAL128 && number->form == NUMBER_DECIMAL)
        value = made_decimal(s, number->decimal.coefficient, number->decimal.exponent,
                             number->decimal.negative);
    else if (kind == BSON_KIND_DECIMAL128 && number_is_finite(number))
        value = decimal_of_double(s, number->real);
    return equals(&value, number) ? value : (struct made_value){0};
}

/* --- judgement --- */

enum answer search_judge(struct search *s, struct same_rule of, const struct made_value *value)
{
    struct explain x = {.schema = of.schema, .scratch = s->scratch, .work = 1000000};
    struct explain_value one = {value->kind, false, value->bytes};
    pattern_scratch_reset(s->scratch->patterns);
    bool satisfied = explain_satisfies(&x, of.rule, &one);
    if (x.cut_off || x.work == 0)
        return ANSWER_UNKNOWN;
    return satisfied ? ANSWER_FOUND : ANSWER_IMPOSSIBLE;
}

static bool is_other(const struct goal *goal, const struct made_value *value)
{
    struct compare_value one = {value->kind, value->bytes};
    for (size_t i = 0; i < goal->other_count; i++) {
        struct compare_value other = {goal->others[i].kind, goal->others[i].bytes};
        uint64_t budget = 100000;
        if (compare_equal(&one, &other, &budget))
            return false;
    }
    return true;
}

enum answer search_accept(struct search *s, const struct branch *branch, struct made_value value,
                          struct made_value *out)
{
    const struct goal *goal = branch->goal;
    enum answer answer = ANSWER_FOUND;
    if ((type_bits[value.kind] & branch->types) == 0 || !is_other(goal, &value))
        return ANSWER_IMPOSSIBLE;
    for (size_t i = 0; i < goal->hold_count; i++)
        answer = answer_both(answer, search_judge(s, goal->holds[i], &value));
    for (size_t i = 0; i < goal->break_count; i++) {
        enum answer broken = search_judge(s, goal->breaks[i], &value);
        answer = answer_both(answer, broken == ANSWER_FOUND        ? ANSWER_IMPOSSIBLE
                                     : broken == ANSWER_IMPOSSIBLE ? ANSWER_FOUND
                                                                   : ANSWER_UNKNOWN);
    }
    if (answer == ANSWER_FOUND)
        *out = value;
    else if (s->watched == goal)
        s->rejected = value;
    return answer;
}

/* --- values of an enum --- */

struct tries {
    struct search *s;
    const struct branch *branch;
    struct made_value *out;
    bool unknown;
};

static bool try_one(struct tries *t, struct made_value value)
{
    if (value.kind == BSON_KIND_EOD)
        return false;
    enum answer answer =
        search_spend(t->s) ? search_accept(t->s, t->branch, value, t->out) : ANSWER_UNKNOWN;
    t->unknown = t->unknown || answer == ANSWER_UNKNOWN;
    return answer == ANSWER_FOUND;
}

/* A value of another type may equal a number. */
static bool try_number(struct tries *t, const struct scan_element *value)
{
    static const uint8_t kinds[] = {BSON_KIND_INT32, BSON_KIND_DOUBLE, BSON_KIND_INT64,
                                    BSON_KIND_DECIMAL128};
    struct number number;
    (void)number_read(value->kind, value->value.pos, &number);
    if (try_one(t, (struct made_value){value->kind, value->value}))
        return true;
    if (!number_is_finite(&number)) {
        t->unknown = true;
        return false;
    }
    if (number.form == NUMBER_DOUBLE && fabs(number.real) >= 1e33)
        t->unknown = true; /* its decimal may be too long for made_number */
    for (size_t i = 0; i < sizeof kinds; i++)
        if (kinds[i] != value->kind && try_one(t, made_number(t->s, kinds[i], &number)))
            return true;
    return false;
}

enum answer search_values(struct search *s, const struct branch *branch, const struct rule *rule,
                          struct made_value *out)
{
    struct tries t = {s, branch, out, false};
    for (size_t i = 0; i < rule->value_count; i++) {
        const struct scan_element *value = &rule->values[i];
        struct made_value one = {value->kind, value->value};
        if ((type_bits[value->kind] & TYPES_NUMBER) != 0) {
            if (try_number(&t, value))
                return ANSWER_FOUND;
            continue;
        }
        if (try_one(&t, one))
            return ANSWER_FOUND;
        /* For an enum, strings and symbols are equal. An object or array may hold numbers. */
        one.kind = one.kind == BSON_KIND_STRING   ? BSON_KIND_SYMBOL
                   : one.kind == BSON_KIND_SYMBOL ? BSON_KIND_STRING
                                                  : one.kind;
        if (one.kind != value->kind && try_one(&t, one))
            return ANSWER_FOUND;
        if (one.kind == BSON_KIND_OBJECT || one.kind == BSON_KIND_ARRAY ||
            one.kind == BSON_KIND_CODE_WITH_SCOPE)
            t.unknown = t.unknown || (type_bits[one.kind] & branch->types) != 0;
    }
    return t.unknown ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}

/* --- types without keywords of their own --- */

/* The n-th of many different values; false if the type has no more. */
static bool plain_value(struct search *s, uint8_t kind, unsigned n, struct made_value *out)
{
    uint8_t id[17] = "mongosluice00";
    uint8_t text[] = {2, 0, 0, 0, (uint8_t)('a' + n % 26), 0};
    uint8_t regex[] = {(uint8_t)('a' + n % 26), 0, 0};
    uint8_t pointer[] = {2, 0, 0, 0, 'c', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, (uint8_t)n};
    uint8_t scoped[] = {15, 0, 0, 0, 2, 0, 0, 0, (uint8_t)('a' + n % 26), 0, 5, 0, 0, 0, 0};
    uint8_t flag = n == 0;
    id[11] = (uint8_t)('0' + n);
    switch (kind) {
    case BSON_KIND_BOOL:
        *out = made_bytes(s, kind, &flag, 1);
        return n < 2;
    case BSON_KIND_OBJECT_ID:
        *out = made_bytes(s, kind, id, 12);
        return true;
    case BSON_KIND_DATE:
    case BSON_KIND_TIMESTAMP:
        *out = made_integer(s, kind, 1700000000000 + n);
        return true;
    case BSON_KIND_REGEX:
        *out = made_bytes(s, kind, regex, sizeof regex);
        return true;
    case BSON_KIND_CODE:
    case BSON_KIND_SYMBOL:
        *out = made_bytes(s, kind, text, sizeof text);
        return true;
    case BSON_KIND_DB_POINTER:
        *out = made_bytes(s, kind, pointer, sizeof pointer);
        return true;
    case BSON_KIND_CODE_WITH_SCOPE:
        *out = made_bytes(s, kind, scoped, sizeof scoped);
        return true;
    default: /* null, undefined, minKey, maxKey */
        *out = made_bytes(s, kind, "", 0);
        return n == 0;
    }
}

static enum answer search_plain(struct search *s, const struct branch *branch, uint8_t kind,
                                struct made_value *out)
{
    struct branch one = *branch;
    struct tries t = {s, &one, out, false};
    struct made_value value;
    one.types = TYPE_BIT(kind);
    for (const struct fact *fact = fact_first_held(branch); fact != NULL;
         fact = fact_next_held(fact))
        if (fact->of.rule->encrypted_types != 0)
            return ANSWER_IMPOSSIBLE;
    for (unsigned n = 0; n < 20; n++) {
        if (!plain_value(s, kind, n, &value))
            return t.unknown ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE; /* those were all */
        if (try_one(&t, value))
            return ANSWER_FOUND;
    }
    return ANSWER_UNKNOWN;
}

/* --- binary data --- */

enum { LENGTHS_MAX = 24, BINARY_MAX = 1 << 20 };

struct shapes {
    size_t lengths[LENGTHS_MAX]; /* one for each interval between two bounds */
    size_t length_count;
    unsigned subtypes[LENGTHS_MAX];
    size_t subtype_count;
    bool left_out; /* some shapes are not tried */
};

static void add_length(struct shapes *shapes, uint64_t length)
{
    for (size_t i = 0; i < shapes->length_count; i++)
        if (shapes->lengths[i] == length)
            return;
    if (length > BINARY_MAX || shapes->length_count == LENGTHS_MAX)
        shapes->left_out = shapes->left_out || length < UINT32_MAX;
    else
        shapes->lengths[shapes->length_count++] = (size_t)length;
}

static void add_subtype(struct shapes *shapes, unsigned subtype)
{
    for (size_t i = 0; i < shapes->subtype_count; i++)
        if (shapes->subtypes[i] == subtype)
            return;
    if (shapes->subtype_count == LENGTHS_MAX)
        shapes->left_out = true;
    else
        shapes->subtypes[shapes->subtype_count++] = subtype;
}

/* Only bounds of the length and named subtypes make a difference, so one length between two bounds
 * and one other subtype are enough. */
static void list_shapes(const struct branch *branch, struct shapes *shapes)
{
    static const unsigned subtypes[] = {0, 4, 6, 5};
    static const uint64_t lengths[] = {18, 16, 0, 1, 17, 19};
    for (size_t i = 0; i < sizeof subtypes / sizeof subtypes[0]; i++)
        add_subtype(shapes, subtypes[i]);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        add_length(shapes, lengths[i]);
    for (const struct fact *fact = branch->facts; fact != NULL; fact = fact->next) {
        const struct rule *rule = fact->of.rule;
        shapes->left_out = shapes->left_out || fact->kind == FACT_NOT_VALUE;
        if (rule == NULL)
            continue;
        if (rule->binary_subtype >= 0)
            add_subtype(shapes, (unsigned)rule->binary_subtype);
        for (int i = -1; rule->binary_length && i <= 1; i++) {
            if (rule->min_length > 0)
                add_length(shapes, (uint64_t)((int64_t)rule->min_length + i));
            if (rule->max_length < UINT32_MAX)
                add_length(shapes, (uint64_t)rule->max_length + (uint64_t)(i + 1));
        }
    }
}

static enum answer search_binary(struct search *s, const struct branch *branch,
                                 struct made_value *out)
{
    static const uint8_t kinds[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,    10,   11,
                                    12, 13, 14, 15, 16, 17, 18, 19, 0x7F, 0xFF, 0};
    struct branch one = *branch;
    struct tries t = {s, &one, out, false};
    struct shapes shapes = {0};
    one.types = TYPE_BIT(BSON_KIND_BINARY);
    list_shapes(branch, &shapes);
    for (size_t at = 0; at < shapes.subtype_count * shapes.length_count; at++) {
        size_t length = shapes.lengths[at % shapes.length_count];
        unsigned subtype = shapes.subtypes[at / shapes.length_count];
        uint8_t *bytes = arena_alloc(s->arena, length + 6, 1);
        if (bytes == NULL)
            return ANSWER_UNKNOWN;
        bytes_store_i32(bytes, (int32_t)length);
        bytes[4] = (uint8_t)subtype;
        for (size_t i = 0; i < (subtype == 6 && length >= 18 ? sizeof kinds : 1); i++) {
            if (length >= 18) {
                bytes[5] = 1;
                bytes[5 + 17] = kinds[i];
            }
            if (try_one(&t, made_bytes(s, BSON_KIND_BINARY, bytes, length + 5)))
                return ANSWER_FOUND;
        }
    }
    return t.unknown || shapes.left_out ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}

enum answer search_fixed(struct search *s, const struct branch *branch, struct made_value *out)
{
    static const uint8_t kinds[] = {
        BSON_KIND_BOOL,    BSON_KIND_NULL,      BSON_KIND_DATE,       BSON_KIND_OBJECT_ID,
        BSON_KIND_BINARY,  BSON_KIND_REGEX,     BSON_KIND_TIMESTAMP,  BSON_KIND_CODE,
        BSON_KIND_SYMBOL,  BSON_KIND_UNDEFINED, BSON_KIND_DB_POINTER, BSON_KIND_CODE_WITH_SCOPE,
        BSON_KIND_MIN_KEY, BSON_KIND_MAX_KEY};
    bool unknown = false;
    for (size_t i = 0; i < sizeof kinds; i++) {
        if ((branch->types & TYPE_BIT(kinds[i])) == 0)
            continue;
        enum answer answer = kinds[i] == BSON_KIND_BINARY ? search_binary(s, branch, out)
                                                          : search_plain(s, branch, kinds[i], out);
        if (answer == ANSWER_FOUND)
            return answer;
        unknown = unknown || answer == ANSWER_UNKNOWN;
    }
    return unknown ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}
