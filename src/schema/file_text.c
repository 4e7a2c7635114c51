#include "schema/file_text.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "schema/json_string.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NESTING_MAX = 200, REPEATS_SHOWN = 20 };

/* The meaning of objects at a place. */
enum meaning {
    MEANS_SCHEMA, /* keywords, or fields of the file */
    MEANS_NAMES,  /* names, each with a schema or a list of names */
    MEANS_VALUE   /* a BSON value in extended JSON */
};

struct json_key {
    char *text; /* owned, NUL-terminated */
    size_t at;
};

/* The names of one object, to find repeated ones. */
struct json_keys {
    struct json_key *of; /* owned */
    size_t count;
    size_t room;
};

/* The path from the top of the file to a place. */
struct text_path {
    const struct text_path *up;
    const char *name; /* NULL: an item */
    size_t index;
};

struct json_reader {
    const char *text;
    size_t len;
    size_t at;
    const struct text_path *path;
    schema_report_fn *report;
    void *arg;
    unsigned problems;
    unsigned depth;
    bool stopped; /* the rest cannot be understood */
};

/* --- problems --- */

struct text_place schema_text_place(const char *text, size_t at)
{
    struct text_place place = {1, 1};
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n')
            place = (struct text_place){place.line + 1, 1};
        else if (((uint8_t)text[i] & 0xC0) != 0x80)
            place.column++;
    }
    return place;
}

static size_t write_pointer(char *out, size_t size, const struct text_path *path)
{
    if (path == NULL) {
        out[0] = 0;
        return 0;
    }
    size_t at = write_pointer(out, size, path->up);
    char index[24];
    (void)snprintf(index, sizeof index, "%zu", path->index);
    const char *token = path->name != NULL ? path->name : index;
    if (at + 1 < size)
        out[at++] = '/';
    for (; *token != 0 && at + 2 < size; token++) {
        bool escaped = *token == '~' || *token == '/';
        if (escaped)
            out[at++] = '~';
        out[at++] = (char)(!escaped ? *token : *token == '~' ? '0' : '1');
    }
    out[at] = 0;
    return at;
}

