#include <string.h>

#include "config/settings.h"

#define NAMESPACE_FLAG "merge.namespace"

enum { NAME_SIZE = 128, NAMESPACE_VALUE_SIZE = 512 };

static const struct {
    const char *flag;
    enum config_command what;
} commands[] = {
    {"--help", CONFIG_HELP},
    {"-h", CONFIG_HELP},
    {"--version", CONFIG_VERSION},
    {"--check-config", CONFIG_CHECK},
    {"--print-options-markdown", CONFIG_MARKDOWN},
    {"--print-options-man", CONFIG_MAN},
    {"--print-options-schema", CONFIG_SCHEMA},
    {"--print-options", CONFIG_TABLE},
};

struct argument {
    char name[NAME_SIZE]; /* without the leading dashes; inner dashes are underscores */
    const char *value;    /* borrowed; NULL: none yet */
};

/* --name or --name=value; false if it is neither. */
static bool split(const char *word, struct argument *out)
{
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0')
        return false;
    word += 2;
    size_t len = strcspn(word, "=");
    out->value = word[len] == '=' ? word + len + 1 : NULL;
    if (len >= NAME_SIZE)
        len = NAME_SIZE - 1; /* longer than every option, so it stays unknown */
    memcpy(out->name, word, len);
    out->name[len] = '\0';
    for (char *dash = strchr(out->name, '-'); dash != NULL; dash = strchr(dash, '-'))
        *dash = '_';
    return true;
}

static bool unknown_word(const char *word, const char *name, struct error *err)
{
    char buffer[sizeof err->message];
    struct text text = text_over(buffer, sizeof buffer);
    const char *near = name == NULL ? NULL : options_suggest(name);
    text_add(&text, name == NULL ? "unexpected argument " : "unknown flag ");
    settings_add_quoted(name == NULL ? word : name, &text);
    if (near != NULL)
        text_format(&text, "; did you mean --%s?", near);
    else
        text_add(&text, "; mongosluice --help lists all flags");
    return error_set(err, ERROR_BAD_VALUE, "%s", buffer);
}

/* The value of argv[*at], possibly the next word; leaves *at on the last used word. */
static bool take_value(int argc, char **argv, int *at, struct argument *argument, struct error *err)
{
    if (argument->value != NULL)
        return true;
    if (*at + 1 >= argc || strncmp(argv[*at + 1], "--", 2) == 0)
        return error_set(err, ERROR_BAD_VALUE, "--%s needs a value: --%s VALUE or --%s=VALUE",
                         argument->name, argument->name, argument->name);
    argument->value = argv[++*at];
    return true;
}

static bool given_twice(const char *name, struct error *err)
{
    return error_set(err, ERROR_BAD_VALUE, "--%s is given twice; keep one of them", name);
}

static const char *namespace_place(enum setting_origin origin)
{
    return origin == SETTING_FLAG ? "--" NAMESPACE_FLAG : SETTINGS_NAMESPACES_VARIABLE;
}

static bool bad_namespace(const char *value, const char *why, enum setting_origin origin,
                          struct error *err)
{
    char buffer[sizeof err->message];
    char known[128];
    struct text text = text_over(buffer, sizeof buffer);
    struct text keys = text_over(known, sizeof known);
    options_add_namespace_keys(&keys);
    settings_add_quoted(value, &text);
    return error_set(err, ERROR_BAD_VALUE,
                     "%s: %s %s; write DATABASE.COLLECTION:NAME=VALUE,..., where NAME is one of %s",
                     namespace_place(origin), buffer, why, known);
}

/* NAME=VALUE; the text is overwritten. */
static bool read_pair(char *pair, const char *ns, const char *whole, enum setting_origin origin,
                      struct settings *out, struct error *err)
{
    char *equals = strchr(pair, '=');
    if (equals == NULL)
        return bad_namespace(whole, "has a part without \"=\"", origin, err);
    *equals = '\0';
    const struct option *option = options_find_by_namespace(pair);
    if (option == NULL)
        return bad_namespace(whole, "has an unknown name", origin, err);
    if (settings_find_override(out, ns, option) != NULL)
        return error_set(err, ERROR_BAD_VALUE, "%s %s:%s is given twice; keep one of them",
                         namespace_place(origin), ns, pair);
    return settings_put_override(out, ns, option, equals + 1, origin, 0, err);
}

/* DATABASE.COLLECTION:NAME=VALUE,... A collection's name may contain a colon, options do not: the
 * last colon divides. */
static bool read_namespace(const char *value, size_t len, enum setting_origin origin,
                           struct settings *out, struct error *err)
{
    char text[NAMESPACE_VALUE_SIZE];
    if (len >= sizeof text)
        return bad_namespace(value, "is too long", origin, err);
    memcpy(text, value, len);
    text[len] = '\0';
    char *colon = strrchr(text, ':');
    if (colon == NULL)
        return bad_namespace(value, "has no colon", origin, err);
    *colon = '\0';
    if (!settings_is_namespace(text))
        return bad_namespace(value, "has no namespace before its colon", origin, err);
    for (char *pair = colon + 1, *next = NULL; pair != NULL; pair = next) {
        next = strchr(pair, ',');
        if (next != NULL)
            *next++ = '\0';
        if (!read_pair(pair, text, value, origin, out, err))
            return false;
    }
    return true;
}

bool settings_read_namespaces(const char *value, struct settings *out, struct error *err)
{
    for (size_t len = 0; *value != '\0'; value += len) {
        value += strspn(value, "; ");
        len = strcspn(value, ";");
        if (len > 0 && !read_namespace(value, len, SETTING_ENVIRONMENT, out, err))
            return false;
    }
    return true;
}

static bool read_option(int argc, char **argv, int *at, struct settings *out, const char **file,
                        struct error *err)
{
    struct argument argument;
    if (!split(argv[*at], &argument))
        return unknown_word(argv[*at], NULL, err);
    bool is_file = strcmp(argument.name, "config") == 0;
    bool is_namespace = strcmp(argument.name, NAMESPACE_FLAG) == 0;
    const struct option *option = options_find_flag(argument.name);
    if (!is_file && !is_namespace && option == NULL)
        return unknown_word(argv[*at], argument.name, err);
    if (!take_value(argc, argv, at, &argument, err))
        return false;
    if (is_namespace)
        return read_namespace(argument.value, strlen(argument.value), SETTING_FLAG, out, err);
    if (is_file ? *file != NULL : settings_at(out, option)->text != NULL)
        return given_twice(argument.name, err);
    if (!is_file)
        return settings_put(out, option, argument.value, SETTING_FLAG, 0, err);
    *file = argument.value;
    return true;
}

static bool is_command(const char *word, enum config_command *what)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(word, commands[i].flag) == 0) {
            *what = commands[i].what;
            return true;
        }
    }
    return false;
}

bool settings_read_flags(int argc, char **argv, struct settings *out, const char **file,
                         enum config_command *what, struct error *err)
{
    *file = NULL;
    *what = CONFIG_RUN;
    for (int at = 1; at < argc; at++) {
        if (is_command(argv[at], what)) {
            if (*what != CONFIG_CHECK)
                return true;
        } else if (!read_option(argc, argv, &at, out, file, err)) {
            return false;
        }
    }
    return true;
}
