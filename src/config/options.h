/* The option table, the only list of all options. Private to this room. */
#ifndef SLUICE_CONFIG_OPTIONS_H
#define SLUICE_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "config/config.h"

enum option_type {
    OPTION_URI,       /* const char *, or "" where that is the default */
    OPTION_NAMESPACE, /* const char *: "database.collection", or "" */
    OPTION_ADDRESS,   /* struct config_address */
    OPTION_LOCAL,     /* struct config_address: a port alone means 127.0.0.1; or "" */
    OPTION_HOST,      /* const char * */
    OPTION_HOSTS,     /* const char *: host names, separated by commas, or "" */
    OPTION_READ,      /* const char *: a file that must be readable, or one of choices, or "" */
    OPTION_WRITE,     /* const char *: a file to write, or "" */
    OPTION_FOLDER,    /* const char *: a folder that must be readable, or "" */
    OPTION_INTEGER,   /* int64_t */
    OPTION_BYTES,     /* int64_t; here and below the text may end with a unit */
    OPTION_MS,        /* int64_t */
    OPTION_US,        /* int64_t */
    OPTION_TEXT,      /* const char * */
    OPTION_URL,       /* const char *: http_url.h, or "" */
    OPTION_PAIRS,     /* const char *: name_values.h */
    OPTION_RATIO,     /* double from 0 to 1 */
    OPTION_NETWORKS,  /* const char *: networks (networks.h), or "" */
    OPTION_RULES,     /* const char *: rules of pool modes (pool_rules.h), or "" */
    OPTION_LIMITS,    /* const char *: rules of limits (limit_rules.h), or "" */
    OPTION_CHOICE     /* an enum: the position in choices */
};

struct option {
    const char *name;     /* dotted */
    const char *alias;    /* a shorter flag; NULL: none */
    size_t at;            /* offset of its field in struct config */
    const char *fallback; /* the default as text; NULL: required */
    int64_t min;
    int64_t max;
    const char *const *choices; /* ends with NULL */
    enum option_type type;
    bool reloadable;
    bool by_namespace; /* a field of struct config_merge; a namespace may have its own value */
    bool secret;       /* displayed only redacted, never quoted in an error */
    const char *description;
};

/* The values of a switch; off and on, no and yes are allowed too. */
extern const char *const options_switches[];
extern const struct option options_table[];
extern const size_t options_count; /* at most CONFIG_OPTIONS_MAX */

/* NULL if there is none. */
const struct option *options_find(const char *name);
/* Does the same for the name of a flag, which may be the alias. */
const struct option *options_find_flag(const char *name);
/* The option of group merge for single namespaces, by the last part of its name ("max_docs"); NULL
 * if there is none. */
const struct option *options_find_by_namespace(const char *key);
/* Writes "enabled, max_docs, …": the names that options_find_by_namespace finds. */
void options_add_namespace_keys(struct text *out);
/* The most similar option name; NULL if none is similar. */
const char *options_suggest(const char *name);
/* The first option of a group ("tls" of "tls.mode"); NULL if there is no such group. */
const struct option *options_find_group(const char *name);

/* Writes the name of the option's variable in the environment: the prefix and the name in capitals,
 * with underscores for dots (MONGOSLUICE_TLS_CERT_FILE for tls.cert_file). */
#define OPTIONS_VARIABLE_PREFIX "MONGOSLUICE_"
void options_add_variable(const struct option *option, struct text *out);

/* True if the text is one of the option's choices. */
bool options_is_word(const struct option *option, const char *text);
/* Writes the form of the value for the help ("HOST:PORT", "off|allow|require"). */
void options_add_placeholder(const struct option *option, struct text *out);
/* Writes the allowed values as a phrase: "a number from 1 to 65535". */
void options_add_allowed(const struct option *option, struct text *out);

#endif
