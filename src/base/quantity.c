#include "base/quantity.h"

#include <stddef.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* An empty name ends each list. */
static const struct unit no_units[] = {{"", 1}};
static const struct unit byte_units[] = {
    {"B", 1},
    {"kB", 1000},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"KiB", INT64_C(1) << 10},
    {"MiB", INT64_C(1) << 20},
    {"GiB", INT64_C(1) << 30},
    {"TiB", INT64_C(1) << 40},
    {"", 1},
};
static const struct unit ms_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}, {"", 1},
};
static const struct unit us_units[] = {
    {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"min", 60000000}, {"", 1},
};

static const struct {
    const struct unit *units;
    const char *names;
} kinds[] = {
    [QUANTITY_COUNT] = {no_units, ""},
    [QUANTITY_BYTES] = {byte_units, "kB, MB, GB, TB, KiB, MiB, GiB, TiB"},
    [QUANTITY_MS] = {ms_units, "ms, s, m, h, d"},
    [QUANTITY_US] = {us_units, "us, ms, s, m"},
};

bool quantity_read(enum quantity_kind kind, const char *text, int64_t *out)
{
    int64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p - '0', &value))
            return false;
    if (p == text)
        return false;
    const char *name = p + strspn(p, " ");
    if (*name == '\0' && name != p)
        return false;
    for (const struct unit *unit = kinds[kind].units;; unit++) {
        if (strcmp(unit->name, name) == 0)
            return !__builtin_mul_overflow(value, unit->factor, out);
        if (unit->name[0] == '\0')
            return false;
    }
}

const char *quantity_units(enum quantity_kind kind)
{
    return kinds[kind].names;
}
