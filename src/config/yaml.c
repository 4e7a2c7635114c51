/* Reads mappings of a YAML file into settings, from libyaml's events: they carry lines, and aliases
 * do not expand. */
#include <string.h>
#include <yaml.h>

#include "config/settings.h"

/* Options of single namespaces. */
#define NAMESPACES_KEY "merge.namespaces"

enum {
    NAMESPACE_SIZE = 256, /* the server's limit and a NUL */
    KEY_SIZE = 128,       /* a longer key is unknown */
    GROUP_DEPTH = 4       /* more than the dots in any option's name */
};

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current event; owned, released by the next step */
    const char *file;
    struct settings *out;
    struct error *err;
    /* The line of each group's mapping: by the first option of the group, and the dots in the
     * group's name. */
    size_t namespaces_line; /* the line of that mapping */
    size_t group_lines[CONFIG_OPTIONS_MAX][GROUP_DEPTH];
};

static size_t line_of(const struct yaml_reader *reader)
{
    return reader->event.start_mark.line + 1;
}

static bool step(struct yaml_reader *reader)
{
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event) != 0)
        return true;
    if (reader->parser.error == YAML_MEMORY_ERROR)
        return error_no_memory(reader->err, "the configuration file %s", reader->file);
    return error_set(reader->err, ERROR_FAILED_TO_PARSE, "%s:%zu: not YAML: %s%s%s", reader->file,
                     reader->parser.problem_mark.line + 1,
                     reader->parser.problem == NULL ? "unreadable" : reader->parser.problem,
                     reader->parser.context == NULL ? "" : ", ",
                     reader->parser.context == NULL ? "" : reader->parser.context);
}

static bool unknown_key(struct yaml_reader *reader, const char *name)
{
    char buffer[sizeof reader->err->message];
    struct text text = text_over(buffer, sizeof buffer);
    const char *near = options_suggest(name);
    text_format(&text, "%s:%zu: unknown key ", reader->file, line_of(reader));
    settings_add_quoted(name, &text);
    if (near != NULL)
        text_format(&text, "; did you mean %s?", near);
    else
        text_add(&text, "; mongosluice --help lists all options");
    return error_set(reader->err, ERROR_BAD_VALUE, "%s", buffer);
}

static bool wrong_form(struct yaml_reader *reader, const char *name, const char *expected)
{
    static const char *const forms[] = {
        [YAML_SCALAR_EVENT] = "a single value",
        [YAML_SEQUENCE_START_EVENT] = "a list",
        [YAML_MAPPING_START_EVENT] = "a mapping",
        [YAML_ALIAS_EVENT] = "an alias",
    };
    return error_set(reader->err, ERROR_TYPE_MISMATCH, "%s:%zu: %s: expected %s, found %s",
                     reader->file, line_of(reader), name, expected, forms[reader->event.type]);
}

/* A plain scalar that YAML reads as null. */
static bool is_null(const yaml_event_t *event)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        if (strcmp((const char *)event->data.scalar.value, nulls[i]) == 0)
            return true;
    return false;
}

