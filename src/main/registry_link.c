#include "main/registry_link.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void rescan(void *arg)
{
    catalog_rescan(arg);
}

static bool is_in_force(void *arg, const char *ns, const char *hash)
{
    struct registry *registry = catalog_registry(arg);
    const struct registry_entry *entry = registry_find(registry, ns, strlen(ns));
    bool same = entry != NULL && strcmp(entry->file.versions[0].hash, hash) == 0;
    registry_release(registry);
    return same;
}

/* HOST:PORT, or HOST/PID for any free port: two proxies on a machine have two names. */
static void write_name(const struct config *config, char *out, size_t size)
{
    char host[200] = "?";
    if (gethostname(host, sizeof host - 1) != 0)
        (void)snprintf(host, sizeof host, "?");
    if (config->listen.port != 0)
        (void)snprintf(out, size, "%s:%u", host, config->listen.port);
    else
        (void)snprintf(out, size, "%s/%ld", host, (long)getpid());
}

static bool has_own_uri(const struct config *config)
{
    return config->schemas_registry_uri[0] != 0;
}

static struct uri *own_uri(const struct config *config, struct error *err)
{
    struct uri *uri = uri_parse(config->schemas_registry_uri, err);
    if (uri == NULL)
        (void)config_refuse(config, "schemas_registry_uri", err->message, err);
    return uri;
}

bool registry_link_start(const struct config *config, const struct uri *upstream,
                         struct catalog *catalog, struct fleet_follower **out, struct error *err)
{
    char name[256];
    *out = NULL;
    if (config->schemas_registry[0] == 0)
        return true;
    struct uri *own = has_own_uri(config) ? own_uri(config, err) : NULL;
    if (has_own_uri(config) && own == NULL)
        return false;
    write_name(config, name, sizeof name);
    struct fleet_follow_settings settings = {.uri = own != NULL ? own : upstream,
                                             .registry = config->schemas_registry,
                                             .folder = config->schemas,
                                             .name = name,
                                             .version = SLUICE_VERSION,
                                             .period_ms = config->schemas_registry_period_ms,
                                             .changed = rescan,
                                             .in_force = is_in_force,
                                             .arg = catalog};
    *out = fleet_follow(&settings, err);
    uri_free(own);
    return *out != NULL;
}

bool registry_link_check(const struct config *config, struct error *err)
{
    if (config->schemas_registry[0] == 0 || !has_own_uri(config))
        return true;
    struct uri *uri = own_uri(config, err);
    uri_free(uri);
    return uri != NULL;
}
