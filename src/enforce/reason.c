#include "enforce/reason.h"

#include <stdio.h>

#include "base/text.h"
#include "bson/scan.h"

enum { REASON_DEPTH_MAX = 16, PATH_BYTES = 128 };

struct line {
    struct text text;
    struct text path; /* of the value with the current errors */
    struct tally_reason
        *first; /* NULL, or the place for the first error, which then replaces `text` */
    bool done;
};

static void write_errors(struct line *line, struct bytes errors, unsigned depth);

static void add_component(struct line *line, const struct scan_element *name)
{
    const char *text = NULL;
    size_t len = 0;
    int64_t index = 0;
    if (line->path.len > 0)
        text_add(&line->path, ".");
    if (scan_as_string(name, &text, &len))
        (void)text_add_escaped(&line->path, text, len);
    else if (line->first != NULL)
        text_add(&line->path, "$[]");
    else if (scan_as_int64(name, &index))
        text_format(&line->path, "%d", (int)index);
}

/* Writes the errors of a part of the value: the field or item `name`. */
static void write_part(struct line *line, struct bytes error, const char *name, unsigned depth)
{
    struct scan_element field;
    struct scan_element details;
    size_t len = line->path.len;
    if (scan_find(error, name, &field))
        add_component(line, &field);
    if (scan_find(error, "details", &details) && details.kind == BSON_KIND_ARRAY)
        write_errors(line, details.value, depth + 1);
    text_rewind(&line->path, len);
}

/* Writes the names of an array after the operator. */
static void write_names(struct line *line, struct bytes names)
{
    struct scan scan;
    struct scan_element name;
    const char *text = NULL;
    size_t len = 0;
    const char *between = " ";
    if (!scan_open(&scan, names))
        return;
    while (!line->text.cut && scan_next(&scan, &name)) {
        if (!scan_as_string(&name, &text, &len))
            continue;
        text_add(&line->text, between);
        (void)text_add_escaped(&line->text, text, len);
        between = ", ";
    }
}

static void copy_path(struct line *line)
{
    line->done = true;
    if (line->path.len > 0)
        (void)snprintf(line->first->path, sizeof line->first->path, "%s", line->path.data);
}

static void write_operator(struct line *line, struct bytes error, const char *name, size_t len)
{
    static const char *const lists[] = {"missingProperties", "additionalProperties"};
    struct scan_element names;
    if (line->text.len > 0)
        text_add(&line->text, "; ");
    if (line->first != NULL) {
        copy_path(line);
    } else if (line->path.len > 0) {
        text_add_bytes(&line->text, line->path.data, line->path.len);
        text_add(&line->text, ": ");
    }
    text_add_bytes(&line->text, name, len);
    for (size_t i = 0; i < 2; i++)
        if (scan_find(error, lists[i], &names) && names.kind == BSON_KIND_ARRAY)
            write_names(line, names.value);
}

static void write_error(struct line *line, struct bytes error, unsigned depth)
{
    struct scan scan;
    struct scan_element field;
    const char *name = NULL;
    size_t len = 0;
    if (scan_find(error, "propertiesNotSatisfied", &field) && field.kind == BSON_KIND_ARRAY &&
        scan_open(&scan, field.value)) {
        while (!line->text.cut && !line->done && scan_next(&scan, &field))
            if (field.kind == BSON_KIND_OBJECT)
                write_part(line, field.value, "propertyName", depth);
        return;
    }
    if (scan_find(error, "failingProperty", &field)) {
        write_part(line, error, "failingProperty", depth);
        return;
    }
    if (scan_find(error, "itemIndex", &field)) {
        write_part(line, error, "itemIndex", depth);
        return;
    }
    if (scan_find(error, "operatorName", &field) && scan_as_string(&field, &name, &len))
        write_operator(line, error, name, len);
}

static void write_errors(struct line *line, struct bytes errors, unsigned depth)
{
    struct scan scan;
    struct scan_element error;
    if (depth > REASON_DEPTH_MAX || !scan_open(&scan, errors))
        return;
    while (!line->text.cut && !line->done && scan_next(&scan, &error))
        if (error.kind == BSON_KIND_OBJECT)
            write_error(line, error.value, depth);
}

/* Writes the reason in the details, and the part of an update that it concerns. */
static void write_own(struct line *line, struct bytes details)
{
    static const char *const fields[] = {"updateOperator", "path", "reason"};
    static const char *const before[] = {"", " of ", ": "};
    bool first = line->first != NULL;
    struct scan_element field;
    const char *text = NULL;
    size_t len = 0;
    for (size_t i = 0; i < 3; i++) {
        if (!scan_find(details, fields[i], &field) || !scan_as_string(&field, &text, &len))
            continue;
        if (first && i == 1) {
            (void)text_add_escaped(&line->path, text, len);
            copy_path(line);
            continue;
        }
        if (line->text.len > 0)
            text_add(&line->text, before[i]);
        (void)text_add_escaped(&line->text, text, len);
    }
}

static void write_info(struct line *line, struct bytes info)
{
    struct scan_element details;
    struct scan_element rules;
    if (scan_find(info, "details", &details) && details.kind == BSON_KIND_OBJECT) {
        if (scan_find(details.value, "schemaRulesNotSatisfied", &rules) &&
            rules.kind == BSON_KIND_ARRAY)
            write_errors(line, rules.value, 0);
        else
            write_own(line, details.value);
    }
    if (line->text.len == 0)
        text_add(&line->text, "the document does not match the schema");
}

void reason_write(struct bytes info, char out[REGISTRY_REASON_BYTES])
{
    char path[PATH_BYTES];
    struct line line = {text_over(out, REGISTRY_REASON_BYTES), text_over(path, sizeof path)};
    write_info(&line, info);
}

void reason_write_first(struct bytes info, struct tally_reason *out)
{
    char path[PATH_BYTES];
    struct line line = {.text = text_over(out->text, sizeof out->text),
                        .path = text_over(path, sizeof path),
                        .first = out};
    out->path[0] = 0;
    write_info(&line, info);
}