static bool has_tag(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

static bool given_twice(struct yaml_reader *reader, const char *name, size_t first_line)
{
    return error_set(reader->err, ERROR_BAD_VALUE,
                     "%s:%zu: %s is given twice (first in line %zu); keep one of them",
                     reader->file, line_of(reader), name, first_line);
}

static bool tagged(struct yaml_reader *reader, const char *name)
{
    return error_set(reader->err, ERROR_FAILED_TO_PARSE,
                     "%s:%zu: %s has a YAML tag; write the value without it", reader->file,
                     line_of(reader), name);
}

/* Checks that the current event can be the value of the option at `place`. */
static bool check_value(struct yaml_reader *reader, const struct option *option, const char *place)
{
    const yaml_event_t *event = &reader->event;
    if (has_tag(event))
        return tagged(reader, place);
    if (event->type != YAML_SCALAR_EVENT) {
        char buffer[sizeof reader->err->message];
        struct text allowed = text_over(buffer, sizeof buffer);
        options_add_allowed(option, &allowed);
        return wrong_form(reader, place, buffer);
    }
    if (is_null(event))
        return error_set(reader->err, ERROR_TYPE_MISMATCH,
                         "%s:%zu: %s has no value; remove the line for the default, or write \"\" "
                         "for an empty text",
                         reader->file, line_of(reader), place);
    if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
        return error_set(reader->err, ERROR_BAD_VALUE, "%s:%zu: %s contains a NUL character",
                         reader->file, line_of(reader), place);
    return true;
}

static bool read_value(struct yaml_reader *reader, const struct option *option)
{
    const struct setting *before = settings_at(reader->out, option);
    if (before->text != NULL)
        return given_twice(reader, option->name, before->line);
    return check_value(reader, option, option->name) &&
           settings_put(reader->out, option, (const char *)reader->event.data.scalar.value,
                        SETTING_FILE, line_of(reader), reader->err);
}

/* Reads a scalar as a name; "" if it contains a NUL. */
static bool read_name(struct yaml_reader *reader, const char *expected, char *name, size_t size)
{
    struct text text = text_over(name, size);
    if (reader->event.type != YAML_SCALAR_EVENT)
        return wrong_form(reader, "key", expected);
    const char *key = (const char *)reader->event.data.scalar.value;
    size_t len = reader->event.data.scalar.length;
    if (strlen(key) == len)
        text_add_bytes(&text, key, len);
    return true;
}

static bool read_override(struct yaml_reader *reader, const char *ns)
{
    char key[KEY_SIZE];
    char place[KEY_SIZE + NAMESPACE_SIZE + 32];
    if (!read_name(reader, "the name of an option", key, sizeof key))
        return false;
    (void)snprintf(place, sizeof place, NAMESPACES_KEY ".%s.%s", ns, key);
    const struct option *option = options_find_by_namespace(key);
    if (option == NULL) {
        char buffer[128];
        struct text known = text_over(buffer, sizeof buffer);
        options_add_namespace_keys(&known);
        return error_set(reader->err, ERROR_BAD_VALUE,
                         "%s:%zu: unknown key \"%s\"; a namespace may have %s", reader->file,
                         line_of(reader), place, buffer);
    }
    if (!step(reader))
        return false;
    const struct override *before = settings_find_override(reader->out, ns, option);
    if (before != NULL)
        return given_twice(reader, place, before->setting.line);
    return check_value(reader, option, place) &&
           settings_put_override(reader->out, ns, option,
                                 (const char *)reader->event.data.scalar.value, SETTING_FILE,
                                 line_of(reader), reader->err);
}

/* Reads a mapping from start to end; `read` reads each entry. */
static bool read_entries(struct yaml_reader *reader, const char *of,
                         bool (*read)(struct yaml_reader *reader, const char *of))
{
    for (;;) {
        if (!step(reader))
            return false;
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return true;
        if (!read(reader, of))
            return false;
    }
}

/* Reads the start of a mapping after its key: *empty if it has no content. */
static bool open_mapping(struct yaml_reader *reader, const char *name, bool *empty)
{
    if (!step(reader))
        return false;
    if (has_tag(&reader->event))
        return tagged(reader, name);
    *empty = is_null(&reader->event);
    return *empty || reader->event.type == YAML_MAPPING_START_EVENT ||
           wrong_form(reader, name, "a mapping of options");
}

static bool read_namespace(struct yaml_reader *reader, const char *group)
{
    char ns[NAMESPACE_SIZE];
    char place[NAMESPACE_SIZE + 32];
    bool empty = false;
    if (!read_name(reader, "a namespace: DATABASE.COLLECTION", ns, sizeof ns))
        return false;
    (void)snprintf(place, sizeof place, "%s.%s", group, ns);
    if (!settings_is_namespace(ns)) {
        char buffer[sizeof reader->err->message];
        struct text text = text_over(buffer, sizeof buffer);
        settings_add_quoted((const char *)reader->event.data.scalar.value, &text);
        return error_set(reader->err, ERROR_BAD_VALUE,
                         "%s:%zu: %s: %s is not a namespace; write DATABASE.COLLECTION",
                         reader->file, line_of(reader), group, buffer);
    }
    const struct override *before = settings_find_override(reader->out, ns, NULL);
    if (before != NULL)
        return given_twice(reader, place, before->setting.line);
    return open_mapping(reader, place, &empty) &&
           (empty || read_entries(reader, ns, read_override));
}

static bool read_namespaces(struct yaml_reader *reader)
{
    bool empty = false;
    if (reader->namespaces_line != 0)
        return given_twice(reader, NAMESPACES_KEY, reader->namespaces_line);
    reader->namespaces_line = line_of(reader);
    return open_mapping(reader, NAMESPACES_KEY, &empty) &&
           (empty || read_entries(reader, NAMESPACES_KEY, read_namespace));
}

static bool read_mapping(struct yaml_reader *reader, const char *group);

static bool read_group(struct yaml_reader *reader, const char *name, size_t first)
{
    size_t depth = 0;
    for (const char *p = strchr(name, '.'); p != NULL; p = strchr(p + 1, '.'))
        depth++;
    size_t *opened = &reader->group_lines[first][depth];
    if (*opened != 0)
        return given_twice(reader, name, *opened);
    *opened = line_of(reader);
    if (is_null(&reader->event))
        return true; /* a group whose lines are all commented out */
    if (reader->event.type != YAML_MAPPING_START_EVENT)
        return wrong_form(reader, name, "a mapping of options");
    return read_mapping(reader, name);
}

static bool read_entry(struct yaml_reader *reader, const char *group)
{
    char name[KEY_SIZE];
    struct text text = text_over(name, sizeof name);
    if (reader->event.type != YAML_SCALAR_EVENT)
        return wrong_form(reader, "key", "the name of an option");
    text_format(&text, "%s%s", group, *group == '\0' ? "" : ".");
    const char *key = (const char *)reader->event.data.scalar.value;
    text_add_bytes(&text, key, reader->event.data.scalar.length);
    bool readable = !text.cut && strlen(name) == text.len; /* no NUL in it */
    if (readable && strcmp(name, NAMESPACES_KEY) == 0)
        return read_namespaces(reader);
    const struct option *option = readable ? options_find(name) : NULL;
    const struct option *first = readable ? options_find_group(name) : NULL;
    if (option == NULL && first == NULL)
        return unknown_key(reader, text.cut ? key : name);
    if (!step(reader))
        return false;
    if (has_tag(&reader->event))
        return tagged(reader, name);
    return option != NULL ? read_value(reader, option)
                          : read_group(reader, name, (size_t)(first - options_table));
}

/* Reads a mapping from start to end. Unknown groups are errors, so its depth is that of the table's
 * names. */
static bool read_mapping(struct yaml_reader *reader, const char *group)
{
    return read_entries(reader, group, read_entry);
}

static bool read_document(struct yaml_reader *reader)
{
    if (!step(reader)) /* the start of the stream */
        return false;
    if (!step(reader))
        return false;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return true;
    if (!step(reader))
        return false;
    if (reader->event.type == YAML_MAPPING_START_EVENT) {
        if (!read_mapping(reader, ""))
            return false;
    } else if (!is_null(&reader->event)) {
        return wrong_form(reader, "the file", "a mapping of options");
    }
    if (!step(reader)) /* the end of the document */
        return false;
    if (!step(reader))
        return false;
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return error_set(reader->err, ERROR_FAILED_TO_PARSE,
                         "%s:%zu: a second YAML document starts here; keep one", reader->file,
                         line_of(reader));
    return true;
}

bool settings_read_yaml(const char *file, const void *yaml, size_t len, struct settings *out,
                        struct error *err)
{
    struct yaml_reader reader = {.file = file, .out = out, .err = err};
    if (yaml_parser_initialize(&reader.parser) == 0)
        return error_no_memory(err, "the configuration file %s", file);
    yaml_parser_set_input_string(&reader.parser, yaml, len);
    bool ok = read_document(&reader);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return ok;
}
