/* What the table says, for people and machines: help, documentation, listing. */
#include <string.h>

#include "config/namespaces.h"
#include "config/origin.h"
#include "config/value.h"

void config_write_listing(const struct config *config, struct text *out)
{
    static const char *const origins[] = {
        [SETTING_NONE] = "none",
        [SETTING_DEFAULT] = "default",
        [SETTING_FILE] = "file",
        [SETTING_FLAG] = "flag",
    };
    text_add(out, "{\"file\":");
    text_add_json_string(out, config->origin->file);
    text_add(out, ",\"options\":[");
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        const struct setting *setting = &config->origin->effective.of[i];
        text_format(out, "%s\n{\"name\":\"%s\",\"value\":", i == 0 ? "" : ",", option->name);
        value_add_json(option, config, out);
        text_format(out, ",\"origin\":\"%s\"", origins[setting->origin]);
        if (setting->origin == SETTING_FILE)
            text_format(out, ",\"line\":%zu", setting->line);
        text_add(out, ",\"default\":");
        text_add_json_string(out, option->fallback);
        text_format(out,
                    ",\"reloadable\":%s,\"description\":", option->reloadable ? "true" : "false");
        text_add_json_string(out, option->description);
        text_add(out, "}");
    }
    text_add(out, "\n],\"mergeNamespaces\":");
    namespaces_write_listing(config, out);
    text_add(out, "}\n");
}

/* Words, wrapped so that no line is longer than a terminal's 80 columns. */
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
    text_add(out,
             "mongosluice " SLUICE_VERSION "\n"
             "A MongoDB wire-protocol proxy that validates documents and batches inserts.\n\n"
             "Usage:\n"
             "  mongosluice --config FILE [--OPTION VALUE ...]\n"
             "  mongosluice --upstream URI --listen HOST:PORT [--OPTION VALUE ...]\n\n"
             "  --config FILE     read options from a YAML file; flags win over it\n"
             "  --merge.namespace DATABASE.COLLECTION:NAME=VALUE,...\n"
             "                    options of group merge for one namespace; may be repeated\n"
             "  --check-config    check file and flags, print all values, and end\n"
             "  --version         print the version\n"
             "  --help            print this\n\n"
             "Options (--OPTION=VALUE works as well; in the file, a.b is key b in mapping a):\n");
    for (size_t i = 0; i < options_count; i++)
        add_help(&options_table[i], out);
    text_add(out, "\nSignals: HUP reads the configuration again, TERM drains and ends (a second "
                  "TERM\nends at once), QUIT ends at once, USR1 pauses, USR2 resumes.\n");
}

void config_write_markdown(struct text *out)
{
    text_add(out, "| Option | Default | Allowed | Reloadable | What it does |\n"
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
