#include "main/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/clock.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include "main/certificates.h"
#include "main/own_upstream.h"
#include "main/registry_link.h"
#include "main/verifier_link.h"

struct uri *prepare_uri(const struct config *config, struct error *err)
{
    struct uri *uri = uri_parse(config->upstream, err);
    if (uri == NULL)
        (void)config_refuse(config, "upstream", err->message, err);
    return uri;
}

static bool make_server_tls(const struct config *config, struct tls_context **out,
                            struct error *err)
{
    *out = NULL;
    if (config->tls.mode == CONFIG_TLS_OFF)
        return true;
    struct tls_server_options options = {
        .certificate_file = config->tls.cert_file,
        .key_file = config->tls.key_file,
        .ca_file = config->tls.ca_file[0] != 0 ? config->tls.ca_file : NULL,
        .client_certificates = (enum tls_client_certificates)config->tls.client_certificates,
        .min_version = (enum tls_version)config->tls.min_version,
    };
    *out = tls_context_new_server(&options, err);
    return *out != NULL;
}

static bool make_upstream_tls(const struct uri *uri, struct tls_context **out, struct error *err)
{
    const struct tls_client_options *options = uri_tls(uri);
    *out = options == NULL ? NULL : tls_context_new_client(options, err);
    return options == NULL || *out != NULL;
}

struct session_settings *prepare_settings(struct config *config, const struct uri *uri,
                                          struct error *err)
{
    struct tls_context *server = NULL;
    struct tls_context *upstream = NULL;
    if (!make_server_tls(config, &server, err) || !make_upstream_tls(uri, &upstream, err)) {
        tls_context_release(server);
        config_release(config);
        return NULL;
    }
    struct session_settings *settings = session_settings_new(config, server, upstream);
    if (settings == NULL)
        (void)error_no_memory(err, "the settings");
    return settings;
}

/* --- the check ----------------------------------------------------------------------------------
 */

static void print_problem(bool *good, const char *problem)
{
    *good = false;
    (void)fprintf(stderr, "mongosluice: %s\n", problem);
}

static void print_schema_problem(void *arg, const char *path, const char *problem)
{
    *(bool *)arg = false;
    (void)fprintf(stderr, "mongosluice: %s: %s\n", path, problem);
}

static void print_certificate(void *arg, const struct admin_certificate *one, const char *warning)
{
    (void)arg;
    (void)fprintf(stderr, "mongosluice: warning: %s: %s: %s\n", one->option, one->file, warning);
}

static void warn_of_certificates(const struct session_settings *settings, const struct uri *uri)
{
    struct admin_certificates certificates;
    struct error ignored;
    struct admin_settings *admin = settings->config->admin.listen.host[0] == 0
                                       ? NULL
                                       : admin_settings_new(settings->config, &ignored);
    certificates_list(settings, admin, uri, &certificates);
    certificates_each_warning(&certificates, clock_wall_ms() / 1000, print_certificate, NULL);
    admin_settings_free(admin);
}

static void check_verifiers(const struct config *config, const struct uri *uri, bool *good)
{
    struct error err;
    bool away = false;
    if (!verifier_link_check(config, uri, &away, &err))
        print_problem(good, err.message);
    else if (away)
        (void)fprintf(stderr, "mongosluice: not checked: %s\n", err.message);
}

static void check_connection(struct config *config, bool *good)
{
    struct error err;
    struct uri *uri = prepare_uri(config, &err);
    if (uri == NULL) {
        print_problem(good, err.message);
        return;
    }
    if (uri_warning(uri) != NULL)
        (void)fprintf(stderr, "mongosluice: upstream: unused options: %s\n", uri_warning(uri));
    if (!own_upstream_check(config, uri, &err))
        print_problem(good, err.message);
    struct session_settings *settings = prepare_settings(config_retain(config), uri, &err);
    if (settings == NULL)
        print_problem(good, err.message);
    else
        warn_of_certificates(settings, uri);
    session_settings_release(settings);
    check_verifiers(config, uri, good);
    uri_free(uri);
}

static void check_admin(struct config *config, bool *good)
{
    struct error err;
    if (config->admin.listen.host[0] == 0)
        return;
    struct admin_settings *settings = admin_settings_new(config, &err);
    if (settings == NULL)
        print_problem(good, err.message);
    admin_settings_free(settings);
}

static bool can_write(const char *path)
{
    if (access(path, F_OK) == 0)
        return access(path, W_OK) == 0;
    char *copy = memory_copy_string(path);
    bool can = copy != NULL && access(dirname(copy), W_OK | X_OK) == 0;
    memory_free(copy);
    return can;
}

static void check_log(const struct config *config, bool *good)
{
    struct error err;
    if (config->log.file[0] == 0 || can_write(config->log.file))
        return;
    char reason[sizeof err.message];
    (void)snprintf(reason, sizeof reason, "cannot open %.300s for writing: %s", config->log.file,
                   strerror(errno));
    (void)config_refuse(config, "log.file", reason, &err);
    print_problem(good, err.message);
}

bool prepare_check(struct config *config)
{
    struct error err;
    bool good = true;
    check_connection(config, &good);
    check_admin(config, &good);
    check_log(config, &good);
    if (!registry_link_check(config, &err))
        print_problem(&good, err.message);
    if (!catalog_check(config->schemas, (size_t)config->schemas_memory_max, print_schema_problem,
                       &good, &err))
        print_problem(&good, err.message);
    return good;
}
