/* Writes JSON into a text, value by value. The writer adds commas and escapes strings; the caller
 * pairs opening and closing calls. `name` is the member's name in an object, and NULL in an array.
 * out->cut tells whether everything fitted. */
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

/* Writes NULL as null. */
void json_add_string(struct json *json, const char *name, const char *value);
void json_add_int(struct json *json, const char *name, int64_t value);
void json_add_uint(struct json *json, const char *name, uint64_t value);
/* Writes `digits` digits after the point, and null for infinity and NaN. */
void json_add_real(struct json *json, const char *name, double value, int digits);
void json_add_bool(struct json *json, const char *name, bool value);
void json_add_null(struct json *json, const char *name);
/* Adds a value that is already JSON. */
void json_add_raw(struct json *json, const char *name, const char *value);

/* Starts a new line for the next value, or for the end of the object or array. */
void json_break_line(struct json *json);

#endif
