#include "config/substitute.h"

#include <ctype.h>
#include <string.h>

static const char FILE_PREFIX[] = "file:";
static const char PERCENT_PREFIX[] = "percent:";

enum { FILE_PREFIX_LEN = sizeof FILE_PREFIX - 1, PERCENT_PREFIX_LEN = sizeof PERCENT_PREFIX - 1 };

static bool is_file(const char *written)
{
    return strncmp(written, FILE_PREFIX, FILE_PREFIX_LEN) == 0;
}

bool substitute_is_needed(const char *written, bool variables)
{
    return is_file(written) || (variables && strstr(written, "${") != NULL);
}

static bool is_variable_name(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

static bool add_file(const char *path, const struct substitute_sources *sources, struct text *out,
                     struct error *err)
{
    struct text bytes = text_growing();
    bool ok = sources->file(sources->arg, path, &bytes, err);
    size_t len = bytes.len;
    if (ok && bytes.cut)
        ok = error_no_memory(err, "the file %.300s", path);
    if (ok && len > 0 && bytes.data[len - 1] == '\n')
        len--;
    if (ok && len > 0 && bytes.data[len - 1] == '\r')
        len--;
    if (ok && len == 0)
        ok = error_set(err, ERROR_BAD_VALUE, "the file %.300s is empty", path);
    else if (ok && memchr(bytes.data, '\0', len) != NULL)
        ok = error_set(err, ERROR_BAD_VALUE, "the file %.300s contains a NUL byte", path);
    if (ok)
        text_add_bytes(out, bytes.data, len);
    text_release(&bytes);
    return ok;
}

static bool add_variable(const char *name, const struct substitute_sources *sources,
                         struct text *out, struct error *err)
{
    if (!is_variable_name(name))
        return error_set(err, ERROR_BAD_VALUE,
                         "${...} contains neither a variable's name nor file:PATH; write $${ for "
                         "these two characters themselves");
    const char *value = sources->variable(sources->arg, name);
    if (value == NULL)
        return error_set(
            err, ERROR_BAD_VALUE,
            "the variable %.200s is not set; set it in the environment of mongosluice, "
            "or write $${ for these two characters themselves",
            name);
    text_add(out, value);
    return true;
}

/* Unreserved characters of RFC 3986 stay. */
static void add_percent_encoded(const struct text *value, struct text *out)
{
    for (size_t i = 0; i < value->len; i++) {
        unsigned char byte = (unsigned char)value->data[i];
        if (byte < 0x80 && (isalnum(byte) || strchr("-._~", byte) != NULL))
            text_add_bytes(out, &value->data[i], 1);
        else
            text_format(out, "%%%02X", byte);
    }
}

static bool add_named(const char *name, const struct substitute_sources *sources, struct text *out,
                      struct error *err)
{
    return is_file(name) ? add_file(name + FILE_PREFIX_LEN, sources, out, err)
                         : add_variable(name, sources, out, err);
}

static bool add_reference(const char *name, const struct substitute_sources *sources,
                          struct text *out, struct error *err)
{
    if (strncmp(name, PERCENT_PREFIX, PERCENT_PREFIX_LEN) != 0)
        return add_named(name, sources, out, err);
    struct text value = text_growing();
    bool ok = add_named(name + PERCENT_PREFIX_LEN, sources, &value, err);
    if (ok && value.cut)
        ok = error_no_memory(err, "a value");
    if (ok)
        add_percent_encoded(&value, out);
    text_release(&value);
    return ok;
}

/* *at is behind "${"; moves it behind "}". */
static bool expand_one(const char **at, const struct substitute_sources *sources, struct text *out,
                       struct error *err)
{
    char name[SUBSTITUTE_NAME_BYTES];
    size_t len = strcspn(*at, "}");
    if ((*at)[len] == '\0')
        return error_set(err, ERROR_BAD_VALUE,
                         "${ has no closing brace; write $${ for these two characters themselves");
    if (len >= sizeof name)
        return error_set(err, ERROR_BAD_VALUE, "${...} is longer than %zu bytes", sizeof name - 1);
    memcpy(name, *at, len);
    name[len] = '\0';
    *at += len + 1;
    return add_reference(name, sources, out, err);
}

bool substitute_expand(const char *written, bool variables,
                       const struct substitute_sources *sources, struct text *out,
                       struct error *err)
{
    if (is_file(written))
        return add_file(written + FILE_PREFIX_LEN, sources, out, err);
    text_add(out, ""); /* so that an empty value has its NUL */
    while (*written != '\0') {
        const char *dollar = variables ? strstr(written, "${") : NULL;
        if (dollar == NULL) {
            text_add(out, written);
            break;
        }
        bool literal = dollar > written && dollar[-1] == '$';
        text_add_bytes(out, written, (size_t)(dollar - written) - literal);
        written = dollar + 2;
        if (literal)
            text_add(out, "${");
        else if (!expand_one(&written, sources, out, err))
            return false;
    }
    return !out->cut || error_no_memory(err, "a value");
}
