/* Makes a snapshot from a file, the environment and flags. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "config/environment.h"
#include "config/namespaces.h"
#include "config/origin.h"
#include "config/sources.h"
#include "config/value.h"

/* A configuration is a page or two; a longer file is the wrong one, and is not read into memory. */
enum { FILE_MAX_BYTES = 1024 * 1024 };

static bool out_of_memory(struct error *err)
{
    return error_no_memory(err, "the configuration");
}

static struct config *create(const char *file)
{
    struct config *config = memory_zalloc(sizeof *config);
    struct config_origin *origin = memory_zalloc(sizeof *origin);
    char *name = file == NULL ? NULL : memory_copy_string(file);
    if (config == NULL || origin == NULL || (file != NULL && name == NULL)) {
        memory_free(config);
        memory_free(origin);
        memory_free(name);
        return NULL;
    }
    config->origin = origin;
    origin->file = name;
    atomic_init(&origin->references, 1);
    return config;
}

static bool refuse(const struct config *config, const struct option *option, int code,
                   const char *reason, struct error *err)
{
    char buffer[sizeof err->message];
    struct text text = text_over(buffer, sizeof buffer);
    settings_add_place(option, settings_at(&config->origin->effective, option),
                       config->origin->file, &text);
    text_format(&text, ": %s", reason);
    return error_set(err, code, "%s", buffer);
}

bool config_refuse(const struct config *config, const char *name, const char *reason,
                   struct error *err)
{
    return refuse(config, options_find(name), ERROR_BAD_VALUE, reason, err);
}

static bool refuse_value(const struct config *config, const struct option *option,
                         struct error *err)
{
    char buffer[sizeof err->message];
    struct text text = text_over(buffer, sizeof buffer);
    if (option->secret)
        text_add(&text, "the value");
    else
        settings_add_quoted(settings_shown(settings_at(&config->origin->effective, option)), &text);
    text_add(&text, " is not allowed; expected ");
    options_add_allowed(option, &text);
    return refuse(config, option, ERROR_BAD_VALUE, buffer, err);
}

static bool refuse_missing(const struct config *config, const struct option *option,
                           struct error *err)
{
    char buffer[sizeof err->message];
    struct text text = text_over(buffer, sizeof buffer);
    text_format(&text, "required and not given; set it in the file, with --%s ", option->name);
    options_add_placeholder(option, &text);
    text_add(&text, " or with the variable ");
    options_add_variable(option, &text);
    return refuse(config, option, ERROR_BAD_VALUE, buffer, err);
}

static bool add_defaults(struct settings *effective, struct error *err)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (effective->of[i].text == NULL && option->fallback != NULL &&
            !settings_put(effective, option, option->fallback, SETTING_DEFAULT, 0, err))
            return false;
    }
    return true;
}

/* Sets every field from the effective settings. Reports a missing option only if all given ones are
 * valid. */
static bool parse_all(struct config *config, enum config_use use, struct error *err)
{
    struct settings *effective = &config->origin->effective;
    config->upstream = ""; /* if it is not needed */
    if (!add_defaults(effective, err))
        return false;
    for (size_t i = 0; i < options_count; i++) {
        char *text = effective->of[i].text;
        if (text != NULL && !value_parse(&options_table[i], text, config))
            return refuse_value(config, &options_table[i], err);
    }
    for (size_t i = 0; i < options_count && use != CONFIG_USE_ADMIN; i++)
        if (effective->of[i].text == NULL)
            return refuse_missing(config, &options_table[i], err);
    return namespaces_parse(config, err);
}

static bool need(const struct config *config, const char *value, const char *name,
                 const char *because, struct error *err)
{
    char reason[128];
    struct text text = text_over(reason, sizeof reason);
    if (*value != '\0')
        return true;
    text_format(&text, "needs %s to be set as well", name);
    return refuse(config, options_find(because), ERROR_BAD_VALUE, reason, err);
}

