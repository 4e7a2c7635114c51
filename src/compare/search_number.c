/* The search among numbers of one type: between bounds, with or without multiples. */
#include "compare/search_internal.h"

#include <math.h>

enum { LIMITS_MAX = 24, FEW = 256 };

/* multipleOf takes 15 digits of a double. */
#define EXACT_INTEGER_MAX 1000000000000000

struct limit {
    const struct number *value;
    bool exclusive;
};

struct range {
    struct limit lower[LIMITS_MAX], upper[LIMITS_MAX];
    size_t lower_count, upper_count;
    const struct number *multiples[LIMITS_MAX];
    size_t multiple_count;
    const struct number *avoided[LIMITS_MAX]; /* the number is no multiple of these */
    size_t avoided_count;
    bool integral;
    bool fraction;           /* the number needs a fraction */
    bool no_order;           /* a bound is NaN: no other number satisfies it */
    int64_t lowest, highest; /* among the integers */
};

struct number_tries {
    struct search *s;
    struct branch branch;
    struct made_value *out;
    bool unknown;
};

static void add_limit(struct limit *limits, size_t *count, const struct number *value,
                      bool exclusive)
{
    if (*count < LIMITS_MAX) /* further limits are left out */
        limits[(*count)++] = (struct limit){value, exclusive};
}

static void add_number(const struct number **list, size_t *count, const struct number *value)
{
    if (*count < LIMITS_MAX)
        list[(*count)++] = value;
}

static void add_held(struct range *range, const struct rule *rule)
{
    for (int i = 0; i < 2; i++) {
        const struct rule_bound *bounds[] = {&rule->lower[i], &rule->upper[i]};
        for (int side = 0; side < 2; side++) {
            const struct rule_bound *bound = bounds[side];
            if (bound->set && number_is_nan(&bound->value))
                range->no_order = true;
            else if (bound->set && side == 0)
                add_limit(range->lower, &range->lower_count, &bound->value, bound->exclusive);
            else if (bound->set)
                add_limit(range->upper, &range->upper_count, &bound->value, bound->exclusive);
        }
    }
    if (rule_has(rule, KEYWORD_MULTIPLE_OF))
        add_number(range->multiples, &range->multiple_count, &rule->multiple_of);
    range->integral = range->integral || rule->integral;
}

static void add_fact(struct range *range, const struct fact *fact)
{
    const struct rule *rule = fact->of.rule;
    if (fact->kind == FACT_HOLDS)
        add_held(range, rule);
    if (fact->kind == FACT_BELOW && !number_is_nan(&rule->lower[fact->index].value))
        add_limit(range->upper, &range->upper_count, &rule->lower[fact->index].value,
                  !rule->lower[fact->index].exclusive);
    if (fact->kind == FACT_ABOVE && !number_is_nan(&rule->upper[fact->index].value))
        add_limit(range->lower, &range->lower_count, &rule->upper[fact->index].value,
                  !rule->upper[fact->index].exclusive);
    range->fraction = range->fraction || fact->kind == FACT_NOT_INTEGRAL;
    if (fact->kind == FACT_NOT_MULTIPLE)
        add_number(range->avoided, &range->avoided_count, &rule->multiple_of);
}

static bool is_over(const struct range *range, const struct number *value)
{
    for (size_t i = 0; i < range->lower_count; i++) {
        int order = number_compare(value, range->lower[i].value);
        if (order < 0 || (order == 0 && range->lower[i].exclusive))
            return false;
    }
    return true;
}

static bool is_under(const struct range *range, const struct number *value)
{
    for (size_t i = 0; i < range->upper_count; i++) {
        int order = number_compare(value, range->upper[i].value);
        if (order > 0 || (order == 0 && range->upper[i].exclusive))
            return false;
    }
    return true;
}

/* --- integers and doubles, each by its rank --- */

static struct number integer_at(int64_t place)
{
    return (struct number){.form = NUMBER_INTEGER, .integer = place};
}

