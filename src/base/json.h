/* JSON, written value by value into a text. The writer puts the commas and escapes strings; opening
 * and closing in pairs is the caller's. `name`: the member's name inside an object, NULL inside an
 * array. Whether all of it fitted is in out->cut, as with every text. */
#ifndef SLUICE_BASE_JSON_H
#define SLUICE_BASE_JSON_H

#include <stdint.h>

#include "base/text.h"

struct json {
    struct text *out; /* borrowed */
    bool needs_comma;
    bool on_new_line;
};

struct json json_over(struct text *out);

void json_open_object(struct json *json, const char *name);
void json_close_object(struct json *json);
void json_open_array(struct json *json, const char *name);
void json_close_array(struct json *json);

/* NULL is written as null. */
void json_add_string(struct json *json, const char *name, const char *value);
void json_add_int(struct json *json, const char *name, int64_t value);
void json_add_uint(struct json *json, const char *name, uint64_t value);
/* With so many digits after the point; null for infinity and NaN. */
void json_add_real(struct json *json, const char *name, double value, int digits);
void json_add_bool(struct json *json, const char *name, bool value);
void json_add_null(struct json *json, const char *name);
/* A value that is JSON already. */
void json_add_raw(struct json *json, const char *name, const char *value);

/* The next value, or the end of the object or array, begins on a line of its own. */
void json_break_line(struct json *json);

#endif
