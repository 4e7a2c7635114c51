#include "base/json.h"

#include <inttypes.h>
#include <math.h>

struct json json_over(struct text *out)
{
    return (struct json){.out = out};
}

static void end_line(struct json *json)
{
    if (json->on_new_line)
        text_add(json->out, "\n");
    json->on_new_line = false;
}

static void begin_value(struct json *json, const char *name)
{
    if (json->needs_comma)
        text_add(json->out, ",");
    end_line(json);
    json->needs_comma = true;
    if (name == NULL)
        return;
    text_add_json_string(json->out, name);
    text_add(json->out, ":");
}

static void open_with(struct json *json, const char *name, const char *bracket)
{
    begin_value(json, name);
    text_add(json->out, bracket);
    json->needs_comma = false;
}

static void close_with(struct json *json, const char *bracket)
{
    end_line(json);
    text_add(json->out, bracket);
    json->needs_comma = true;
}

void json_open_object(struct json *json, const char *name)
{
    open_with(json, name, "{");
}

void json_close_object(struct json *json)
{
    close_with(json, "}");
}

void json_open_array(struct json *json, const char *name)
{
    open_with(json, name, "[");
}

void json_close_array(struct json *json)
{
    close_with(json, "]");
}

void json_add_string(struct json *json, const char *name, const char *value)
{
    begin_value(json, name);
    text_add_json_string(json->out, value);
}

void json_add_int(struct json *json, const char *name, int64_t value)
{
    begin_value(json, name);
    text_format(json->out, "%" PRId64, value);
}

void json_add_uint(struct json *json, const char *name, uint64_t value)
{
    begin_value(json, name);
    text_format(json->out, "%" PRIu64, value);
}

void json_add_real(struct json *json, const char *name, double value, int digits)
{
    begin_value(json, name);
    if (isfinite(value))
        text_format(json->out, "%.*f", digits, value);
    else
        text_add(json->out, "null");
}

void json_add_bool(struct json *json, const char *name, bool value)
{
    json_add_raw(json, name, value ? "true" : "false");
}

void json_add_null(struct json *json, const char *name)
{
    json_add_raw(json, name, "null");
}

void json_add_raw(struct json *json, const char *name, const char *value)
{
    begin_value(json, name);
    text_add(json->out, value);
}

void json_break_line(struct json *json)
{
    json->on_new_line = true;
}
