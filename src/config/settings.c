#include "config/settings.h"

#include <string.h>

#include "base/memory.h"
#include "base/namespace.h"

struct setting *settings_at(struct settings *settings, const struct option *option)
{
    return &settings->of[option - options_table];
}

static void setting_release(struct setting *setting)
{
    memory_free(setting->text);
    memory_free(setting->written);
    *setting = (struct setting){0};
}

static bool no_memory(const struct option *option, struct error *err)
{
    return error_no_memory(err, "the value of option %s", option->name);
}

bool settings_put(struct settings *settings, const struct option *option, const char *text,
                  enum setting_origin origin, size_t line, struct error *err)
{
    struct setting *setting = settings_at(settings, option);
    char *copy = memory_copy_string(text);
    if (copy == NULL)
        return no_memory(option, err);
    setting_release(setting);
    *setting = (struct setting){.text = copy, .origin = origin, .line = line};
    return true;
}

bool settings_replace_text(struct setting *setting, char *value, struct error *err)
{
    if (value == NULL)
        return error_no_memory(err, "a value");
    memory_free(setting->written);
    setting->written = setting->text;
    setting->text = value;
    return true;
}

const struct override *settings_find_override(const struct settings *settings, const char *ns,
                                              const struct option *option)
{
    for (size_t i = 0; i < settings->override_count; i++) {
        const struct override *override = &settings->overrides[i];
        if (strcmp(override->ns, ns) == 0 && (option == NULL || override->option == option))
            return override;
    }
    return NULL;
}

bool settings_is_namespace(const char *ns)
{
    return namespace_is_whole(bytes_of(ns, strlen(ns)));
}

/* Adds an empty place at the end; NULL without memory. */
static struct override *add_override(struct settings *settings)
{
    size_t size = (settings->override_count + 1) * sizeof *settings->overrides;
    struct override *overrides = memory_resize(settings->overrides, size);
    if (overrides == NULL)
        return NULL;
    settings->overrides = overrides;
    overrides[settings->override_count] = (struct override){0};
    return &overrides[settings->override_count++];
}

bool settings_put_override(struct settings *settings, const char *ns, const struct option *option,
                           const char *text, enum setting_origin origin, size_t line,
                           struct error *err)
{
    const struct override *found = settings_find_override(settings, ns, option);
    if (found == NULL && settings->override_count == SETTINGS_OVERRIDES_MAX)
        return error_set(err, ERROR_OVERFLOW, "merge.namespaces: more than %d options in all",
                         SETTINGS_OVERRIDES_MAX);
    struct override *override =
        found == NULL ? add_override(settings) : &settings->overrides[found - settings->overrides];
    char *copy = override == NULL ? NULL : memory_copy_string(text);
    char *name = override != NULL && override->ns == NULL ? memory_copy_string(ns) : NULL;
    if (copy == NULL || (override->ns == NULL && name == NULL)) {
        memory_free(copy);
        memory_free(name);
        if (override != NULL && override->ns == NULL)
            settings->override_count--; /* the added place */
        return no_memory(option, err);
    }
    if (name != NULL)
        override->ns = name;
    setting_release(&override->setting);
    override->option = option;
    override->setting = (struct setting){.text = copy, .origin = origin, .line = line};
    return true;
}

bool settings_copy(struct setting *to, const struct setting *from, struct error *err)
{
    char *text = memory_copy_string(from->text);
    char *written = from->written == NULL ? NULL : memory_copy_string(from->written);
    if (text == NULL || (from->written != NULL && written == NULL)) {
        memory_free(text);
        memory_free(written);
        return error_no_memory(err, "the configuration");
    }
    setting_release(to);
    *to = (struct setting){
        .text = text, .origin = from->origin, .line = from->line, .written = written};
    return true;
}

static void release_overrides(struct settings *settings)
{
    for (size_t i = 0; i < settings->override_count; i++) {
        memory_free(settings->overrides[i].ns);
        setting_release(&settings->overrides[i].setting);
    }
    memory_free(settings->overrides);
    settings->overrides = NULL;
    settings->override_count = 0;
}

void settings_keep_group(struct settings *settings, const char *prefix)
{
    release_overrides(settings);
    for (size_t i = 0; i < options_count; i++)
        if (strncmp(options_table[i].name, prefix, strlen(prefix)) != 0)
            setting_release(&settings->of[i]);
}

bool settings_overlay(struct settings *to, const struct settings *from, struct error *err)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct setting *s = &from->of[i];
        if (s->text != NULL &&
            !settings_put(to, &options_table[i], s->text, s->origin, s->line, err))
            return false;
    }
    for (size_t i = 0; i < from->override_count; i++) {
        const struct override *o = &from->overrides[i];
        const struct setting *s = &o->setting;
        if (!settings_put_override(to, o->ns, o->option, s->text, s->origin, s->line, err))
            return false;
    }
    return true;
}

void settings_release(struct settings *settings)
{
    for (size_t i = 0; i < options_count; i++)
        setting_release(&settings->of[i]);
    release_overrides(settings);
    *settings = (struct settings){0};
}

void settings_add_place(const struct option *option, const struct setting *setting,
                        const char *file, struct text *out)
{
    if (setting->origin == SETTING_ENVIRONMENT) {
        options_add_variable(option, out);
        return;
    }
    if (setting->origin == SETTING_FLAG)
        text_add(out, "--");
    else if (setting->origin == SETTING_FILE)
        text_format(out, "%s:%zu: ", file, setting->line);
    text_add(out, option->name);
}

void settings_add_override_place(const struct override *override, const char *file,
                                 struct text *out)
{
    const char *key = strrchr(override->option->name, '.') + 1;
    if (override->setting.origin == SETTING_FLAG)
        text_format(out, "--merge.namespace %s:%s", override->ns, key);
    else if (override->setting.origin == SETTING_ENVIRONMENT)
        text_format(out, SETTINGS_NAMESPACES_VARIABLE " %s:%s", override->ns, key);
    else
        text_format(out, "%s:%zu: merge.namespaces.%s.%s", file, override->setting.line,
                    override->ns, key);
}

void settings_add_quoted(const char *written, struct text *out)
{
    enum { READABLE = 80 };
    struct text shown = text_growing();
    config_redact_uri(written, &shown);
    if (!shown.cut) {
        size_t len = shown.len < READABLE ? shown.len : READABLE;
        text_add(out, "\"");
        (void)text_add_escaped(out, shown.len == 0 ? "" : shown.data, len);
        text_add(out, len < shown.len ? "...\"" : "\"");
    }
    text_release(&shown);
}
