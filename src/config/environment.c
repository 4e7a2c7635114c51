#include "config/environment.h"

#include <ctype.h>
#include <string.h>

#define PREFIX OPTIONS_VARIABLE_PREFIX

enum { PREFIX_LEN = sizeof PREFIX - 1, NAME_SIZE = 128 };

/* Variables of the subcommands and of the Python package. */
static const char *const others[] = {
    ENVIRONMENT_CONFIG, SETTINGS_NAMESPACES_VARIABLE, PREFIX "AUTHOR", PREFIX "BINARY",
    PREFIX "OFFLOAD",   PREFIX "OFFLOAD_REQUIRE",     PREFIX "PROXY",  PREFIX "PURE",
    PREFIX "REGISTRY",  PREFIX "VALIDATOR",           PREFIX "WHEEL",
};

const char *environment_find(char *const *variables, const char *name)
{
    size_t len = strlen(name);
    for (; *variables != NULL; variables++)
        if (strncmp(*variables, name, len) == 0 && (*variables)[len] == '=')
            return (*variables)[len + 1] == '\0' ? NULL : *variables + len + 1;
    return NULL;
}

bool environment_read(char *const *variables, struct settings *out, struct error *err)
{
    for (size_t i = 0; i < options_count; i++) {
        char name[NAME_SIZE];
        struct text text = text_over(name, sizeof name);
        options_add_variable(&options_table[i], &text);
        const char *value = environment_find(variables, name);
        if (value != NULL &&
            !settings_put(out, &options_table[i], value, SETTING_ENVIRONMENT, 0, err))
            return false;
    }
    const char *namespaces = environment_find(variables, SETTINGS_NAMESPACES_VARIABLE);
    return namespaces == NULL || settings_read_namespaces(namespaces, out, err);
}

/* --- unknown variables --------------------------------------------------------------------------
 */

static bool is_known(const char *name)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(others[i], name) == 0)
            return true;
    for (size_t i = 0; i < options_count; i++) {
        char known[NAME_SIZE];
        struct text text = text_over(known, sizeof known);
        options_add_variable(&options_table[i], &text);
        if (strcmp(known, name) == 0)
            return true;
    }
    return false;
}

/* A number and _TCP, _UDP or _SCTP, and maybe _ADDR, _PORT or _PROTO. */
static bool is_service_port(const char *rest)
{
    static const char *const protocols[] = {"_TCP", "_UDP", "_SCTP"};
    static const char *const ends[] = {"", "_ADDR", "_PORT", "_PROTO"};
    size_t digits = strspn(rest, "0123456789");
    for (size_t i = 0; digits > 0 && i < sizeof protocols / sizeof protocols[0]; i++) {
        size_t len = strlen(protocols[i]);
        if (strncmp(rest + digits, protocols[i], len) != 0)
            continue;
        for (size_t j = 0; j < sizeof ends / sizeof ends[0]; j++)
            if (strcmp(rest + digits + len, ends[j]) == 0)
                return true;
    }
    return false;
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* Kubernetes sets these in each pod for a Service NAME, and Docker's links do: NAME_SERVICE_HOST,
 * NAME_SERVICE_PORT[_PORTNAME], NAME_PORT=tcp://…, NAME_PORT_27017_TCP[_ADDR|_PORT|_PROTO]. NAME
 * begins with MONGOSLUICE. */
static bool is_of_service(const char *name, const char *value)
{
    if (ends_with(name, "_SERVICE_HOST") || ends_with(name, "_SERVICE_PORT") ||
        strstr(name, "_SERVICE_PORT_") != NULL)
        return true;
    if (ends_with(name, "_PORT") && strstr(value, "://") != NULL)
        return true;
    for (const char *port = strstr(name, "_PORT_"); port != NULL; port = strstr(port + 1, "_PORT_"))
        if (is_service_port(port + strlen("_PORT_")))
            return true;
    return false;
}

/* The variable of the option with the most similar name. */
static bool add_suggestion(const char *name, struct text *out)
{
    char lower[NAME_SIZE];
    size_t i = 0;
    for (name += PREFIX_LEN; name[i] != '\0' && i < sizeof lower - 1; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    lower[i] = '\0';
    const char *near = options_suggest(lower);
    if (near != NULL)
        options_add_variable(options_find(near), out);
    return near != NULL;
}

static void report_unknown(const char *name, void (*report)(void *arg, const char *problem),
                           void *arg)
{
    char problem[512];
    char suggestion[NAME_SIZE];
    struct text text = text_over(problem, sizeof problem);
    struct text near = text_over(suggestion, sizeof suggestion);
    text_format(&text, "the environment variable %s names no option and is not used; ", name);
    if (add_suggestion(name, &near))
        text_format(&text, "did you mean %s?", suggestion);
    else
        text_add(&text, "rename it, or unset it (mongosluice --help lists the options)");
    report(arg, problem);
}

void environment_each_unknown(char *const *variables,
                              void (*report)(void *arg, const char *problem), void *arg)
{
    for (; *variables != NULL; variables++) {
        char name[NAME_SIZE];
        size_t len = strcspn(*variables, "=");
        if (strncmp(*variables, PREFIX, PREFIX_LEN) != 0 || (*variables)[len] == '\0')
            continue;
        struct text text = text_over(name, sizeof name);
        (void)text_add_escaped(&text, *variables, len);
        if (!is_known(name) && !is_of_service(name, *variables + len + 1))
            report_unknown(name, report, arg);
    }
}
