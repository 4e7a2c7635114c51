/* The settings of a process: an immutable snapshot with plain typed fields, made from a YAML file,
 * variables of the environment and flags. Flags override variables, and variables override the
 * file. A reload replaces the whole snapshot.
 *
 * Every option has one row in the table of options.c and one field here. The row defines its
 * parsing, default, bounds, help, documentation and listing. Times are in milliseconds, sizes in
 * bytes.
 *
 * Retain and release are thread-safe; reading a snapshot needs no lock. Only one thread at a time
 * may load or reload. */
#ifndef SLUICE_CONFIG_CONFIG_H
#define SLUICE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/host_port.h"
#include "base/log.h"
#include "base/text.h"

enum { CONFIG_OPTIONS_MAX = 96 };

enum config_tls_mode { CONFIG_TLS_OFF, CONFIG_TLS_ALLOW, CONFIG_TLS_REQUIRE };
enum config_client_certificates {
    CONFIG_CLIENT_CERTIFICATES_NONE,
    CONFIG_CLIENT_CERTIFICATES_OPTIONAL,
    CONFIG_CLIENT_CERTIFICATES_REQUIRED
};
enum config_switch { CONFIG_FALSE, CONFIG_TRUE };
enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };
enum config_ready_ports {
    CONFIG_READY_PORTS_NEVER,
    CONFIG_READY_PORTS_START, /* until all servers had a port once */
    CONFIG_READY_PORTS_ALWAYS
};
enum config_on_cap { CONFIG_PASSTHROUGH, CONFIG_REJECT };
enum config_ignore_comment {
    CONFIG_IGNORE_COMMENT_NEVER,
    CONFIG_IGNORE_COMMENT_TRACEPARENT,
    CONFIG_IGNORE_COMMENT_ALWAYS
};
enum config_pool_mode { CONFIG_SESSION, CONFIG_SHARED };
enum config_limit_kind {
    CONFIG_LIMIT_CONNECTIONS,
    CONFIG_LIMIT_REQUESTS,  /* a second */
    CONFIG_LIMIT_DOCUMENTS, /* written, a second */
    CONFIG_LIMITS
};
enum { CONFIG_LIMIT_RULES_MAX = 16 };
/* The names of octal modes. */
enum config_permissions { CONFIG_OWNER, CONFIG_GROUP, CONFIG_EVERYONE };

struct config_address {
    char host[HOST_BYTES]; /* an IPv6 address has no brackets here */
    uint16_t port;         /* 0: any free port */
};

/* The merge options, for all namespaces or for one. */
struct config_merge {
    enum config_switch enabled;
    int64_t max_docs;
    int64_t max_bytes;
    int64_t max_in_flight;
    int64_t stalled_after_ms; /* 0: never */
    int64_t linger_us;
    int64_t max_waiters;
    enum config_on_cap on_cap;
    enum config_ignore_comment ignore_comment;
};

struct config_merge_namespace {
    const char *ns; /* "database.collection" */
    struct config_merge merge;
};