/* The rank of doubles: -infinity has rank -PLACE_INFINITY. */
#define PLACE_INFINITY 0x7FF0000000000000

static struct number double_at(int64_t place)
{
    uint64_t bits = place < 0 ? (uint64_t)-place | (uint64_t)1 << 63 : (uint64_t)place;
    struct number number = {.form = NUMBER_DOUBLE};
    memcpy(&number.real, &bits, sizeof bits);
    return number;
}

typedef struct number place_fn(int64_t place);

/* The first rank from low on whose number exceeds all lower limits; high + 1 if there is none. */
static int64_t first_over(const struct range *range, place_fn *at, int64_t low, int64_t high)
{
    while (low <= high) {
        int64_t middle = low + (int64_t)(((uint64_t)high - (uint64_t)low) / 2);
        struct number number = at(middle);
        if (!is_over(range, &number)) {
            if (middle == INT64_MAX)
                return INT64_MAX;
            low = middle + 1;
        } else if (middle == low) {
            return low;
        } else {
            high = middle;
        }
    }
    return low;
}

static int64_t last_under(const struct range *range, place_fn *at, int64_t low, int64_t high)
{
    while (low <= high) {
        int64_t middle = high - (int64_t)(((uint64_t)high - (uint64_t)low) / 2);
        struct number number = at(middle);
        if (!is_under(range, &number)) {
            if (middle == INT64_MIN)
                return INT64_MIN;
            high = middle - 1;
        } else if (middle == high) {
            return high;
        } else {
            low = middle;
        }
    }
    return high;
}

/* --- impossible conditions --- */

static bool multiples_contradict(const struct range *range, bool integers)
{
    const struct number one = integer_at(1);
    for (size_t i = 0; i < range->avoided_count; i++) {
        if (integers && number_is_multiple(&one, range->avoided[i]))
            return true;
        for (size_t j = 0; j < range->multiple_count; j++)
            if (number_is_multiple(range->multiples[j], range->avoided[i]))
                return true;
    }
    return false;
}

static bool limits_cross(const struct range *range)
{
    for (size_t i = 0; i < range->lower_count; i++)
        if (!is_under(range, range->lower[i].value))
            return true;
    for (size_t i = 0; i < range->lower_count; i++)
        for (size_t j = 0; j < range->upper_count; j++)
            if (range->lower[i].exclusive &&
                number_compare(range->lower[i].value, range->upper[j].value) == 0)
                return true;
    return false;
}

/* True if the smallest multiple of an integer in the range exceeds its end. */
static bool holds_no_multiple(const struct range *range)
{
    for (size_t i = 0; i < range->multiple_count; i++) {
        int64_t m = 0;
        if (!number_as_int64(range->multiples[i], &m) || m <= 0)
            continue;
        int64_t over = range->lowest % m;
        if (over < 0)
            over += m;
        if (over != 0 && (uint64_t)range->highest - (uint64_t)range->lowest < (uint64_t)(m - over))
            return true;
    }
    return false;
}

/* --- candidates --- */

static bool try_value(struct number_tries *t, struct made_value value)
{
    if (value.kind == BSON_KIND_EOD)
        return false;
    enum answer answer =
        search_spend(t->s) ? search_accept(t->s, &t->branch, value, t->out) : ANSWER_UNKNOWN;
    t->unknown = t->unknown || answer == ANSWER_UNKNOWN;
    return answer == ANSWER_FOUND;
}

static bool try_integer(struct number_tries *t, uint8_t kind, int64_t value)
{
    struct number number = integer_at(value);
    return try_value(t, made_number(t->s, kind, &number));
}

