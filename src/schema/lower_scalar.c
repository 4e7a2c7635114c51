/* Strings, numbers and enumerated values. */
#include "schema/lowering.h"

#include <math.h>

#include "schema/quick.h"

/* --- strings and numbers --- */

uint32_t lower_string(struct lower *l, const struct rule *rule)
{
    struct string_rule string = {rule->min_length, rule->max_length, rule->pattern,
                                 rule->pattern == NULL ? NULL : pattern_row(rule->pattern)};
    if (rule->pattern == NULL && rule->min_length == 0 && rule->max_length == UINT32_MAX)
        return NO_INDEX;
    return lower_push(l, LOWER_STRINGS, &string);
}

static bool admits(const struct rule_bound *bound, bool upper, const struct number *value)
{
    int order = number_compare(value, &bound->value);
    return upper ? order < 0 || (order == 0 && !bound->exclusive)
                 : order > 0 || (order == 0 && !bound->exclusive);
}

static struct number integer_at(uint64_t rank)
{
    return (struct number){.form = NUMBER_INTEGER, .integer = (int64_t)(rank ^ (1ULL << 63))};
}

/* Doubles in order, from -infinity at rank 0. */
static struct number real_at(uint64_t rank)
{
    uint64_t least = ~0xFFF0000000000000ULL; /* of -infinity, flipped as below */
    uint64_t flipped = rank + least;
    uint64_t bits = (flipped >> 63) != 0 ? flipped ^ (1ULL << 63) : ~flipped;
    struct number n = {.form = NUMBER_DOUBLE};
    memcpy(&n.real, &bits, sizeof n.real);
    return n;
}

#define REAL_RANKS ((0x7FF0000000000000ULL | 1ULL << 63) - ~0xFFF0000000000000ULL)

/* The rank of the outermost value that the bound admits; false if it admits none. */
static bool find_limit(const struct rule_bound *bound, bool upper, uint64_t ranks,
                       struct number (*at)(uint64_t), struct number *limit)
{
    uint64_t low = 0;
    uint64_t high = ranks; /* the last rank */
    struct number inner = at(upper ? low : high);
    if (!admits(bound, upper, &inner))
        return false;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2 + (upper ? (high - low) % 2 : 0);
        struct number value = at(middle);
        if (upper == admits(bound, upper, &value)) {
            if (upper)
                low = middle;
            else
                low = middle + 1;
        } else if (upper) {
            high = middle - 1;
        } else {
            high = middle;
        }
    }
    *limit = at(low);
    return true;
}

static void narrow(struct number_rule *number, const struct rule_bound *bound, bool upper)
{
    struct number limit;
    bool any = find_limit(bound, upper, UINT64_MAX, integer_at, &limit);
    if (!any) {
        number->min_integer = INT64_MAX;
        number->max_integer = INT64_MIN;
    } else if (upper && limit.integer < number->max_integer) {
        number->max_integer = limit.integer;
    } else if (!upper && limit.integer > number->min_integer) {
        number->min_integer = limit.integer;
    }
    any = find_limit(bound, upper, REAL_RANKS, real_at, &limit);
    if (!any) {
        number->min_real = INFINITY;
        number->max_real = -INFINITY;
    } else if (upper && limit.real < number->max_real) {
        number->max_real = limit.real;
    } else if (!upper && limit.real > number->min_real) {
        number->min_real = limit.real;
    }
}

static void lower_bound(struct lower *l, struct number_rule *number, const struct rule_bound *bound,
                        bool upper)
{
    struct number_bound written = {bound->value, upper, bound->exclusive};
    if (!bound->set)
        return;
    uint32_t index = lower_push(l, LOWER_BOUNDS, &written);
    if (number->bound_count++ == 0)
        number->bound_first = index;
    if (number_is_nan(&bound->value))
        number->exact = true;
    else
        narrow(number, bound, upper);
}

uint32_t lower_number(struct lower *l, const struct rule *rule)
{
    struct number_rule number = {.min_integer = INT64_MIN,
                                 .max_integer = INT64_MAX,
                                 .min_real = -INFINITY,
                                 .max_real = INFINITY,
                                 .integral = rule->integral,
                                 .has_multiple = rule_has(rule, KEYWORD_MULTIPLE_OF),
                                 .multiple_of = rule->multiple_of};
    for (size_t i = 0; i < 2; i++) {
        lower_bound(l, &number, &rule->lower[i], false);
        lower_bound(l, &number, &rule->upper[i], true);
    }
    if (number.bound_count == 0 && !number.integral && !number.has_multiple)
        return NO_INDEX;
    return lower_push(l, LOWER_NUMBERS, &number);
}

/* --- enum --- */

uint32_t lower_values(struct lower *l, const struct scan_element *values, size_t count)
{
    uint32_t size = lower_slots_for(count);
    struct enum_rule set = {.slot_first = lower_push_slots(l, size),
                            .slot_mask = size - 1,
                            .value_first = lower_push_many(l, &l->vectors[LOWER_VALUES], count),
                            .value_count = (uint32_t)count};
    for (size_t i = 0; i < count && !l->no_memory; i++) {
        struct enum_value value = {.value = {values[i].kind, values[i].value}};
        value.hash = compare_hash(&value.value);
        value.head = quick_string_head(&value.value);
        *(struct enum_value *)lower_entry(l, LOWER_VALUES, set.value_first + i) = value;
        lower_fill_slot(l, set.slot_first, set.slot_mask, value.hash,
                        set.value_first + (uint32_t)i);
    }
    return lower_push(l, LOWER_ENUMS, &set);
}

type_mask lower_types_of_values(const struct scan_element *values, size_t count)
{
    const type_mask text = TYPE_BIT(BSON_KIND_STRING) | TYPE_BIT(BSON_KIND_SYMBOL);
    type_mask types = 0;
    for (size_t i = 0; i < count; i++)
        types |= type_bits[values[i].kind];
    if ((types & TYPES_NUMBER) != 0)
        types |= TYPES_NUMBER;
    if ((types & text) != 0)
        types |= text;
    return types;
}
