/* Writes the table for people and programs: help, documentation, listing. */
#include <stdio.h>
#include <string.h>

#include "config/namespaces.h"
#include "config/origin.h"
#include "config/value.h"

/* A value from a file or a variable may be a secret: the listing shows its source. */
static void add_value(const struct option *option, const struct setting *setting,
                      const struct config *config, struct json *json)
{
    /* of pairs, each part of the written text may be a secret */
    if (setting->written == NULL || (option->secret && option->type == OPTION_PAIRS)) {
        value_add_json(option, config, "value", json);
        if (setting->written != NULL)
            json_add_bool(json, "substituted", true);
        return;
    }
    struct text shown = text_growing();
    config_redact_uri(setting->written, &shown);
    if (shown.cut)
        json->out->cut = true;
    json_add_string(json, "value", shown.data);
    json_add_bool(json, "substituted", true);
    text_release(&shown);
}

static void add_variable(const struct option *option, struct json *json)
{
    char name[128];
    struct text text = text_over(name, sizeof name);
    options_add_variable(option, &text);
    json_add_string(json, "variable", name);
}

void config_write_listing(const struct config *config, struct text *out)
{
    static const char *const origins[] = {
        [SETTING_NONE] = "none", [SETTING_DEFAULT] = "default",
        [SETTING_FILE] = "file", [SETTING_ENVIRONMENT] = "environment",
        [SETTING_FLAG] = "flag",
    };
    struct json json = json_over(out);
    json_open_object(&json, NULL);
    json_add_string(&json, "file", config->origin->file);
    json_open_array(&json, "options");
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        const struct setting *setting = &config->origin->effective.of[i];
        json_break_line(&json);
        json_open_object(&json, NULL);
        json_add_string(&json, "name", option->name);
        add_value(option, setting, config, &json);
        json_add_string(&json, "origin", origins[setting->origin]);
        if (setting->origin == SETTING_FILE)
            json_add_uint(&json, "line", setting->line);
        if (setting->origin == SETTING_ENVIRONMENT)
            add_variable(option, &json);
        json_add_string(&json, "default", option->fallback);
        json_add_bool(&json, "reloadable", option->reloadable);
        json_add_string(&json, "description", option->description);
        json_close_object(&json);
    }
    json_break_line(&json);
    json_close_array(&json);
    namespaces_write_listing(config, "mergeNamespaces", &json);
    json_close_object(&json);
    text_add(out, "\n");
}

/* Wraps words, so that lines fit into 80 columns. */
static void add_wrapped(const char *words, struct text *out)
{
    enum { INDENT = 6, COLUMNS = 80 };
    size_t column = 0;
    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        if (column == 0 || column + 1 + len > COLUMNS) {
            text_format(out, "%s%*s", column == 0 ? "" : "\n", INDENT, "");
            column = INDENT;
        } else {
            text_add(out, " ");
            column++;
        }
        text_add_bytes(out, words, len);
        column += len;
        words += len;
        while (*words == ' ')
            words++;
    }
    text_add(out, "\n");
}

static void add_facts(const struct option *option, struct text *out)
{
    text_add(out, " (");
    options_add_allowed(option, out);
    if (option->fallback == NULL)
        text_add(out, "; required");
    else if (*option->fallback != '\0')
        text_format(out, "; default %s", option->fallback);
    text_add(out, option->reloadable ? ")" : "; not reloadable)");
}

/* Flags that are not options of the table. */
static const struct {
    const char *name;
    const char *placeholder;
    const char *description;
} plain_flags[] = {
    {"config", "FILE", "read options from a YAML file; all others win over it"},
    {"merge.namespace", "DATABASE.COLLECTION:NAME=VALUE,...",
     "set merge options for one namespace; may be repeated"},
    {"check-config", "", "check the options and their files, and print them"},
    {"version", "", "print the version"},
    {"help", "", "print this"},
};
enum { PLAIN_FLAGS = sizeof plain_flags / sizeof plain_flags[0] };

static void add_plain_flags(struct text *out)
{
    enum { COLUMN = 20 };
    for (size_t i = 0; i < PLAIN_FLAGS; i++) {
        size_t before = out->len;
        text_format(out, "  --%s %s", plain_flags[i].name, plain_flags[i].placeholder);
        int used = (int)(out->len - before);
        if (used < COLUMN)
            text_format(out, "%*s%s\n", COLUMN - used, "", plain_flags[i].description);
        else
            text_format(out, "\n%*s%s\n", COLUMN, "", plain_flags[i].description);
    }
}

