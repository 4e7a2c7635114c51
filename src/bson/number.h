/* Exact comparison of the four BSON number types: no value is rounded to another type first. Pure
 * functions; they allocate nothing. Sources: MongoDB's comparison order for numbers (documentation:
 * "Comparison/Sort Order") and IEEE 754-2008 for decimal128. */
#ifndef SLUICE_BSON_NUMBER_H
#define SLUICE_BSON_NUMBER_H

#include "base/bytes.h"

__extension__ typedef unsigned __int128 number_u128;

/* (-1)^negative * coefficient * 10^exponent; coefficient < 10^34, exponent from -6176 to 6111. */
struct decimal {
    number_u128 coefficient;
    int32_t exponent;
    bool negative;
    bool infinite;
    bool nan;
};

enum number_form { NUMBER_INTEGER, NUMBER_DOUBLE, NUMBER_DECIMAL };

struct number {
    enum number_form form;
    union {
        int64_t integer;
        double real;
        struct decimal decimal;
    };
};

static inline double number_load_double(const uint8_t *p)
{
    uint64_t bits = bytes_load_u64(p);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Reads the BSON value of a numeric kind; false for other kinds. */
bool number_read(uint8_t kind, const uint8_t *value, struct number *out);

struct decimal decimal_load(const uint8_t *p);

bool number_is_nan(const struct number *n);
bool number_is_finite(const struct number *n);
/* True if the number has no fraction; false for NaN and the infinities. */
bool number_is_integral(const struct number *n);

/* Below 0, 0 or above 0, exactly. NaN equals NaN and is less than every other number. */
int number_compare(const struct number *a, const struct number *b);

/* Equal numbers of any types have equal hashes. */
uint64_t number_hash(const struct number *n);

/* True if value is a multiple of divisor by the rule of $jsonSchema: the remainder in decimal128
 * arithmetic is 0, and a double is first rounded to 15 significant digits. The divisor is finite
 * and above 0. NaN and the infinities are multiples of nothing. */
bool number_is_multiple(const struct number *value, const struct number *divisor);

/* Converts to int64 without loss; false if the number has a fraction or is out of range. */
bool number_as_int64(const struct number *n, int64_t *out);

#endif
