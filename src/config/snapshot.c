/* A snapshot in use: its references, and values that depend on several options. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "config/origin.h"
#include "config/value.h"

struct config *config_retain(struct config *config)
{
    atomic_fetch_add_explicit(&config->origin->references, 1, memory_order_relaxed);
    return config;
}

void config_release(struct config *config)
{
    if (config == NULL ||
        atomic_fetch_sub_explicit(&config->origin->references, 1, memory_order_acq_rel) != 1)
        return;
    settings_release(&config->origin->flags);
    settings_release(&config->origin->effective);
    memory_free(config->merge_namespaces);
    memory_free(config->origin->file);
    memory_free(config->origin);
    memory_free(config);
}

int64_t config_default_number(const char *name)
{
    const struct option *option = options_find(name);
    struct config scratch = {0};
    char fallback[32];
    int64_t number = 0;
    (void)snprintf(fallback, sizeof fallback, "%s", option->fallback);
    (void)value_parse(option, fallback, &scratch);
    memcpy(&number, (const char *)&scratch + option->at, sizeof number);
    return number;
}

void config_unix_socket_path(const struct config *config, uint16_t port, char *out, size_t size)
{
    const char *prefix = config->unix_domain_socket.path_prefix;
    size_t prefix_len = strlen(prefix);
    while (prefix_len > 1 && prefix[prefix_len - 1] == '/')
        prefix_len--;
    out[0] = '\0';
    if (*prefix != '\0')
        (void)snprintf(out, size, "%.*s/mongodb-%u.sock", (int)prefix_len, prefix, port);
}

unsigned config_unix_socket_mode(const struct config *config)
{
    static const unsigned modes[] = {
        [CONFIG_OWNER] = 0700, [CONFIG_GROUP] = 0770, [CONFIG_EVERYONE] = 0777};
    return modes[config->unix_domain_socket.file_permissions];
}