/* Strings are never NULL and belong to the snapshot; "" means not set. */
struct config {
    const char *upstream; /* contains credentials: show it only through config_redact_uri */
    struct config_address listen;
    int64_t listen_port_count;
    const char *listen_proxy_protocol; /* read by networks_contain */
    int64_t upstream_proxy_protocol;   /* 0: none */
    const char
        *advertise; /* an IPv6 address without brackets; "": the address that the client dialled */
    struct {
        const char *path_prefix; /* a folder; "": none */
        enum config_permissions file_permissions;
    } unix_domain_socket;
    const char *schemas; /* a folder; "": none */
    enum config_switch schemas_upstream;
    int64_t schemas_upstream_period_ms;
    int64_t schemas_memory_max;
    const char *schemas_registry;     /* "database.collection"; "": none */
    const char *schemas_registry_uri; /* "": upstream; holds credentials, as that does */
    int64_t schemas_registry_period_ms;
    int64_t threads; /* as configured: 0 is the number of CPUs */
    int64_t busy_poll_us;
    int64_t max_client_conn;
    int64_t max_message_bytes;
    int64_t memory_max;
    int64_t handshake_timeout_ms;
    int64_t client_idle_timeout_ms; /* 0: never */
    int64_t request_timeout_ms;     /* 0: never */
    int64_t connect_timeout_ms;
    int64_t drain_timeout_ms;
    int64_t query_wait_timeout_ms; /* 0: no limit */
    int64_t stats_period_ms;       /* 0: off */
    int64_t listen_backlog;
    struct {
        enum log_level level;
        enum log_format format;
        const char *file;     /* "": standard output */
        int64_t sample_first; /* 0: all */
        int64_t sample_period_ms;
        enum config_switch show_values;
    } log;
    struct {
        enum config_tls_mode mode;
        const char *cert_file;
        const char *key_file;
        const char *ca_file;
        enum config_client_certificates client_certificates;
        enum config_tls_version min_version;
    } tls;
    struct {
        struct config_address listen; /* host "": off */
        const char *token_file;
        const char *allowed_hosts; /* names, separated by commas */
        const char *tls_cert_file;
        const char *tls_key_file;
        enum config_switch write;
        enum config_switch show_values;
        int64_t metrics_schemas_max;
        enum config_ready_ports ready_needs_ports;
    } admin;
    struct {
        const char *endpoint; /* a URL; "": off */
        double sample_ratio;
        const char *service;
        const char *resource_attributes; /* name_values.h */
        const char *headers;             /* name_values.h; secret */
        const char *ca_file;
        int64_t period_ms;
        int64_t timeout_ms;
        int64_t queue_max;
    } tracing;
    struct config_merge merge; /* for namespaces without their own options */
    int64_t merge_retry_table_bytes;
    size_t merge_namespace_count;
    struct config_merge_namespace *merge_namespaces; /* owned; sorted by name */
    struct {
        enum config_pool_mode mode;
        const char *rules; /* read by config_pool_mode_of */
        int64_t max_size;  /* of each server and identity */
        int64_t max_total; /* of each server */
        int64_t min_idle;
        int64_t idle_timeout_ms; /* 0: never */
        int64_t max_lifetime_ms; /* 0: no limit */
        int64_t wait_timeout_ms; /* 0: no limit */
        int64_t waiters_max;     /* of each server */
        int64_t await_share;     /* percent of max_size */
        int64_t login_concurrency;
        int64_t cancel_grace_ms;
    } pool;
    struct {
        const char *verifiers; /* "none", "upstream", or a file */
        int64_t verifiers_max_age_ms;
        int64_t verifiers_away_ms;
    } auth;
    struct {
        const char *rules; /* read by config_find_limits; "": none */
    } limits;
    struct config_origin *origin; /* reference count, file, flags: owned, for config.c only */
};

enum config_command {
    CONFIG_RUN,
    CONFIG_CHECK,    /* --check-config: the configuration is good; show config_write_listing */
    CONFIG_HELP,     /* --help: show config_write_help */
    CONFIG_VERSION,  /* --version */
    CONFIG_MARKDOWN, /* --print-options-markdown: show config_write_markdown */
    CONFIG_MAN,      /* --print-options-man: show config_write_man */
    CONFIG_SCHEMA,   /* --print-options-schema: show config_write_schema */
    CONFIG_TABLE     /* --print-options: show config_write_table */
};

/* Options that a reload cannot change although their values differ; the old values stay. The names
 * are the table's strings. */
struct config_changes {
    size_t count;
    const char *names[CONFIG_OPTIONS_MAX];
};

/* Reads the flags, the environment, and the file of --config or MONGOSLUICE_CONFIG. Sets *what on
 * success. *out is a snapshot with one reference for CONFIG_RUN and CONFIG_CHECK, and NULL
 * otherwise. The error names the file, line and key (or the flag) and the allowed values, and never
 * a credential. Does not keep argv. */
bool config_load(int argc, char **argv, struct config **out, enum config_command *what,
                 struct error *err);