/* Integers near the ends, near zero, and multiples. */
static bool try_integers(struct number_tries *t, const struct range *range, uint8_t kind)
{
    static const int64_t usual[] = {1, 0, 2, 3, 5, 7, 10, 100, -1, -2};
    int64_t low = range->lowest;
    int64_t high = range->highest;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (usual[i] >= low && usual[i] <= high && try_integer(t, kind, usual[i]))
            return true;
    const uint64_t span = (uint64_t)high - (uint64_t)low;
    for (int64_t i = 0; i < 20 && (uint64_t)i <= span; i++)
        if (try_integer(t, kind, low + i) || try_integer(t, kind, high - i))
            return true;
    for (size_t i = 0; i < range->multiple_count; i++) {
        int64_t m = 0;
        if (!number_as_int64(range->multiples[i], &m) || m <= 0 || m > INT32_MAX)
            continue;
        int64_t base = low > INT64_MIN / 2 && low < INT64_MAX / 2 ? low - low % m : 0;
        int64_t top = high > INT64_MIN / 2 && high < INT64_MAX / 2 ? high - high % m : 0;
        for (int64_t n = -1; n < 20; n++)
            if (try_integer(t, kind, base + n * m) || try_integer(t, kind, top - n * m))
                return true;
    }
    return false;
}

static enum answer answer_of(const struct number_tries *t, bool all_tried)
{
    return t->unknown || !all_tried ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}

/* Tries all integers of a short range, or likely ones. */
static enum answer search_integers(struct number_tries *t, const struct range *range, uint8_t kind)
{
    if (range->lowest > range->highest || holds_no_multiple(range))
        return answer_of(t, true);
    if ((uint64_t)range->highest - (uint64_t)range->lowest < FEW) {
        for (int64_t i = 0; i <= range->highest - range->lowest; i++)
            if (try_integer(t, kind, range->lowest + i))
                return ANSWER_FOUND;
        return answer_of(t, true);
    }
    return try_integers(t, range, kind) ? ANSWER_FOUND : ANSWER_UNKNOWN;
}

static bool try_fractions(struct number_tries *t, const struct range *range, double low,
                          double high)
{
    double start = low < -1e15 ? 0 : low;
    const double usual[] = {low + (high - low) / 2,
                            low,
                            high,
                            nextafter(low, INFINITY),
                            nextafter(high, -INFINITY),
                            0.5,
                            1.5,
                            0.1,
                            start + 0.5,
                            start + 1,
                            start + 1.5,
                            high - 0.5,
                            high - 1,
                            start + 0.25,
                            start + 0.1};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (try_value(t, made_double(t->s, usual[i])))
            return true;
    for (size_t i = 0; i < range->multiple_count; i++) {
        struct made_value m = made_number(t->s, BSON_KIND_DOUBLE, range->multiples[i]);
        double unit = m.kind == BSON_KIND_EOD ? 0 : number_load_double(m.bytes.pos);
        for (int n = -1; unit > 0 && n < 20; n++)
            if (try_value(t, made_double(t->s, (ceil(start / unit) + n) * unit)))
                return true;
    }
    return false;
}

static enum answer search_double(struct number_tries *t, const struct range *range)
{
    int64_t low = first_over(range, double_at, -PLACE_INFINITY, PLACE_INFINITY);
    int64_t high = last_under(range, double_at, -PLACE_INFINITY, PLACE_INFINITY);
    if (low > high)
        return answer_of(t, true);
    if ((uint64_t)high - (uint64_t)low < FEW) {
        for (int64_t i = low; i <= high; i++)
            if (try_value(t, made_double(t->s, double_at(i).real)))
                return ANSWER_FOUND;
        return answer_of(t, true);
    }
    return try_integers(t, range, BSON_KIND_DOUBLE) ||
                   try_fractions(t, range, double_at(low).real, double_at(high).real)
               ? ANSWER_FOUND
               : ANSWER_UNKNOWN;
}

/* The only number within the limits; NULL if there are more or none. */
static const struct number *only_number(const struct range *range)
{
    for (size_t i = 0; i < range->lower_count; i++)
        for (size_t j = 0; j < range->upper_count; j++)
            if (number_compare(range->lower[i].value, range->upper[j].value) == 0)
                return range->lower[i].value;
    return NULL;
}

