#include "admin/admin.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "admin/context.h"
#include "admin/endpoints.h"
#include "admin/figures.h"
#include "base/clock.h"
#include "base/host_port.h"
#include "base/log.h"
#include "base/memory.h"

enum { TICK_MS = 200, SAMPLE_MS = 1000 };

const char *admin_state_name(enum admin_state state)
{
    static const char *const names[] = {"running", "paused", "draining"};
    return names[state];
}

/* --- settings -----------------------------------------------------------------------------------
 */

void admin_settings_free(struct admin_settings *settings)
{
    if (settings == NULL)
        return;
    config_release(settings->config);
    tls_context_release(settings->tls);
    memory_free(settings);
}

bool admin_settings_validity(const struct admin_settings *settings, struct tls_validity *out)
{
    return tls_context_validity(settings->tls, out);
}

static bool read_files(struct admin_settings *settings, struct error *err)
{
    const struct config *config = settings->config;
    if (config->admin.token_file[0] != 0 &&
        !access_token_read(config->admin.token_file, &settings->token, err))
        return false;
    if (config->admin.tls_cert_file[0] == 0)
        return true;
    struct tls_server_options options = {.certificate_file = config->admin.tls_cert_file,
                                         .key_file = config->admin.tls_key_file,
                                         .min_version = TLS_VERSION_1_2};
    settings->tls = tls_context_new_server(&options, err);
    return settings->tls != NULL;
}

struct admin_settings *admin_settings_new(struct config *config, struct error *err)
{
    struct admin_settings *settings = memory_zalloc(sizeof *settings);
    if (settings == NULL) {
        (void)error_no_memory(err, "the admin endpoint");
        return NULL;
    }
    settings->config = config_retain(config);
    if (read_files(settings, err))
        return settings;
    admin_settings_free(settings);
    return NULL;
}

/* --- the thread ---------------------------------------------------------------------------------
 */

static void take_sample(struct admin *admin, int64_t now_ms)
{
    struct metrics_reading reading;
    figures_read(admin, &reading);
    samples_take(&admin->samples, &reading, clock_wall_ms());
    admin->sampled_ms = now_ms;
}

static void tick(void *context)
{
    struct admin *admin = context;
    int64_t now_ms = clock_now_ms();
    if (admin->http == NULL) /* stopped in this turn of the loop */
        return;
    http_server_tick(admin->http);
    if (now_ms - admin->sampled_ms >= SAMPLE_MS)
        take_sample(admin, now_ms);
}

static void drain(evutil_socket_t fd, short what, void *arg)
{
    struct admin *admin = arg;
    (void)fd;
    (void)what;
    admin->parts.hooks.drain(admin->parts.hooks.context);
}

static void apply_settings(void *context, void *arg)
{
    struct admin *admin = context;
    admin_settings_free(admin->settings);
    admin->settings = arg;
    http_server_set_tls(admin->http, tls_context_retain(admin->settings->tls));
}

void admin_set_settings(struct admin *admin, struct admin_settings *settings)
{
    if (worker_post(admin->worker, apply_settings, settings))
        return;
    admin_settings_free(settings);
    LOG_E(LOG_CONTROL, 1072, "admin", "Out of memory: the admin endpoint keeps its old settings");
}

static void stop(void *context)
{
    struct admin *admin = context;
    http_server_free(admin->http);
    admin->http = NULL;
    event_free(admin->drain_event);
    admin->drain_event = NULL;
}

static void destroy(struct admin *admin)
{
    admin_settings_free(admin->settings);
    memory_free(admin);
}

static void log_start(const struct admin *admin)
{
    const struct config *config = admin_config(admin);
    bool open = admin->settings->token.set;
    char address[HOST_PORT_BYTES];
    host_port_write(config->admin.listen.host, http_server_port(admin->http), address,
                    sizeof address);
    LOG_I(LOG_CONTROL, 1073, "admin", "The admin endpoint is listening",
          LOG_STR("address", address), LOG_BOOL("tls", admin->settings->tls != NULL),
          LOG_BOOL("token", open));
}

static bool prepare(struct admin *admin, struct error *err)
{
    struct worker_settings thread = {
        .name = "admin", .context = admin, .tick_ms = TICK_MS, .tick = tick, .stop = stop};
    const struct config_address *listen = &admin_config(admin)->admin.listen;
    if (!worker_create(&thread, &admin->worker, err))
        return false;
    struct event_base *base = worker_base(admin->worker);
    admin->drain_event = event_new(base, -1, 0, drain, admin);
    if (admin->drain_event == NULL)
        return error_no_memory(err, "the admin endpoint");
    admin->http = http_server_start(base, listen->host, listen->port, admin_handle, admin, err);
    if (admin->http == NULL)
        return false;
    http_server_set_tls(admin->http, tls_context_retain(admin->settings->tls));
    log_start(admin);
    return worker_run(admin->worker, err);
}

struct admin *admin_start(const struct admin_parts *parts, struct admin_settings *settings,
                          struct error *err)
{
    struct admin *admin = memory_zalloc(sizeof *admin);
    if (admin == NULL) {
        admin_settings_free(settings);
        (void)error_no_memory(err, "the admin endpoint");
        return NULL;
    }
    admin->parts = *parts;
    admin->settings = settings;
    admin->started_ms = clock_wall_ms();
    admin->started_clock_ms = clock_now_ms();
    if (prepare(admin, err))
        return admin;
    if (admin->http != NULL)
        http_server_free(admin->http);
    if (admin->drain_event != NULL)
        event_free(admin->drain_event);
    if (admin->worker != NULL)
        worker_destroy(admin->worker);
    destroy(admin);
    return NULL;
}

void admin_stop(struct admin *admin)
{
    if (admin == NULL)
        return;
    worker_stop(admin->worker);
    destroy(admin);
}