static void add_help(const struct option *option, struct text *out)
{
    struct text about = text_growing();
    text_format(out, "  --%s ", option->name);
    options_add_placeholder(option, out);
    if (option->alias != NULL)
        text_format(out, ", --%s", option->alias);
    text_add(out, "\n");
    text_add(&about, option->description);
    add_facts(option, &about);
    if (about.cut)
        out->cut = true;
    else
        add_wrapped(about.data, out);
    text_release(&about);
}

void config_write_help(struct text *out)
{
    text_add(out, "mongosluice " SLUICE_VERSION "\n"
                  "A MongoDB wire-protocol proxy that validates documents and merges inserts.\n\n"
                  "Usage:\n"
                  "  mongosluice --config FILE [--OPTION VALUE ...]\n"
                  "  mongosluice --upstream URI --listen HOST:PORT [--OPTION VALUE ...]\n"
                  "  MONGOSLUICE_UPSTREAM=URI MONGOSLUICE_LISTEN=HOST:PORT mongosluice\n"
                  "  mongosluice status|top|audit|check|schema --help\n\n");
    add_plain_flags(out);
    text_add(out, "\nOptions (or --OPTION=VALUE; in the file, a.b is key b of mapping a;\n"
                  "in the environment, MONGOSLUICE_A_B):\n");
    for (size_t i = 0; i < options_count; i++)
        add_help(&options_table[i], out);
    text_add(out, "\nSignals: HUP reloads the configuration, TERM drains and ends (a second "
                  "TERM\nends at once), QUIT ends at once, USR1 pauses, USR2 resumes.\n");
}

void config_write_markdown(struct text *out)
{
    text_add(out, "| Option | Default | Allowed | Reloadable | Description |\n"
                  "|---|---|---|---|---|\n");
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        text_format(out, "| `%s` | ", option->name);
        if (option->fallback == NULL)
            text_add(out, "required");
        else if (*option->fallback == '\0')
            text_add(out, "empty");
        else
            text_format(out, "`%s`", option->fallback);
        text_add(out, " | ");
        options_add_allowed(option, out);
        text_format(out, " | %s | %s |\n", option->reloadable ? "yes" : "no", option->description);
    }
}

/* Text of a manual page, with roff's special characters escaped. */
static void add_roff(const char *words, struct text *out)
{
    if (*words == '.' || *words == '\'')
        text_add(out, "\\&");
    for (; *words != '\0'; words++) {
        if (*words == '\\')
            text_add(out, "\\e");
        else if (*words == '-')
            text_add(out, "\\-");
        else
            text_add_bytes(out, words, 1);
    }
}

static void add_manual_entry(const char *name, const char *placeholder, const char *about,
                             struct text *out)
{
    text_format(out, ".TP\n.BI \\-\\-%s \" %s\"\n", name, placeholder);
    add_roff(about, out);
    text_add(out, "\n");
}

void config_write_man(struct text *out)
{
    for (size_t i = 0; i < PLAIN_FLAGS; i++)
        add_manual_entry(plain_flags[i].name, plain_flags[i].placeholder,
                         plain_flags[i].description, out);
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        struct text placeholder = text_growing();
        struct text about = text_growing();
        options_add_placeholder(option, &placeholder);
        text_add(&about, option->description);
        add_facts(option, &about);
        if (placeholder.cut || about.cut)
            out->cut = true;
        else
            add_manual_entry(option->name, placeholder.data, about.data, out);
        text_release(&placeholder);
        text_release(&about);
    }
}

void config_write_table(struct text *out)
{
    for (size_t i = 0; i < PLAIN_FLAGS; i++)
        text_format(out, "%s\t%s\t%s\n", plain_flags[i].name, plain_flags[i].placeholder,
                    plain_flags[i].description);
    for (size_t i = 0; i < options_count; i++) {
        text_format(out, "%s\t", options_table[i].name);
        options_add_placeholder(&options_table[i], out);
        text_format(out, "\t%s\n", options_table[i].description);
    }
}