static bool try_decimals(struct number_tries *t, const struct range *range)
{
    const struct limit *limits[] = {range->lower, range->upper};
    const size_t counts[] = {range->lower_count, range->upper_count};
    for (size_t side = 0; side < 2; side++)
        for (size_t i = 0; i < counts[side]; i++)
            if (try_value(t, made_number(t->s, BSON_KIND_DECIMAL128, limits[side][i].value)))
                return true;
    for (size_t i = 0; i < range->multiple_count; i++) {
        struct made_value m = made_number(t->s, BSON_KIND_DECIMAL128, range->multiples[i]);
        if (m.kind == BSON_KIND_EOD)
            continue;
        struct decimal unit = decimal_load(m.bytes.pos);
        for (unsigned n = 0; n < 20 && unit.coefficient < 1000000; n++)
            if (try_value(t, made_decimal(t->s, unit.coefficient * n, unit.exponent, false)))
                return true;
    }
    for (int64_t tenths = -15; tenths < 40; tenths++) {
        int64_t near = range->lowest > INT32_MIN && range->lowest < INT32_MAX ? range->lowest : 0;
        int64_t value = near * 10 + tenths;
        if (try_value(t,
                      made_decimal(t->s, (number_u128)(value < 0 ? -value : value), -1, value < 0)))
            return true;
    }
    return false;
}

/* True if try_decimals has tried the only possible number. */
static bool was_all(struct number_tries *t, const struct range *range)
{
    const struct number *only = only_number(range);
    return only != NULL && made_number(t->s, BSON_KIND_DECIMAL128, only).kind != BSON_KIND_EOD;
}

/* NaN has no order among numbers, so it is a separate candidate. */
static bool try_nan(struct number_tries *t, uint8_t kind)
{
    static const uint8_t decimal[16] = {[15] = 0x7C};
    if (kind == BSON_KIND_DOUBLE)
        return try_value(t, made_double(t->s, NAN));
    return kind == BSON_KIND_DECIMAL128 && try_value(t, made_bytes(t->s, kind, decimal, 16));
}

enum answer search_number(struct search *s, const struct branch *branch, uint8_t kind,
                          struct made_value *out)
{
    struct number_tries t = {s, *branch, out, false};
    struct range range = {0};
    bool integers = kind == BSON_KIND_INT32 || kind == BSON_KIND_INT64;
    t.branch.types = TYPE_BIT(kind);
    for (const struct fact *fact = branch->facts; fact != NULL; fact = fact->next) {
        add_fact(&range, fact);
        if (fact->kind == FACT_HOLDS && fact->of.rule->encrypted_types != 0)
            return ANSWER_IMPOSSIBLE;
    }
    if (range.fraction && (integers || range.integral))
        return ANSWER_IMPOSSIBLE;
    range.lowest = first_over(&range, integer_at, INT64_MIN, INT64_MAX);
    range.highest = last_under(&range, integer_at, INT64_MIN, INT64_MAX);
    if (range.no_order || limits_cross(&range) ||
        multiples_contradict(&range, integers || range.integral)) {
        /* no ordered number is possible */
    } else if (integers || (range.integral && range.lowest > -EXACT_INTEGER_MAX &&
                            range.highest < EXACT_INTEGER_MAX)) {
        if (kind == BSON_KIND_INT32) {
            range.lowest = range.lowest < INT32_MIN ? INT32_MIN : range.lowest;
            range.highest = range.highest > INT32_MAX ? INT32_MAX : range.highest;
        }
        enum answer answer = search_integers(&t, &range, kind);
        if (answer != ANSWER_IMPOSSIBLE)
            return answer;
    } else if (kind == BSON_KIND_DOUBLE) {
        enum answer answer = search_double(&t, &range);
        if (answer != ANSWER_IMPOSSIBLE)
            return answer;
    } else {
        if (try_integers(&t, &range, kind) || try_decimals(&t, &range) || try_nan(&t, kind))
            return ANSWER_FOUND;
        return answer_of(&t, was_all(&t, &range));
    }
    return try_nan(&t, kind) ? ANSWER_FOUND : answer_of(&t, true);
}