/* For commands that use the configuration of a proxy: reads the file (NULL: that of
 * MONGOSLUICE_CONFIG, or none) and the environment, and does not look at the files that options
 * name. CONFIG_USE_ADMIN: only the options of group admin have values, the others their defaults.
 */
enum config_use { CONFIG_USE_ALL, CONFIG_USE_ADMIN };
bool config_load_file(const char *file, enum config_use use, struct config **out,
                      struct error *err);

/* Reports each variable MONGOSLUICE_… of the environment that nothing reads, and what to do. */
void config_each_unknown_variable(void (*report)(void *arg, const char *problem), void *arg);

/* Reads the same file again and applies the environment and the same flags. On error *out is NULL.
 * `current` stays unchanged; its holder swaps and releases. */
bool config_reload(const struct config *current, struct config **out,
                   struct config_changes *ignored, struct error *err);

/* Does the same from bytes in memory; `name` replaces the file name in errors. For tests and
 * fuzzing: reads no other file and no variable, and does not check files that options name. Such a
 * snapshot cannot be reloaded. */
bool config_load_yaml(const char *name, const void *yaml, size_t len, struct config **out,
                      struct error *err);

/* Sets an error about the value of the option `name`: its place, and the reason (which may be
 * err->message). Returns false. */
bool config_refuse(const struct config *config, const char *name, const char *reason,
                   struct error *err);

/* The default of an option with numbers. */
int64_t config_default_number(const char *name);

/* The Unix socket beside a port, PATH_PREFIX/mongodb-PORT.sock like MongoDB's; "" if there is none.
 * Cuts `out` at `size`: listener_bind_unix refuses a path that is too long. */
void config_unix_socket_path(const struct config *config, uint16_t port, char *out, size_t size);
unsigned config_unix_socket_mode(const struct config *config);

/* The merge options for a namespace ("database.collection", len bytes). */
const struct config_merge *config_merge_of(const struct config *config, const char *ns, size_t len);

/* A rule of limits.rules that fits a client. */
struct config_limit {
    unsigned number;         /* of the rule, from 1 */
    const char *application; /* the value of a condition with `*`: it has its own count; or "" */
    const char *user;
    int64_t of[CONFIG_LIMITS]; /* 0: none */
};
/* The rules that fit a client: `application` is "" without a name, and `users` is "name@database"
 * or
 * "". The strings of the result are the arguments. */
size_t config_find_limits(const struct config *config, const char *application, const char *users,
                          struct config_limit out[CONFIG_LIMIT_RULES_MAX]);

/* The mode of a client: that of the first rule that fits, otherwise pool.mode. `application` is ""
 * without a name. `users` is the text of its identity ("alice@admin"), "" without a login. */
enum config_pool_mode config_pool_mode_of(const struct config *config, const char *application,
                                          const char *users);

/* True if a client of that application shares connections with some identity. */
bool config_pool_may_share(const struct config *config, const char *application);

struct config *config_retain(struct config *config);
void config_release(struct config *config); /* NULL is allowed */

/* Writes {"file":…,"options":[{"name":…,"value":…,"origin":…,…},…]} without credentials. */
void config_write_listing(const struct config *config, struct text *out);
void config_write_help(struct text *out);
void config_write_markdown(struct text *out);
/* Writes the options as a section of a manual page (roff, macros of man(7)). */
void config_write_man(struct text *out);
/* Writes a JSON Schema of the configuration file. */
void config_write_schema(struct text *out);
/* Writes a line for each flag: name, TAB, the form of its value as in the help ("FILE",
 * "off|allow|require"; empty for a flag without a value), TAB, description. Shell completions read
 * it. */
void config_write_table(struct text *out);

/* Writes the text and replaces possible credentials of a URI by <redacted>: the user information,
 * and URI options with secrets. Other text stays unchanged. In doubt (an '@' without
 * percent-encoding) it replaces too much rather than too little. */
void config_redact_uri(const char *uri, struct text *out);

#endif
