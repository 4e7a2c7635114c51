#include "bson/number.h"

#include "base/keyed_hash.h"
#include "bson/scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DECIMAL_DIGITS 34

/* 10^n for n <= 38: all powers that fit into 128 bits. */
static number_u128 power_of_ten(unsigned n)
{
    number_u128 power = 1;
    while (n-- > 0)
        power *= 10;
    return power;
}

struct decimal decimal_load(const uint8_t *p)
{
    uint64_t low = bytes_load_u64(p);
    uint64_t high = bytes_load_u64(p + 8);
    struct decimal d = {.negative = (high >> 63) != 0};
    unsigned combination = (unsigned)(high >> 58) & 0x1F;
    if (combination >= 0x1E) {
        d.infinite = combination == 0x1E;
        d.nan = combination == 0x1F;
        return d;
    }
    if ((combination >> 3) == 3) {
        /* the form with an implied 100 prefix: it always has more than 34 digits, so it means 0 */
        d.exponent = (int32_t)((high >> 47) & 0x3FFF) - 6176;
        return d;
    }
    d.exponent = (int32_t)((high >> 49) & 0x3FFF) - 6176;
    d.coefficient = (number_u128)(high & 0x1FFFFFFFFFFFFU) << 64 | low;
    if (d.coefficient >= power_of_ten(DECIMAL_DIGITS))
        d.coefficient = 0;
    return d;
}

bool number_read(uint8_t kind, const uint8_t *value, struct number *out)
{
    switch (kind) {
    case BSON_KIND_INT32:
        *out = (struct number){.form = NUMBER_INTEGER, .integer = bytes_load_i32(value)};
        return true;
    case BSON_KIND_INT64:
        *out = (struct number){.form = NUMBER_INTEGER, .integer = bytes_load_i64(value)};
        return true;
    case BSON_KIND_DOUBLE:
        *out = (struct number){.form = NUMBER_DOUBLE, .real = number_load_double(value)};
        return true;
    case BSON_KIND_DECIMAL128:
        *out = (struct number){.form = NUMBER_DECIMAL, .decimal = decimal_load(value)};
        return true;
    default:
        return false;
    }
}

bool number_is_nan(const struct number *n)
{
    return (n->form == NUMBER_DOUBLE && isnan(n->real)) ||
           (n->form == NUMBER_DECIMAL && n->decimal.nan);
}

bool number_is_finite(const struct number *n)
{
    if (n->form == NUMBER_DOUBLE)
        return isfinite(n->real);
    return n->form == NUMBER_INTEGER || (!n->decimal.nan && !n->decimal.infinite);
}

/* -1, 0 or 1; not for NaN. */
static int sign_of(const struct number *n)
{
    switch (n->form) {
    case NUMBER_INTEGER:
        return (n->integer > 0) - (n->integer < 0);
    case NUMBER_DOUBLE:
        return (n->real > 0) - (n->real < 0);
    default:
        if (!n->decimal.infinite && n->decimal.coefficient == 0)
            return 0;
        return n->decimal.negative ? -1 : 1;
    }
}

/* An unsigned integer that holds every finite double, and every decimal128 close to one, at a
 * common scale: 113 bits * 5^359 (834 bits), shifted by at most 1433. */
#define BIG_WORDS 40
struct big {
    uint64_t word[BIG_WORDS]; /* least significant first */
    size_t used;              /* all words above are 0; shifts do not update it */
};

static void big_set(struct big *b, number_u128 value)
{
    memset(b, 0, sizeof *b);
    b->word[0] = (uint64_t)value;
    b->word[1] = (uint64_t)(value >> 64);
    b->used = 2;
}

static void big_multiply(struct big *b, uint64_t factor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < BIG_WORDS && (i < b->used || carry != 0); i++) {
        number_u128 product = (number_u128)b->word[i] * factor + carry;
        b->word[i] = (uint64_t)product;
        carry = (uint64_t)(product >> 64);
        b->used = i < b->used ? b->used : i + 1;
    }
}

static void big_multiply_fives(struct big *b, unsigned exponent)
{
    static const unsigned fives = 27; /* the fives that one word holds */
    static const uint64_t all_fives = 7450580596923828125U;
    for (; exponent >= fives; exponent -= fives)
        big_multiply(b, all_fives);
    uint64_t rest = 1;
    while (exponent-- > 0)
        rest *= 5;
    big_multiply(b, rest);
}

