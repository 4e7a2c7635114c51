#include "config/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "config/environment.h"

static bool add_all(int fd, size_t max, struct text *out, struct error *err)
{
    char piece[8192];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, ERROR_BAD_VALUE, "cannot be read: %s", strerror(errno));
        if (n == 0)
            return !out->cut || error_no_memory(err, "a file");
        if ((size_t)n > max - out->len)
            return error_set(err, ERROR_OVERFLOW, "is longer than %zu bytes", max);
        text_add_bytes(out, piece, (size_t)n);
    }
}

bool sources_read_file(const char *path, size_t max, struct text *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set(err, ERROR_BAD_VALUE, "cannot be opened: %s", strerror(errno));
    bool ok = add_all(fd, max, out, err);
    (void)close(fd);
    return ok;
}

/* --- values -------------------------------------------------------------------------------------
 */

static const char *read_variable(void *arg, const char *name)
{
    char *const *variables = arg;
    size_t len = strlen(name);
    for (; *variables != NULL; variables++)
        if (strncmp(*variables, name, len) == 0 && (*variables)[len] == '=')
            return *variables + len + 1;
    return NULL;
}

static bool read_value_file(void *arg, const char *path, struct text *out, struct error *err)
{
    struct error why;
    (void)arg;
    return sources_read_file(path, SUBSTITUTE_FILE_BYTES, out, &why) ||
           error_set(err, why.code, "the file %.250s %.200s", path, why.message);
}

static const char *no_variable(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

static bool no_file(void *arg, const char *path, struct text *out, struct error *err)
{
    (void)arg;
    (void)out;
    return error_set(err, ERROR_BAD_VALUE, "the file %.250s is not read here", path);
}

static bool is_path(const struct option *option)
{
    return option->type == OPTION_READ || option->type == OPTION_WRITE ||
           option->type == OPTION_FOLDER;
}

/* Only the file has ${…}: a shell and Kubernetes replace variables in flags and in variables. */
static bool resolve(const struct option *option, struct setting *setting,
                    const struct substitute_sources *sources, struct error *err)
{
    bool variables = setting->origin == SETTING_FILE;
    if (setting->origin == SETTING_DEFAULT || !substitute_is_needed(setting->text, variables))
        return true;
    if (is_path(option) && strncmp(setting->text, "file:", 5) == 0)
        return error_set(err, ERROR_BAD_VALUE,
                         "the value of this option is the path itself; write it without file:");
    struct text value = text_growing();
    if (substitute_expand(setting->text, variables, sources, &value, err))
        return settings_replace_text(setting, value.data, err);
    text_release(&value);
    return false;
}

static bool refuse(const struct text *place, const struct error *why, struct error *err)
{
    if (why->code == ERROR_EXCEEDED_MEMORY_LIMIT)
        return error_set(err, why->code, "%s", why->message);
    return error_set(err, why->code, "%.200s: %.300s", place->data, why->message);
}

bool sources_resolve(struct settings *settings, const char *file, char *const *variables,
                     struct error *err)
{
    struct substitute_sources sources = {.variable =
                                             variables == NULL ? no_variable : read_variable,
                                         .file = variables == NULL ? no_file : read_value_file,
                                         .arg = (void *)variables};
    char buffer[512];
    struct error why;
    for (size_t i = 0; i < options_count; i++) {
        struct text place = text_over(buffer, sizeof buffer);
        const struct option *option = &options_table[i];
        if (settings->of[i].text == NULL || resolve(option, &settings->of[i], &sources, &why))
            continue;
        settings_add_place(option, &settings->of[i], file, &place);
        return refuse(&place, &why, err);
    }
    for (size_t i = 0; i < settings->override_count; i++) {
        struct text place = text_over(buffer, sizeof buffer);
        struct override *override = &settings->overrides[i];
        if (resolve(override->option, &override->setting, &sources, &why))
            continue;
        settings_add_override_place(override, file, &place);
        return refuse(&place, &why, err);
    }
    return true;
}
