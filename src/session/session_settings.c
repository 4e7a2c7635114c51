#include "session/session_settings.h"

#include "base/memory.h"

static _Atomic uint64_t last_number = 0;

static void drop_parts(struct config *config, struct tls_context *server_tls,
                       struct tls_context *upstream_tls)
{
    config_release(config);
    tls_context_release(server_tls);
    tls_context_release(upstream_tls);
}

struct session_settings *session_settings_new(struct config *config, struct tls_context *server_tls,
                                              struct tls_context *upstream_tls)
{
    struct session_settings *settings = memory_zalloc(sizeof *settings);
    if (settings == NULL) {
        drop_parts(config, server_tls, upstream_tls);
        return NULL;
    }
    atomic_init(&settings->references, 1);
    settings->number = atomic_fetch_add(&last_number, 1) + 1;
    settings->config = config;
    settings->server_tls = server_tls;
    settings->upstream_tls = upstream_tls;
    return settings;
}

struct session_settings *session_settings_retain(struct session_settings *settings)
{
    atomic_fetch_add_explicit(&settings->references, 1, memory_order_relaxed);
    return settings;
}

void session_settings_release(struct session_settings *settings)
{
    if (settings == NULL ||
        atomic_fetch_sub_explicit(&settings->references, 1, memory_order_acq_rel) != 1)
        return;
    drop_parts(settings->config, settings->server_tls, settings->upstream_tls);
    memory_free(settings);
}