static void big_shift_left(struct big *b, unsigned bits)
{
    unsigned words = bits / 64;
    unsigned rest = bits % 64;
    for (unsigned i = BIG_WORDS; i-- > 0;) {
        uint64_t high = i >= words ? b->word[i - words] : 0;
        uint64_t low = i >= words + 1 ? b->word[i - words - 1] : 0;
        b->word[i] = rest == 0 ? high : high << rest | low >> (64 - rest);
    }
}

static void big_multiply_tens(struct big *b, unsigned exponent)
{
    big_multiply_fives(b, exponent);
    big_shift_left(b, exponent);
}

static int big_compare(const struct big *a, const struct big *b)
{
    for (size_t i = BIG_WORDS; i-- > 0;)
        if (a->word[i] != b->word[i])
            return a->word[i] < b->word[i] ? -1 : 1;
    return 0;
}

static int digits_of(number_u128 value)
{
    int digits = 0;
    for (; value != 0; value /= 10)
        digits++;
    return digits;
}

/* Compares |coefficient * 10^exponent| with |mantissa * 2^shift|; neither is 0. */
static int compare_magnitudes(const struct decimal *d, uint64_t mantissa, int shift)
{
    /* doubles (and int64) lie between 10^-324 and 10^309 */
    int top = digits_of(d->coefficient) + d->exponent;
    if (top > 310)
        return 1;
    if (top < -324)
        return -1;
    struct big left;
    struct big right;
    big_set(&left, d->coefficient);
    big_set(&right, mantissa);
    /* 10^e = 5^e * 2^e: one side gets the fives, one side gets the difference of the twos */
    big_multiply_fives(d->exponent >= 0 ? &left : &right, (unsigned)abs(d->exponent));
    int twos = d->exponent - shift;
    big_shift_left(twos >= 0 ? &left : &right, (unsigned)abs(twos));
    return big_compare(&left, &right);
}

static int compare_decimal_double(const struct decimal *d, double real)
{
    int exponent = 0;
    double fraction = frexp(fabs(real), &exponent);
    return compare_magnitudes(d, (uint64_t)ldexp(fraction, 53), exponent - 53);
}

static int compare_decimals(const struct decimal *a, const struct decimal *b)
{
    int a_top = digits_of(a->coefficient) + a->exponent;
    int b_top = digits_of(b->coefficient) + b->exponent;
    if (a_top != b_top)
        return a_top < b_top ? -1 : 1;
    /* same magnitude: the exponents differ by less than the number of digits */
    struct big left;
    struct big right;
    big_set(&left, a->coefficient);
    big_set(&right, b->coefficient);
    if (a->exponent > b->exponent)
        big_multiply_tens(&left, (unsigned)(a->exponent - b->exponent));
    else
        big_multiply_tens(&right, (unsigned)(b->exponent - a->exponent));
    return big_compare(&left, &right);
}

