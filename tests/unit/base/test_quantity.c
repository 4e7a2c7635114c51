#include "base/quantity.h"

#include <stddef.h>

#include "../cmocka_all.h"

static void numbers_with_units(void **state)
{
    static const struct {
        enum quantity_kind kind;
        const char *text;
        int64_t value;
    } cases[] = {
        {QUANTITY_COUNT, "0", 0},
        {QUANTITY_COUNT, "9223372036854775807", INT64_MAX},
        {QUANTITY_BYTES, "48MB", 48000000},
        {QUANTITY_BYTES, "512 MiB", 536870912},
        {QUANTITY_BYTES, "1kB", 1000},
        {QUANTITY_BYTES, "7B", 7},
        {QUANTITY_BYTES, "2TiB", INT64_C(2) << 40},
        {QUANTITY_MS, "1500", 1500},
        {QUANTITY_MS, "250ms", 250},
        {QUANTITY_MS, "30s", 30000},
        {QUANTITY_MS, "5m", 300000},
        {QUANTITY_MS, "5min", 300000},
        {QUANTITY_MS, "2h", 7200000},
        {QUANTITY_MS, "7d", 604800000},
        {QUANTITY_US, "40", 40},
        {QUANTITY_US, "40us", 40},
        {QUANTITY_US, "2ms", 2000},
        {QUANTITY_US, "1s", 1000000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = -1;
        if (!quantity_read(cases[i].kind, cases[i].text, &value) || value != cases[i].value)
            fail_msg("%s gives %lld", cases[i].text, (long long)value);
    }
}

static void other_texts(void **state)
{
    static const struct {
        enum quantity_kind kind;
        const char *text;
    } cases[] = {
        {QUANTITY_COUNT, ""},    {QUANTITY_COUNT, "-1"},
        {QUANTITY_COUNT, " 1"},  {QUANTITY_COUNT, "1 "},
        {QUANTITY_COUNT, "1k"},  {QUANTITY_COUNT, "9223372036854775808"},
        {QUANTITY_BYTES, "1s"},  {QUANTITY_BYTES, "1mb"},
        {QUANTITY_BYTES, "MiB"}, {QUANTITY_BYTES, "9223372036854775807kB"},
        {QUANTITY_MS, "1.5s"},   {QUANTITY_MS, "1us"},
        {QUANTITY_MS, "1MiB"},   {QUANTITY_MS, "1sx"},
        {QUANTITY_US, "1h"},     {QUANTITY_US, "1\t"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 0;
        if (quantity_read(cases[i].kind, cases[i].text, &value))
            fail_msg("%s is taken", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers_with_units),
                                       cmocka_unit_test(other_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
