#include "config/namespaces.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config/origin.h"
#include "config/value.h"

static int compare_with(const char *ns, size_t len, const char *other)
{
    size_t other_len = strlen(other);
    int order = memcmp(ns, other, len < other_len ? len : other_len);
    if (order != 0 || len == other_len)
        return order;
    return len < other_len ? -1 : 1;
}

static int compare_entries(const void *a, const void *b)
{
    const struct config_merge_namespace *x = a;
    const struct config_merge_namespace *y = b;
    return compare_with(x->ns, strlen(x->ns), y->ns);
}

/* The entry of a namespace, made where there is none: there is room for all. */
static struct config_merge *entry_of(struct config *config, const char *ns)
{
    size_t count = config->merge_namespace_count;
    for (size_t i = 0; i < count; i++)
        if (strcmp(config->merge_namespaces[i].ns, ns) == 0)
            return &config->merge_namespaces[i].merge;
    config->merge_namespaces[count] = (struct config_merge_namespace){ns, config->merge};
    config->merge_namespace_count++;
    return &config->merge_namespaces[count].merge;
}

static bool refuse(const struct config *config, const struct override *override, struct error *err)
{
    char buffer[sizeof err->message];
    struct text text = text_over(buffer, sizeof buffer);
    settings_add_override_place(override, config->origin->file, &text);
    text_add(&text, ": ");
    settings_add_quoted(settings_shown(&override->setting), &text);
    text_add(&text, " is not allowed; expected ");
    options_add_allowed(override->option, &text);
    return error_set(err, ERROR_BAD_VALUE, "%s", buffer);
}

bool namespaces_parse(struct config *config, struct error *err)
{
    const struct settings *effective = &config->origin->effective;
    struct config scratch = {0}; /* values are read into a whole configuration */
    if (effective->override_count == 0)
        return true;
    config->merge_namespaces =
        memory_array(effective->override_count, sizeof *config->merge_namespaces);
    if (config->merge_namespaces == NULL)
        return error_no_memory(err, "the configuration");
    for (size_t i = 0; i < effective->override_count; i++) {
        const struct override *override = &effective->overrides[i];
        struct config_merge *entry = entry_of(config, override->ns);
        scratch.merge = *entry;
        if (!value_parse(override->option, override->setting.text, &scratch))
            return refuse(config, override, err);
        *entry = scratch.merge;
    }
    qsort(config->merge_namespaces, config->merge_namespace_count, sizeof *config->merge_namespaces,
          compare_entries);
    return true;
}

const struct config_merge *config_merge_of(const struct config *config, const char *ns, size_t len)
{
    size_t low = 0;
    size_t high = config->merge_namespace_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_with(ns, len, config->merge_namespaces[middle].ns);
        if (order == 0)
            return &config->merge_namespaces[middle].merge;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return &config->merge;
}

void namespaces_write_listing(const struct config *config, const char *name, struct json *json)
{
    const struct settings *effective = &config->origin->effective;
    json_open_array(json, name);
    for (size_t i = 0; i < effective->override_count; i++) {
        const struct override *override = &effective->overrides[i];
        struct config scratch = {0};
        scratch.merge = *config_merge_of(config, override->ns, strlen(override->ns));
        enum setting_origin origin = override->setting.origin;
        json_break_line(json);
        json_open_object(json, NULL);
        json_add_string(json, "namespace", override->ns);
        json_add_string(json, "name", override->option->name);
        value_add_json(override->option, &scratch, "value", json);
        json_add_string(json, "origin",
                        origin == SETTING_FLAG          ? "flag"
                        : origin == SETTING_ENVIRONMENT ? "environment"
                                                        : "file");
        if (origin == SETTING_FILE)
            json_add_uint(json, "line", override->setting.line);
        json_close_object(json);
    }
    json_close_array(json);
}