/* Returns false. */
static bool problem(struct json_reader *r, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool problem(struct json_reader *r, int code, const char *format, ...)
{
    char pointer[256];
    char message[320];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    (void)write_pointer(pointer, sizeof pointer, r->path);
    r->problems++;
    r->report(r->arg, &(struct schema_problem){code, pointer, message});
    return false;
}

/* The text cannot be understood from here on. Returns false. */
static bool broken(struct json_reader *r, size_t at, const char *why)
{
    struct text_place place = schema_text_place(r->text, at < r->len ? at : r->len);
    if (r->stopped)
        return false;
    r->stopped = true;
    if (at >= r->len)
        return problem(r, ERROR_FAILED_TO_PARSE, "not valid JSON: it ends too early, at line %u",
                       place.line);
    return problem(r, ERROR_FAILED_TO_PARSE, "not valid JSON at line %u, column %u: %s", place.line,
                   place.column, why);
}

static bool out_of_memory(struct json_reader *r)
{
    if (r->stopped)
        return false;
    r->stopped = true;
    return problem(r, ERROR_EXCEEDED_MEMORY_LIMIT, "out of memory for the schema file");
}

/* --- the text as a whole --- */

static bool begins_with(const struct json_reader *r, const char *bytes, size_t count)
{
    return r->len >= count && memcmp(r->text, bytes, count) == 0;
}

static bool check_beginning(struct json_reader *r)
{
    if (begins_with(r, "\xEF\xBB\xBF", 3))
        return problem(r, ERROR_FAILED_TO_PARSE,
                       "line 1, column 1: the file begins with a byte-order mark: save it as UTF-8 "
                       "without one");
    if (begins_with(r, "\xFF\xFE", 2) || begins_with(r, "\xFE\xFF", 2))
        return problem(r, ERROR_FAILED_TO_PARSE,
                       "line 1, column 1: the file is UTF-16: save it as UTF-8");
    return true;
}

/* Checks that all bytes are valid characters, and none is a NUL. */
static bool check_characters(struct json_reader *r)
{
    for (size_t at = 0; at < r->len;) {
        size_t bytes = utf8_length((const uint8_t *)r->text + at, r->len - at);
        if (bytes == 0 || r->text[at] == 0) {
            struct text_place place = schema_text_place(r->text, at);
            return problem(r, ERROR_FAILED_TO_PARSE, "line %u, column %u: %s", place.line,
                           place.column,
                           bytes == 0 ? "the bytes are not UTF-8: save the file as UTF-8"
                                      : "the file contains a NUL byte: remove it (a schema file is "
                                        "text, not BSON)");
        }
        at += bytes;
    }
    return true;
}

static void skip_space(struct json_reader *r)
{
    while (r->at < r->len && strchr(" \t\r\n", r->text[r->at]) != NULL)
        r->at++;
}

/* The next character after white space; 0 at the end. */
static char peek(struct json_reader *r)
{
    skip_space(r);
    if (r->at == r->len)
        return '\0';
    return r->text[r->at];
}

/* Decodes the string at the quote; call memory_free on it. NULL after reporting a problem. */
static char *read_string(struct json_reader *r, size_t *len)
{
    const char *why = NULL;
    char *out = json_string_decode(r->text, r->len, &r->at, len, &why);
    if (out == NULL && why == NULL)
        (void)out_of_memory(r);
    else if (out == NULL)
        (void)broken(r, r->at, why);
    return out;
}

/* --- values that are no objects --- */

/* Appends the value at text[begin..at) as libbson reads it. */
static bool append_extended(struct json_reader *r, bson_t *out, const char *name, size_t begin)
{
    bson_error_t why;
    bson_iter_t at;
    size_t size = r->at - begin + 8;
    char *wrapped = memory_alloc(size);
    if (wrapped == NULL)
        return out_of_memory(r);
    int len = snprintf(wrapped, size, "{\"v\":%.*s}", (int)(r->at - begin), &r->text[begin]);
    bson_t *value = bson_new_from_json((const uint8_t *)wrapped, len, &why);
    memory_free(wrapped);
    if (value == NULL) {
        struct text_place place = schema_text_place(r->text, begin);
        return problem(r, ERROR_FAILED_TO_PARSE, "line %u, column %u: not extended JSON: %.200s",
                       place.line, place.column, why.message);
    }
    bool ok = bson_iter_init_find(&at, value, "v") && bson_append_iter(out, name, -1, &at);
    bson_destroy(value);
    return ok || out_of_memory(r);
}

static void skip_digits(struct json_reader *r)
{
    while (r->at < r->len && r->text[r->at] >= '0' && r->text[r->at] <= '9')
        r->at++;
}

/* Takes at least one digit. */
static bool take_digits(struct json_reader *r)
{
    size_t before = r->at;
    skip_digits(r);
    return r->at > before || broken(r, r->at, "expected a digit");
}

static bool read_number(struct json_reader *r, bson_t *out, const char *name)
{
    size_t begin = r->at;
    bool whole = true;
    if (r->text[r->at] == '-')
        r->at++;
    if (r->at < r->len && r->text[r->at] == '0')
        r->at++;
    else if (!take_digits(r))
        return false;
    if (r->at < r->len && r->text[r->at] == '.') {
        whole = false;
        r->at++;
        if (!take_digits(r))
            return false;
    }
    if (r->at < r->len && (r->text[r->at] == 'e' || r->text[r->at] == 'E')) {
        whole = false;
        r->at++;
        if (r->at < r->len && (r->text[r->at] == '+' || r->text[r->at] == '-'))
            r->at++;
        if (!take_digits(r))
            return false;
    }
    char digits[24];
    if (!whole || r->at - begin >= sizeof digits)
        return append_extended(r, out, name, begin);
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(r->at - begin), &r->text[begin]);
    errno = 0;
    long long value = strtoll(digits, NULL, 10);
    if (errno != 0 || strcmp(digits, "-0") == 0)
        return append_extended(r, out, name, begin);
    bool ok = value >= INT32_MIN && value <= INT32_MAX
                  ? bson_append_int32(out, name, -1, (int32_t)value)
                  : bson_append_int64(out, name, -1, value);
    return ok || out_of_memory(r);
}

