#include "config/settings.h"

#include "base/memory.h"

struct setting *settings_at(struct settings *settings, const struct option *option)
{
    return &settings->of[option - options_table];
}

bool settings_put(struct settings *settings, const struct option *option, const char *text,
                  enum setting_origin origin, size_t line, struct error *err)
{
    struct setting *setting = settings_at(settings, option);
    char *copy = memory_copy_string(text);
    if (copy == NULL)
        return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "No memory for the value of option %s",
                         option->name);
    memory_free(setting->text);
    *setting = (struct setting){copy, origin, line};
    return true;
}

bool settings_overlay(struct settings *to, const struct settings *from, struct error *err)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct setting *s = &from->of[i];
        if (s->text != NULL &&
            !settings_put(to, &options_table[i], s->text, s->origin, s->line, err))
            return false;
    }
    return true;
}

void settings_release(struct settings *settings)
{
    for (size_t i = 0; i < options_count; i++)
        memory_free(settings->of[i].text);
    *settings = (struct settings){0};
}

void settings_add_place(const struct option *option, const struct setting *setting,
                        const char *file, struct text *out)
{
    if (setting->origin == SETTING_FLAG)
        text_add(out, "--");
    else if (setting->origin == SETTING_FILE)
        text_format(out, "%s:%zu: ", file, setting->line);
    text_add(out, option->name);
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