static bool check_unix_socket(const struct config *config, struct error *err)
{
    const struct option *option = options_find("unix_domain_socket.path_prefix");
    const char *prefix = config->unix_domain_socket.path_prefix;
    char longest[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    int64_t last = config->listen.port + config->listen_port_count - 1;
    if (*prefix == '\0')
        return true;
    if (*prefix != '/')
        return refuse(config, option, ERROR_BAD_VALUE,
                      "must begin with /, since clients are told it", err);
    if (strchr(prefix, ':') != NULL)
        return refuse(config, option, ERROR_BAD_VALUE,
                      "must have no colon: clients would take what follows it for a port", err);
    config_unix_socket_path(config, config->listen.port == 0 ? UINT16_MAX : (uint16_t)last, longest,
                            sizeof longest);
    if (strlen(longest) == sizeof longest - 1)
        return refuse(config, option, ERROR_BAD_VALUE,
                      "is too long: with /mongodb-PORT.sock the path of a Unix socket has at most "
                      "107 bytes",
                      err);
    return true;
}

/* Checks rules across rows of the table. */
static bool check_together(const struct config *config, struct error *err)
{
    if (config->tls.mode != CONFIG_TLS_OFF &&
        (!need(config, config->tls.cert_file, "tls.cert_file", "tls.mode", err) ||
         !need(config, config->tls.key_file, "tls.key_file", "tls.mode", err)))
        return false;
    if (config->tls.client_certificates != CONFIG_CLIENT_CERTIFICATES_NONE &&
        !need(config, config->tls.ca_file, "tls.ca_file", "tls.client_certificates", err))
        return false;
    if (config->admin.tls_cert_file[0] != '\0' &&
        !need(config, config->admin.tls_key_file, "admin.tls_key_file", "admin.tls_cert_file", err))
        return false;
    if (config->admin.tls_key_file[0] != '\0' &&
        !need(config, config->admin.tls_cert_file, "admin.tls_cert_file", "admin.tls_key_file",
              err))
        return false;
    if (config->schemas_registry[0] != '\0' &&
        !need(config, config->schemas, "schemas", "schemas_registry", err))
        return false;
    if (config->memory_max < config->max_message_bytes)
        return refuse(config, options_find("memory_max"), ERROR_BAD_VALUE,
                      "is less than max_message_bytes, so the proxy could never hold the longest "
                      "message; raise one or lower the other",
                      err);
    if (config->listen.port != 0 &&
        config->listen.port + config->listen_port_count - 1 > UINT16_MAX)
        return refuse(config, options_find("listen_port_count"), ERROR_BAD_VALUE,
                      "counted from the port of listen, goes beyond port 65535; lower the one or "
                      "the other",
                      err);
    return check_unix_socket(config, err);
}

/* reload: files of options that a reload cannot change are not checked. */
static bool check_readable(const struct config *config, bool reload, struct error *err)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        const char *path = config->origin->effective.of[i].text;
        bool folder = option->type == OPTION_FOLDER;
        if ((option->type != OPTION_READ && !folder) || *path == '\0' ||
            options_is_word(option, path) || (reload && !option->reloadable))
            continue;
        int fd =
            open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (folder ? O_DIRECTORY : 0));
        if (fd < 0) {
            char reason[sizeof err->message];
            struct text text = text_over(reason, sizeof reason);
            text_format(&text, "cannot read the %s ", folder ? "folder" : "file");
            settings_add_quoted(settings_shown(&config->origin->effective.of[i]), &text);
            text_format(&text, ": %s", strerror(errno));
            return refuse(config, option, ERROR_BAD_VALUE, reason, err);
        }
        (void)close(fd);
    }
    return true;
}

static bool read_settings(const char *file, struct settings *out, struct error *err)
{
    struct text bytes = text_growing();
    struct error why;
    bool ok = sources_read_file(file, FILE_MAX_BYTES, &bytes, &why);
    if (!ok && why.code == ERROR_EXCEEDED_MEMORY_LIMIT)
        (void)out_of_memory(err);
    else if (!ok)
        (void)error_set(err, why.code, "%.300s: %.150s%s", file, why.message,
                        why.code == ERROR_OVERFLOW ? ": not a configuration file" : "");
    ok = ok && settings_read_yaml(file, bytes.data == NULL ? "" : bytes.data, bytes.len, out, err);
    text_release(&bytes);
    return ok;
}

