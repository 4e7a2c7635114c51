/* Writes a JSON Schema (draft 7) of the configuration file from the option table, for the editors
 * of the file and for the values of the Helm chart. */
#include "config/config.h"

#include <string.h>

#include "base/json.h"
#include "config/options.h"

enum { GROUP_SIZE = 64 };

/* The bytes of the group in front of the dot; 0 if the option has no group. */
static size_t group_length(const struct option *option)
{
    const char *dot = strchr(option->name, '.');
    return dot == NULL ? 0 : (size_t)(dot - option->name);
}

static bool is_number(const char *choice)
{
    return choice[0] >= '1' && choice[0] <= '9';
}

/* YAML reads an unquoted true as a boolean and 1.2 as a number. A value of the environment or a
 * file may stand for a choice. */
static void add_choices(const struct option *option, struct json *json)
{
    json_open_array(json, "anyOf");
    json_open_object(json, NULL);
    json_open_array(json, "enum");
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        json_add_string(json, NULL, option->choices[i]);
        if (option->choices == options_switches || is_number(option->choices[i]))
            json_add_raw(json, NULL, option->choices[i]);
    }
    if (option->choices == options_switches)
        for (const char *const *word = (const char *const[]){"off", "on", "no", "yes", NULL};
             *word != NULL; word++)
            json_add_string(json, NULL, *word);
    json_close_array(json);
    json_close_object(json);
    json_open_object(json, NULL);
    json_add_string(json, "pattern", "^file:/|\\$\\{");
    json_add_string(json, "type", "string");
    json_close_object(json);
    json_close_array(json);
}

/* A number may be text, with a unit. The proxy checks the text itself. */
static void add_numbers(const struct option *option, struct json *json)
{
    json_open_array(json, "type");
    json_add_string(json, NULL, "integer");
    json_add_string(json, NULL, "string");
    json_close_array(json);
    json_add_int(json, "minimum", option->min);
    json_add_int(json, "maximum", option->max);
}

static void add_value(const struct option *option, const char *name, bool describe,
                      struct json *json)
{
    json_break_line(json);
    json_open_object(json, name);
    switch (option->type) {
    case OPTION_CHOICE:
        add_choices(option, json);
        break;
    case OPTION_INTEGER:
    case OPTION_BYTES:
    case OPTION_MS:
    case OPTION_US:
        add_numbers(option, json);
        break;
    case OPTION_LOCAL: /* a port alone is a number */
        add_numbers(&(const struct option){.max = UINT16_MAX}, json);
        break;
    case OPTION_RATIO:
        json_open_array(json, "type");
        json_add_string(json, NULL, "number");
        json_add_string(json, NULL, "string");
        json_close_array(json);
        json_add_int(json, "minimum", 0);
        json_add_int(json, "maximum", 1);
        break;
    default:
        json_add_string(json, "type", "string");
    }
    if (describe)
        json_add_string(json, "description", option->description);
    json_close_object(json);
}

static void open_mapping(const char *name, struct json *json)
{
    json_break_line(json);
    json_open_object(json, name);
    json_add_string(json, "type", "object");
    json_add_bool(json, "additionalProperties", false);
    json_open_object(json, "properties");
}

static void close_mapping(struct json *json)
{
    json_close_object(json);
    json_close_object(json);
}

/* merge.namespaces: {DATABASE.COLLECTION: {enabled: …}} */
static void add_namespaces(struct json *json)
{
    json_break_line(json);
    json_open_object(json, "namespaces");
    json_add_string(json, "type", "object");
    json_open_object(json, "additionalProperties");
    json_add_string(json, "type", "object");
    json_add_bool(json, "additionalProperties", false);
    json_open_object(json, "properties");
    for (size_t i = 0; i < options_count; i++)
        if (options_table[i].by_namespace)
            add_value(&options_table[i], strchr(options_table[i].name, '.') + 1, false, json);
    json_close_object(json);
    json_close_object(json);
    json_close_object(json);
}

/* The options of a group, which need not stand side by side in the table. */
static void add_group(const char *name, size_t len, struct json *json)
{
    char group[GROUP_SIZE] = "";
    if (len >= sizeof group)
        return;
    memcpy(group, name, len);
    open_mapping(group, json);
    for (size_t i = 0; i < options_count; i++)
        if (group_length(&options_table[i]) == len &&
            strncmp(options_table[i].name, name, len) == 0)
            add_value(&options_table[i], options_table[i].name + len + 1, true, json);
    if (strcmp(group, "merge") == 0)
        add_namespaces(json);
    close_mapping(json);
}

static bool is_first_of_group(size_t at, size_t len)
{
    for (size_t i = 0; i < at; i++)
        if (group_length(&options_table[i]) == len &&
            strncmp(options_table[i].name, options_table[at].name, len) == 0)
            return false;
    return true;
}

void config_write_schema(struct text *out)
{
    struct json json = json_over(out);
    json_open_object(&json, NULL);
    json_add_string(&json, "$schema", "http://json-schema.org/draft-07/schema#");
    json_add_string(&json, "title", "Configuration of mongosluice");
    json_add_string(&json, "type", "object");
    json_add_bool(&json, "additionalProperties", false);
    json_open_object(&json, "properties");
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        size_t len = group_length(option);
        if (len > 0 && is_first_of_group(i, len))
            add_group(option->name, len, &json);
        add_value(option, option->name, len == 0, &json); /* "a.b" is a key of the file too */
    }
    json_break_line(&json);
    json_close_object(&json);
    json_close_object(&json);
    text_add(out, "\n");
}
