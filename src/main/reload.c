#include "main/reload.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_sample.h"
#include "main/notify.h"
#include "main/prepare.h"
#include "main/proxy_parts.h"
#include "main/registry_link.h"
#include "main/tracing_link.h"

/* --- what follows the settings ------------------------------------------------------------------
 */

void reload_apply_shared(struct proxy *proxy)
{
    const struct config *config = proxy->settings->config;
    atomic_store(&proxy->shared.budget.limit_bytes, (size_t)config->memory_max);
    retry_table_set_cap(proxy->shared.retries, (size_t)config->merge_retry_table_bytes);
    atomic_store(&proxy->stats_period_ms, config->stats_period_ms);
    atomic_store(&proxy->sample_period_ms, config->log.sample_period_ms);
    log_sample_configure(config->log.sample_first, config->log.sample_period_ms);
}

bool reload_start_follower(struct proxy *proxy, struct error *err)
{
    struct fleet_follower *follower = NULL;
    if (!registry_link_start(proxy->settings->config, proxy->uri, proxy->catalog, &follower, err))
        return false;
    pthread_mutex_lock(&proxy->lock);
    proxy->follower = follower;
    pthread_mutex_unlock(&proxy->lock);
    return true;
}

void reload_stop_follower(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    struct fleet_follower *follower = proxy->follower;
    proxy->follower = NULL;
    pthread_mutex_unlock(&proxy->lock);
    fleet_follower_stop(follower);
}

/* The registry writes into the current folder. */
static void follow_into_folder(struct proxy *proxy, bool moved)
{
    struct error err;
    if (!moved || proxy->settings->config->schemas_registry[0] == 0)
        return;
    reload_stop_follower(proxy);
    if (!reload_start_follower(proxy, &err))
        LOG_E(LOG_SCHEMA, 3008, "schemas", "The proxy no longer follows the registry of schemas",
              LOG_STR("error", err.message));
}

/* --- certificates -------------------------------------------------------------------------------
 */

static void log_warning(void *arg, const struct admin_certificate *one, const char *warning)
{
    (void)arg;
    LOG_W(LOG_CONTROL, 1059, "control", "A certificate is not valid, or not for long",
          LOG_STR("option", one->option), LOG_STR("file", one->file), LOG_STR("warning", warning));
}

void reload_warn_of_certificates(struct proxy *proxy)
{
    int64_t now_s = clock_wall_ms() / 1000;
    certificates_each_warning(&proxy->certificates, now_s, log_warning, NULL);
    proxy->upkeep.warned_count = certificates_count_warnings(&proxy->certificates, now_s);
    proxy->upkeep.warned_ms = clock_now_ms();
}

void reload_note_certificates(struct proxy *proxy, const struct admin_settings *admin)
{
    pthread_mutex_lock(&proxy->lock);
    certificates_list(proxy->settings, admin, proxy->uri, &proxy->certificates);
    proxy->certificates.problem[0] = 0;
    pthread_mutex_unlock(&proxy->lock);
    reload_warn_of_certificates(proxy);
}

/* Takes over both. */
static void apply_settings(struct proxy *proxy, struct session_settings *settings,
                           struct admin_settings *admin)
{
    struct error err;
    if (!tracing_link_configure(proxy->shared.exporter, settings->config, &err))
        LOG_E(LOG_CONTROL, 6003, "control", "The options of tracing stay unchanged",
              LOG_STR("error", err.message));
    for (unsigned i = 0; i < proxy->worker_count; i++)
        session_worker_set_settings(proxy->workers[i], settings);
    session_settings_release(proxy->settings);
    proxy->settings = settings;
    reload_note_certificates(proxy, admin);
    if (admin != NULL)
        admin_set_settings(proxy->admin, admin);
}

/* Reads the files that the configuration names. Takes over the reference of config. */
static bool read_settings(struct proxy *proxy, struct config *config,
                          struct session_settings **settings, struct admin_settings **admin,
                          struct error *err)
{
    *admin = NULL;
    *settings = prepare_settings(config, proxy->uri, err);
    if (*settings == NULL)
        return false;
    if (proxy->admin == NULL)
        return true;
    *admin = admin_settings_new((*settings)->config, err);
    if (*admin != NULL)
        return true;
    session_settings_release(*settings);
    *settings = NULL;
    return false;
}