static uint64_t absolute(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static int compare_integer_double(int64_t integer, double real)
{
    if (real >= 9223372036854775808.0)
        return -1;
    if (real < -9223372036854775808.0)
        return 1;
    int64_t whole = (int64_t)real;
    if (integer != whole)
        return integer < whole ? -1 : 1;
    double fraction = real - (double)whole;
    return (fraction < 0) - (fraction > 0);
}

/* Compares the magnitudes of two numbers with the same sign; neither is 0 or NaN, and at least one
 * is a decimal. */
static int compare_with_decimal(const struct number *a, const struct number *b)
{
    if (a->form != NUMBER_DECIMAL)
        return -compare_with_decimal(b, a);
    bool b_infinite = b->form == NUMBER_DECIMAL ? b->decimal.infinite
                                                : b->form == NUMBER_DOUBLE && isinf(b->real);
    if (a->decimal.infinite || b_infinite)
        return (int)a->decimal.infinite - (int)b_infinite;
    switch (b->form) {
    case NUMBER_INTEGER:
        return compare_magnitudes(&a->decimal, absolute(b->integer), 0);
    case NUMBER_DOUBLE:
        return compare_decimal_double(&a->decimal, b->real);
    default:
        return compare_decimals(&a->decimal, &b->decimal);
    }
}

int number_compare(const struct number *a, const struct number *b)
{
    bool a_nan = number_is_nan(a);
    bool b_nan = number_is_nan(b);
    if (a_nan || b_nan)
        return (int)b_nan - (int)a_nan;
    if (a->form == NUMBER_INTEGER && b->form == NUMBER_INTEGER)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (a->form == NUMBER_DOUBLE && b->form == NUMBER_DOUBLE)
        return (a->real > b->real) - (a->real < b->real);
    if (a->form == NUMBER_INTEGER && b->form == NUMBER_DOUBLE)
        return compare_integer_double(a->integer, b->real);
    if (a->form == NUMBER_DOUBLE && b->form == NUMBER_INTEGER)
        return -compare_integer_double(b->integer, a->real);
    int a_sign = sign_of(a);
    int b_sign = sign_of(b);
    if (a_sign != b_sign || a_sign == 0)
        return (a_sign > b_sign) - (a_sign < b_sign);
    int order = compare_with_decimal(a, b);
    return a_sign < 0 ? -order : order;
}

/* Removes factors of ten from the coefficient, so that equal values have equal forms. */
static void decimal_normalize(struct decimal *d)
{
    if (d->coefficient == 0)
        d->exponent = 0;
    while (d->coefficient != 0 && d->coefficient % 10 == 0) {
        d->coefficient /= 10;
        d->exponent++;
    }
}

/* The magnitude as an integer below 2^63, if it has this form. `d` is normalized. */
static bool decimal_magnitude(const struct decimal *d, uint64_t *out)
{
    if (d->exponent < 0 || d->exponent > 18)
        return false;
    number_u128 limit = (number_u128)1 << 63;
    number_u128 power = power_of_ten((unsigned)d->exponent);
    if (d->coefficient >= limit / power + 1 || d->coefficient * power >= limit)
        return false;
    *out = (uint64_t)(d->coefficient * power);
    return true;
}

/* The double that equals the decimal exactly, if one exists. `d` is normalized. */
static bool decimal_as_double(const struct decimal *d, double *out)
{
    number_u128 odd = d->coefficient;
    /* beyond these, a decimal128 coefficient cannot compensate the fives */
    if (d->exponent < -49 || d->exponent > 22)
        return false;
    for (int i = d->exponent; i < 0; i++) {
        if (odd % 5 != 0)
            return false;
        odd /= 5;
    }
    for (int i = 0; i < d->exponent; i++) {
        if (odd >> 120 != 0)
            return false;
        odd *= 5;
    }
    int twos = d->exponent;
    while (odd != 0 && (odd & 1) == 0) {
        odd >>= 1;
        twos++;
    }
    if (odd >> 53 != 0)
        return false;
    *out = ldexp((double)(uint64_t)odd, twos) * (d->negative ? -1 : 1);
    return true;
}

/* Numbers hash with one of these tags; numbers that may be equal have the same tag. */
enum { HASH_INTEGER, HASH_DOUBLE, HASH_DECIMAL, HASH_SPECIAL };

static uint64_t hash_integer(uint64_t value)
{
    return keyed_hash_pair(value, HASH_INTEGER);
}

static uint64_t hash_double(double real)
{
    uint64_t bits = 0;
    if (real >= -9223372036854775808.0 && real < 9223372036854775808.0) {
        int64_t whole = (int64_t)real;
        if ((double)whole == real)
            return hash_integer((uint64_t)whole);
    }
    if (isnan(real) || isinf(real))
        return keyed_hash_pair(isnan(real), HASH_SPECIAL);
    memcpy(&bits, &real, sizeof bits);
    return keyed_hash_pair(bits, HASH_DOUBLE);
}

uint64_t number_hash(const struct number *n)
{
    if (n->form == NUMBER_INTEGER)
        return hash_integer((uint64_t)n->integer);
    if (n->form == NUMBER_DOUBLE)
        return hash_double(n->real);
    if (n->decimal.nan || n->decimal.infinite)
        return keyed_hash_pair(n->decimal.nan, HASH_SPECIAL);
    struct decimal d = n->decimal;
    uint64_t magnitude = 0;
    double real = 0;
    decimal_normalize(&d);
    if (decimal_magnitude(&d, &magnitude))
        return hash_integer(d.negative ? 0 - magnitude : magnitude);
    if (decimal_as_double(&d, &real))
        return hash_double(real);
    uint64_t low = keyed_hash_pair((uint64_t)d.coefficient, (uint64_t)(d.coefficient >> 64));
    return keyed_hash_pair(low ^ (uint64_t)(int64_t)d.exponent, HASH_DECIMAL);
}

bool number_is_integral(const struct number *n)
{
    if (n->form == NUMBER_INTEGER)
        return true;
    if (!number_is_finite(n))
        return false;
    if (n->form == NUMBER_DOUBLE)
        return n->real == trunc(n->real);
    struct decimal d = n->decimal;
    decimal_normalize(&d);
    return d.exponent >= 0;
}

bool number_as_int64(const struct number *n, int64_t *out)
{
    uint64_t magnitude = 0;
    if (!number_is_integral(n))
        return false;
    switch (n->form) {
    case NUMBER_INTEGER:
        *out = n->integer;
        return true;
    case NUMBER_DOUBLE:
        if (!(n->real >= -9223372036854775808.0 && n->real < 9223372036854775808.0))
            return false;
        *out = (int64_t)n->real;
        return true;
    default: {
        struct decimal d = n->decimal;
        decimal_normalize(&d);
        if (!decimal_magnitude(&d, &magnitude))
            return false;
        *out = d.negative ? -(int64_t)magnitude : (int64_t)magnitude;
        return true;
    }
    }
}

/* A finite double rounded to 15 significant digits, as MongoDB converts it to a decimal. */
static struct decimal decimal_of_double(double real)
{
    char text[40];
    struct decimal d = {.negative = signbit(real) != 0};
    (void)snprintf(text, sizeof text, "%.14e", fabs(real));
    const char *p = text;
    for (; *p != 'e' && *p != 0; p++)
        if (*p >= '0' && *p <= '9') /* skips the radix character of every locale */
            d.coefficient = d.coefficient * 10 + (unsigned)(*p - '0');
    int exponent = 0;
    bool below = *p == 'e' && p[1] == '-';
    for (; *p != 0; p++)
        if (*p >= '0' && *p <= '9')
            exponent = exponent * 10 + (*p - '0');
    d.exponent = (below ? -exponent : exponent) - 14;
    return d;
}

static struct decimal decimal_of(const struct number *n)
{
    switch (n->form) {
    case NUMBER_INTEGER:
        return (struct decimal){.coefficient = absolute(n->integer), .negative = n->integer < 0};
    case NUMBER_DOUBLE:
        if (fabs(n->real) < 1e15 && n->real == trunc(n->real))
            return (struct decimal){.coefficient = (uint64_t)fabs(n->real),
                                    .negative = n->real < 0};
        return decimal_of_double(n->real);
    default:
        return n->decimal;
    }
}

bool number_is_multiple(const struct number *value, const struct number *divisor)
{
    if (!number_is_finite(value) || !number_is_finite(divisor))
        return false;
    if (value->form == NUMBER_INTEGER && divisor->form == NUMBER_INTEGER && divisor->integer > 0)
        return value->integer % divisor->integer == 0;
    struct decimal v = decimal_of(value);
    struct decimal d = decimal_of(divisor);
    if (v.coefficient == 0)
        return true;
    if (d.coefficient == 0)
        return false;
    int difference = v.exponent - d.exponent;
    if (difference < 0) {
        /* if the divisor outgrows the coefficient, the whole value is the remainder */
        for (; difference < 0; difference++) {
            if (d.coefficient > v.coefficient)
                return false;
            d.coefficient *= 10;
        }
        return v.coefficient % d.coefficient == 0;
    }
    /* a coefficient has 113 bits and 14 more fit, so one step takes four powers of ten */
    number_u128 rest = v.coefficient % d.coefficient;
    for (; difference >= 4 && rest != 0; difference -= 4)
        rest = rest * 10000 % d.coefficient;
    for (; difference > 0 && rest != 0; difference--)
        rest = rest * 10 % d.coefficient;
    return rest == 0;
}