/* Adds the layers over the file: the environment, then the flags. */
static bool overlay(struct config *config, const struct settings *flags, struct error *err)
{
    struct settings variables = {0};
    struct settings *effective = &config->origin->effective;
    bool ok = environment_read(environ, &variables, err) &&
              settings_overlay(effective, &variables, err) &&
              settings_overlay(effective, flags, err);
    settings_release(&variables);
    return ok;
}

/* Reads the file, applies the environment and the flags, then the types; the snapshot keeps copies
 * of everything. NULL on error. */
static struct config *build(const char *file, const struct settings *flags, enum config_use use,
                            struct error *err)
{
    struct config *config = create(file);
    if (config == NULL) {
        (void)out_of_memory(err);
        return NULL;
    }
    struct settings *effective = &config->origin->effective;
    bool ok = (file == NULL || read_settings(file, effective, err)) &&
              settings_overlay(&config->origin->flags, flags, err) && overlay(config, flags, err);
    if (ok && use == CONFIG_USE_ADMIN)
        settings_keep_group(effective, "admin.");
    if (ok && sources_resolve(effective, file, environ, err) && parse_all(config, use, err))
        return config;
    config_release(config);
    return NULL;
}

/* The last step of a load: *out is the snapshot, or NULL after releasing it. */
static bool check_and_give(struct config *config, bool reload, struct config **out,
                           struct error *err)
{
    if (check_together(config, err) && check_readable(config, reload, err)) {
        *out = config;
        return true;
    }
    config_release(config);
    return false;
}

static const char *file_of(const char *file)
{
    return file != NULL ? file : environment_find(environ, ENVIRONMENT_CONFIG);
}

bool config_load(int argc, char **argv, struct config **out, enum config_command *what,
                 struct error *err)
{
    struct settings flags = {0};
    const char *file = NULL;
    *out = NULL;
    bool ok = settings_read_flags(argc, argv, &flags, &file, what, err);
    if (ok && (*what == CONFIG_RUN || *what == CONFIG_CHECK)) {
        struct config *config = build(file_of(file), &flags, CONFIG_USE_ALL, err);
        ok = config != NULL && check_and_give(config, false, out, err);
    }
    settings_release(&flags);
    return ok;
}

bool config_load_file(const char *file, enum config_use use, struct config **out, struct error *err)
{
    struct settings flags = {0};
    *out = build(file_of(file), &flags, use, err);
    return *out != NULL;
}

void config_each_unknown_variable(void (*report)(void *arg, const char *problem), void *arg)
{
    environment_each_unknown(environ, report, arg);
}

/* Restores options that a running process cannot change. */
static bool keep_fixed(const struct config *current, struct config *config,
                       struct config_changes *ignored, struct error *err)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        struct settings *effective = &config->origin->effective;
        if (option->reloadable || value_equals(option, current, config))
            continue;
        ignored->names[ignored->count++] = option->name;
        if (!settings_copy(&effective->of[i], &current->origin->effective.of[i], err))
            return false;
        (void)value_parse(option, effective->of[i].text, config); /* it was valid before */
    }
    return true;
}

bool config_reload(const struct config *current, struct config **out,
                   struct config_changes *ignored, struct error *err)
{
    *out = NULL;
    ignored->count = 0;
    struct config *config =
        build(current->origin->file, &current->origin->flags, CONFIG_USE_ALL, err);
    if (config == NULL)
        return false;
    if (!keep_fixed(current, config, ignored, err)) {
        config_release(config);
        return false;
    }
    return check_and_give(config, true, out, err);
}

bool config_load_yaml(const char *name, const void *yaml, size_t len, struct config **out,
                      struct error *err)
{
    *out = NULL;
    struct config *config = create(name);
    if (config == NULL)
        return out_of_memory(err);
    if (settings_read_yaml(name, yaml, len, &config->origin->effective, err) &&
        sources_resolve(&config->origin->effective, name, NULL, err) &&
        parse_all(config, CONFIG_USE_ALL, err) && check_together(config, err)) {
        *out = config;
        return true;
    }
    config_release(config);
    return false;
}