static void note_problem(struct proxy *proxy, const char *problem)
{
    pthread_mutex_lock(&proxy->lock);
    (void)snprintf(proxy->certificates.problem, sizeof proxy->certificates.problem, "%s", problem);
    pthread_mutex_unlock(&proxy->lock);
}

void reload_watch_certificates(struct proxy *proxy)
{
    struct session_settings *settings = NULL;
    struct admin_settings *admin = NULL;
    struct error err;
    if (!certificate_watch_is_due(&proxy->watch, clock_now_ms()))
        return;
    if (read_settings(proxy, config_retain(proxy->settings->config), &settings, &admin, &err)) {
        apply_settings(proxy, settings, admin);
        if (certificate_watch_note_applied(&proxy->watch))
            LOG_I(LOG_CONTROL, 1063, "control", "The proxy uses the changed certificate files");
        return;
    }
    if (!certificate_watch_should_report(&proxy->watch))
        return;
    note_problem(proxy, err.message);
    LOG_W(LOG_CONTROL, 1064, "control",
          "Changed certificate files have errors; the proxy uses the old certificates",
          LOG_STR("error", err.message));
}

/* --- the configuration --------------------------------------------------------------------------
 */

static void note_outcome(struct proxy *proxy, const struct config_changes *ignored,
                         const char *error)
{
    struct admin_reload *reload = &proxy->reload;
    pthread_mutex_lock(&proxy->lock);
    reload->at_ms = clock_wall_ms();
    reload->good = error == NULL;
    (void)snprintf(reload->error, sizeof reload->error, "%s", error == NULL ? "" : error);
    if (reload->good)
        reload->good_count++;
    else
        reload->failed_count++;
    if (reload->good) {
        reload->restart_count = ignored->count;
        memcpy(reload->needs_restart, ignored->names, sizeof reload->needs_restart);
    }
    pthread_mutex_unlock(&proxy->lock);
}

/* A rotated file is released even if the configuration has errors. */
static void reopen_log(const struct config *config)
{
    struct error err;
    if (!log_open_file(config->log.file, config->log.format, config->log.level, &err))
        LOG_E(LOG_CONTROL, 1065, "control", "Cannot reopen the log; the old file stays in use",
              LOG_STR("error", err.message));
}

static bool follow_folder(struct proxy *proxy, struct error *err)
{
    if (catalog_set_folder(proxy->catalog, proxy->settings->config->schemas, err))
        return true;
    LOG_E(LOG_SCHEMA, 3007, "schemas", "The folder of schemas stays unchanged",
          LOG_STR("error", err->message));
    return false;
}

static bool run(struct proxy *proxy, struct config_changes *ignored, struct error *err)
{
    struct config *config = NULL;
    struct session_settings *settings = NULL;
    struct admin_settings *admin = NULL;
    struct certificate_watch watch;
    reopen_log(proxy->settings->config);
    if (!config_reload(proxy->settings->config, &config, ignored, err))
        return false;
    certificate_watch_begin(&watch, config, proxy->uri);
    if (!read_settings(proxy, config, &settings, &admin, err))
        return false;
    config = settings->config;
    if (!log_open_file(config->log.file, config->log.format, config->log.level, err)) {
        session_settings_release(settings);
        admin_settings_free(admin);
        return false;
    }
    for (size_t i = 0; i < ignored->count; i++)
        LOG_W(LOG_CONTROL, 1031, "control", "This option changes only with a restart",
              LOG_STR("option", ignored->names[i]));
    bool moved = strcmp(proxy->settings->config->schemas, config->schemas) != 0;
    proxy->watch = watch;
    apply_settings(proxy, settings, admin);
    bool good = follow_folder(proxy, err);
    follow_into_folder(proxy, moved);
    reload_apply_shared(proxy);
    return good;
}

void reload_run(struct proxy *proxy)
{
    struct config_changes ignored = {0};
    struct error err = {0};
    notify_reloading();
    bool good = run(proxy, &ignored, &err);
    note_outcome(proxy, &ignored, good ? NULL : err.message);
    if (good)
        LOG_I(LOG_CONTROL, 1032, "control", "Reloaded");
    else
        LOG_E(LOG_CONTROL, 1030, "control", "Reload failed; the configuration stays unchanged",
              LOG_STR("error", err.message));
    notify_reloaded();
}