static bool read_word(struct json_reader *r, bson_t *out, const char *name)
{
    static const char *const words[] = {"false", "true", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(words[i]);
        if (r->len - r->at < len || memcmp(&r->text[r->at], words[i], len) != 0)
            continue;
        r->at += len;
        bool ok =
            i == 2 ? bson_append_null(out, name, -1) : bson_append_bool(out, name, -1, i == 1);
        return ok || out_of_memory(r);
    }
    return broken(r, r->at, "expected a value; names and strings stand in double quotes");
}

/* --- objects and arrays --- */

static bool is_one_of(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

/* The meaning of the value of a name. */
static enum meaning meaning_below(enum meaning meaning, const char *name)
{
    static const char *const of_schemas[] = {"schema",
                                             "versions",
                                             "candidate",
                                             "$jsonSchema",
                                             "items",
                                             "contains",
                                             "additionalItems",
                                             "not",
                                             "additionalProperties",
                                             "prefixItems",
                                             "if",
                                             "propertyNames",
                                             "then",
                                             "else",
                                             "allOf",
                                             "anyOf",
                                             "oneOf"};
    static const char *const of_names[] = {
        "properties",        "patternProperties", "$defs",        "definitions", "dependencies",
        "dependentRequired", "dependentSchemas",  "discriminator"};
    if (meaning == MEANS_NAMES)
        return MEANS_SCHEMA;
    if (meaning == MEANS_VALUE)
        return MEANS_VALUE;
    if (is_one_of(name, of_names, sizeof of_names / sizeof of_names[0]))
        return MEANS_NAMES;
    if (is_one_of(name, of_schemas, sizeof of_schemas / sizeof of_schemas[0]))
        return MEANS_SCHEMA;
    return MEANS_VALUE;
}

static bool remember_name(struct json_reader *r, struct json_keys *names, char *text, size_t at)
{
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 8 : names->room * 2;
        struct json_key *bigger = memory_resize(names->of, room * sizeof *bigger);
        if (bigger == NULL)
            return out_of_memory(r);
        names->of = bigger;
        names->room = room;
    }
    names->of[names->count++] = (struct json_key){text, at};
    return true;
}

static void release_names(struct json_keys *names)
{
    for (size_t i = 0; i < names->count; i++)
        memory_free(names->of[i].text);
    memory_free(names->of);
}

