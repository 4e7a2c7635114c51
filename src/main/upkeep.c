#include "main/upkeep.h"

#include <stdio.h>

#include "admin/readiness.h"
#include "base/clock.h"
#include "main/notify.h"
#include "main/proxy_parts.h"
#include "main/reload.h"

enum {
    TICK_MS = 500,
    TICK_UNTIL_READY_MS = 50,
    UNREADY_REPORT_MS = 10000, /* a start may take this long without a warning */
    SELF_REPORT_MS = 2000,
    CERTIFICATES_LOOK_MS = 60000,
    CERTIFICATES_WARN_MS = 86400000
};

static void tell_status(const struct proxy *proxy, const char *unready)
{
    char status[512];
    const char *state = unready == NULL ? "Ready" : "Not ready: ";
    if (atomic_load(&proxy->draining))
        state = "Draining";
    else if (unready == NULL && atomic_load(&proxy->paused))
        state = "Paused";
    (void)snprintf(status, sizeof status, "%s%.200s%s%.200s", state,
                   unready == NULL || atomic_load(&proxy->draining) ? "" : unready,
                   proxy->reload.at_ms == 0 || proxy->reload.good ? ""
                                                                  : "; the last reload failed: ",
                   proxy->reload.error);
    notify_status(status);
}

static void report_unready(struct upkeep *upkeep, const char *reason)
{
    LOG_W(LOG_CONTROL, 1038, "control", "mongosluice is not ready", LOG_STR("reason", reason));
    upkeep->was_ready = false;
    upkeep->reported = true;
}

static void follow_readiness(struct proxy *proxy, int64_t now_ms)
{
    struct upkeep *upkeep = &proxy->upkeep;
    struct error err;
    bool ready = readiness_check(&proxy->parts, proxy->settings->config, &err);
    tell_status(proxy, ready ? NULL : err.message);
    if (atomic_load(&proxy->draining))
        return;
    bool late = now_ms - proxy->shared.started_ms >= UNREADY_REPORT_MS;
    if (ready && !upkeep->was_ready) {
        LOG_I(LOG_CONTROL, 1034, "control", "mongosluice is ready");
        upkeep->was_ready = true;
        upkeep->reported = false;
    } else if (!ready && !upkeep->reported && (upkeep->was_ready || late)) {
        report_unready(upkeep, err.message);
    }
}

static void look_at_validity(struct proxy *proxy, int64_t now_ms)
{
    struct upkeep *upkeep = &proxy->upkeep;
    if (now_ms - upkeep->looked_ms < CERTIFICATES_LOOK_MS)
        return;
    upkeep->looked_ms = now_ms;
    unsigned count = certificates_count_warnings(&proxy->certificates, clock_wall_ms() / 1000);
    if (count == upkeep->warned_count && now_ms - upkeep->warned_ms < CERTIFICATES_WARN_MS)
        return;
    reload_warn_of_certificates(proxy);
}

static void tell_watchdog(struct proxy *proxy, int64_t now_ms)
{
    struct error ignored;
    if (notify_watchdog_ms() == 0 || now_ms - proxy->upkeep.alive_ms < notify_watchdog_ms() ||
        !readiness_is_alive(&proxy->parts, proxy->shared.started_ms, &ignored))
        return;
    proxy->upkeep.alive_ms = now_ms;
    notify_alive();
}

/* Some time after the start, so that other servers of the set can answer. */
static bool has_only_itself(const struct proxy *proxy, int64_t now_ms)
{
    return atomic_load(&proxy->shared.leads_to_itself) && !proxy->upkeep.was_ready &&
           !proxy->upkeep.reported && now_ms - proxy->shared.started_ms >= SELF_REPORT_MS;
}

int upkeep_tick(struct proxy *proxy)
{
    int64_t now_ms = clock_now_ms();
    int wait_ms = TICK_MS;
    reload_watch_certificates(proxy);
    look_at_validity(proxy, now_ms);
    follow_readiness(proxy, now_ms);
    tell_watchdog(proxy, now_ms);
    if (has_only_itself(proxy, now_ms))
        return -1;
    if (!proxy->upkeep.was_ready && !proxy->upkeep.reported)
        wait_ms = TICK_UNTIL_READY_MS;
    if (notify_watchdog_ms() > 0 && notify_watchdog_ms() < wait_ms)
        wait_ms = (int)notify_watchdog_ms();
    return wait_ms;
}
