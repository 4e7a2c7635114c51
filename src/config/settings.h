/* Written settings before they get a type: a text and its place for each option. Private to this
 * room. A snapshot combines the layers default < file < environment < flags. */
#ifndef SLUICE_CONFIG_SETTINGS_H
#define SLUICE_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/text.h"
#include "config/options.h"

enum setting_origin {
    SETTING_NONE,
    SETTING_DEFAULT,
    SETTING_FILE,
    SETTING_ENVIRONMENT,
    SETTING_FLAG
};

struct setting {
    char *text; /* owned; NULL if and only if the origin is SETTING_NONE */
    enum setting_origin origin;
    size_t line;   /* of the file, from 1 */
    char *written; /* owned; "file:…" or "${…}" if the text comes from there, otherwise NULL.
                    * Such a text may be a secret: messages and listings show `written` */
};

/* The maximal number of options of namespaces. Searches among them are linear. */
enum { SETTINGS_OVERRIDES_MAX = 4096 };

/* An option of a single namespace. */
struct override {
    char *ns; /* owned */
    const struct option *option;
    struct setting setting;
};

struct settings {
    struct setting of[CONFIG_OPTIONS_MAX]; /* by position in options_table */
    size_t override_count;
    struct override *overrides; /* owned; in the order they were given */
};

/* The entry of an option. */
struct setting *settings_at(struct settings *settings, const struct option *option);

/* Copies the text and releases the old one. */
bool settings_put(struct settings *settings, const struct option *option, const char *text,
                  enum setting_origin origin, size_t line, struct error *err);
/* The same for a namespace. */
bool settings_put_override(struct settings *settings, const char *ns, const struct option *option,
                           const char *text, enum setting_origin origin, size_t line,
                           struct error *err);
/* NULL if there is none. `option` NULL means the first of the namespace. */
const struct override *settings_find_override(const struct settings *settings, const char *ns,
                                              const struct option *option);
/* True if this can be the name of a collection: "DATABASE.COLLECTION". */
bool settings_is_namespace(const char *ns);

/* Replaces the text of a setting by the value that it names; keeps the old text as `written`. Takes
 * `value`, also on failure. */
bool settings_replace_text(struct setting *setting, char *value, struct error *err);
/* The text for messages and listings. */
static inline const char *settings_shown(const struct setting *setting)
{
    return setting->written != NULL ? setting->written : setting->text;
}

bool settings_copy(struct setting *to, const struct setting *from, struct error *err);
/* Drops all settings but those of options with this start of the name. */
void settings_keep_group(struct settings *settings, const char *prefix);
/* Copies all settings of `from` over `to`. */
bool settings_overlay(struct settings *to, const struct settings *from, struct error *err);
void settings_release(struct settings *settings);

/* "FILE:LINE: NAME" or "MONGOSLUICE_NAME" or "--NAME", or NAME alone. */
void settings_add_place(const struct option *option, const struct setting *setting,
                        const char *file, struct text *out);

/* "FILE:LINE: merge.namespaces.NS.KEY" or "--merge.namespace NS:KEY", or the same with the
 * variable.
 */
void settings_add_override_place(const struct override *override, const char *file,
                                 struct text *out);

/* Writes a user's text, quoted for an error: without credentials, cut to a readable length. */
void settings_add_quoted(const char *written, struct text *out);

/* Reads the mappings of a YAML text, nested or with dotted keys; `file` is for errors. Repeated
 * keys, unknown keys, lists, aliases, tags and further documents are errors. */
bool settings_read_yaml(const char *file, const void *yaml, size_t len, struct settings *out,
                        struct error *err);

/* Reads the flags of a command line. *file is the value of --config, borrowed from argv, or NULL.
 * Stops at a flag that requests something other than a run. */
bool settings_read_flags(int argc, char **argv, struct settings *out, const char **file,
                         enum config_command *what, struct error *err);

/* Reads the value of the variable for single namespaces: those of the flag --merge.namespace,
 * separated by semicolons. */
#define SETTINGS_NAMESPACES_VARIABLE OPTIONS_VARIABLE_PREFIX "MERGE_NAMESPACE"
bool settings_read_namespaces(const char *value, struct settings *out, struct error *err);

#endif