static int compare_names(const void *a, const void *b)
{
    const struct json_key *x = a;
    const struct json_key *y = b;
    int order = strcmp(x->text, y->text);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

/* JSON readers take one of two fields with the same name, but differ in which. */
static void report_repeated(struct json_reader *r, struct json_keys *names)
{
    size_t first = 0;
    if (names->count > 1)
        qsort(names->of, names->count, sizeof *names->of, compare_names);
    for (size_t i = 1; i < names->count && r->problems < REPEATS_SHOWN; i++) {
        if (strcmp(names->of[first].text, names->of[i].text) != 0) {
            first = i;
            continue;
        }
        struct text_place here = schema_text_place(r->text, names->of[i].at);
        struct text_place there = schema_text_place(r->text, names->of[first].at);
        struct text_path path = {r->path, names->of[i].text, 0};
        r->path = &path;
        (void)problem(r, ERROR_FAILED_TO_PARSE,
                      "line %u, column %u: '%.80s' is given a second time (the first is at line "
                      "%u, column %u): keep one of them",
                      here.line, here.column, names->of[i].text, there.line, there.column);
        r->path = path.up;
    }
}

static bool read_value(struct json_reader *r, bson_t *out, const char *name, enum meaning meaning);

/* Reads a name, its colon and its value. *extended: the name starts with '$'. */
static bool read_member(struct json_reader *r, bson_t *out, struct json_keys *names,
                        enum meaning meaning, bool *extended)
{
    size_t len = 0;
    if (peek(r) != '"')
        return broken(r, r->at, "expected a name in double quotes");
    size_t at = r->at;
    char *name = read_string(r, &len);
    if (name == NULL)
        return false;
    if (!remember_name(r, names, name, at)) {
        memory_free(name);
        return false;
    }
    if (strlen(name) != len)
        return broken(r, at, "a name cannot hold a NUL character (\\u0000)");
    *extended = *extended || name[0] == '$';
    if (peek(r) != ':')
        return broken(r, r->at, "expected a colon after the name");
    r->at++;
    struct text_path path = {r->path, name, 0};
    r->path = &path;
    bool ok = read_value(r, out, name, meaning_below(meaning, name));
    r->path = path.up;
    return ok || !r->stopped;
}

/* After a member or an item: true if another one follows. */
static bool another(struct json_reader *r, char end, bool *ok)
{
    char next = peek(r);
    if (next == ',') {
        r->at++;
        return true;
    }
    if (next == end)
        r->at++;
    else
        *ok = broken(r, r->at, end == '}' ? "expected a comma or }" : "expected a comma or ]");
    return false;
}

static bool read_members(struct json_reader *r, bson_t *out, enum meaning meaning, bool *extended)
{
    struct json_keys names = {0};
    bool ok = true;
    r->at++;
    if (peek(r) == '}') {
        r->at++;
        return true;
    }
    do {
        ok = read_member(r, out, &names, meaning, extended);
    } while (ok && another(r, '}', &ok));
    if (ok)
        report_repeated(r, &names);
    release_names(&names);
    return ok;
}

static bool read_items(struct json_reader *r, bson_t *out, enum meaning meaning)
{
    char key[24];
    bool ok = true;
    r->at++;
    if (peek(r) == ']') {
        r->at++;
        return true;
    }
    struct text_path path = {r->path, NULL, 0};
    r->path = &path;
    for (;; path.index++) {
        (void)snprintf(key, sizeof key, "%zu", path.index);
        ok = read_value(r, out, key, meaning) || !r->stopped;
        if (!ok || !another(r, ']', &ok))
            break;
    }
    r->path = path.up;
    return ok;
}

static bool read_container(struct json_reader *r, bson_t *out, const char *name,
                           enum meaning meaning)
{
    size_t begin = r->at;
    bool array = r->text[r->at] == '[';
    bool extended = false;
    bson_t inner;
    if (r->depth == NESTING_MAX)
        return broken(r, r->at, "nested more than 200 levels deep");
    r->depth++;
    bson_init(&inner);
    bool ok = array ? read_items(r, &inner, meaning) : read_members(r, &inner, meaning, &extended);
    if (ok && extended && meaning == MEANS_VALUE)
        ok = append_extended(r, out, name, begin);
    else if (ok)
        ok = (array ? bson_append_array(out, name, -1, &inner)
                    : bson_append_document(out, name, -1, &inner)) ||
             out_of_memory(r);
    bson_destroy(&inner);
    r->depth--;
    return ok;
}

static bool read_value(struct json_reader *r, bson_t *out, const char *name, enum meaning meaning)
{
    char first = peek(r);
    if (first == '{' || first == '[')
        return read_container(r, out, name, meaning);
    if (first == '-' || (first >= '0' && first <= '9'))
        return read_number(r, out, name);
    if (first != '"')
        return read_word(r, out, name);
    size_t len = 0;
    char *text = read_string(r, &len);
    if (text == NULL)
        return false;
    bool ok = bson_append_utf8(out, name, -1, text, (int)len) || out_of_memory(r);
    memory_free(text);
    return ok;
}

static bool read_file(struct json_reader *r, bson_t *out)
{
    bool extended = false;
    if (!check_beginning(r) || !check_characters(r))
        return false;
    char first = peek(r);
    if (first == 0)
        return problem(r, ERROR_FAILED_TO_PARSE, "the file is empty");
    if (first == '[')
        return problem(r, ERROR_TYPE_MISMATCH, "must be an object, not an array");
    if (first != '{')
        return broken(r, r->at, "a schema file is one object, in braces");
    if (!read_members(r, out, MEANS_SCHEMA, &extended))
        return false;
    if (peek(r) == 0)
        return true;
    struct text_place place = schema_text_place(r->text, r->at);
    return problem(r, ERROR_FAILED_TO_PARSE,
                   "line %u, column %u: text follows the object: a schema file holds one object; "
                   "give each schema a file of its own",
                   place.line, place.column);
}

bson_t *schema_text_read(const char *text, size_t len, schema_report_fn *report, void *arg)
{
    struct json_reader r = {.text = text, .len = len, .report = report, .arg = arg};
    bson_t *out = bson_new();
    if (read_file(&r, out) && r.problems == 0)
        return out;
    bson_destroy(out);
    return NULL;
}
