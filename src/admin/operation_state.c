#include "admin/operation_state.h"

#include "admin/context.h"
#include "metrics/exposition.h"
#include "session/observe.h"

static void read_reload(const struct admin *admin, struct admin_reload *out)
{
    admin->parts.hooks.reload(admin->parts.hooks.context, out);
}

void operation_write_reload(const struct admin *admin, const char *name, struct json *json)
{
    struct admin_reload reload;
    read_reload(admin, &reload);
    if (reload.at_ms == 0)
        return;
    json_open_object(json, name);
    json_add_int(json, "at_ms", reload.at_ms);
    json_add_bool(json, "ok", reload.good);
    json_add_string(json, "error", reload.error);
    json_open_array(json, "needs_restart");
    for (size_t i = 0; i < reload.restart_count; i++)
        json_add_string(json, NULL, reload.needs_restart[i]);
    json_close_array(json);
    json_close_object(json);
}

void operation_write_certificates(const struct admin *admin, struct json *json)
{
    struct admin_certificates certificates;
    admin->parts.hooks.certificates(admin->parts.hooks.context, &certificates);
    json_open_array(json, "certificates");
    for (size_t i = 0; i < certificates.count; i++) {
        const struct admin_certificate *one = &certificates.of[i];
        json_open_object(json, NULL);
        json_add_string(json, "option", one->option);
        json_add_string(json, "file", one->file);
        json_add_int(json, "valid_from_ms", one->validity.from_s * 1000);
        json_add_int(json, "valid_until_ms", one->validity.until_s * 1000);
        json_close_object(json);
    }
    json_close_array(json);
    json_add_string(json, "certificates_problem", certificates.problem);
}

/* --- metrics ------------------------------------------------------------------------------------
 */

static void add_reload(const struct admin *admin, struct text *out)
{
    struct admin_reload reload;
    read_reload(admin, &reload);
    exposition_single(out, "mongosluice_last_reload_successful", "gauge",
                      "1 if the last reload succeeded, or there was none.",
                      reload.at_ms == 0 || reload.good ? 1 : 0);
    exposition_single(out, "mongosluice_last_reload_timestamp_seconds", "gauge",
                      "Time of the last reload, since 1970; without one, the start.",
                      (double)(reload.at_ms == 0 ? admin->started_ms : reload.at_ms) / 1000);
    exposition_family(out, "mongosluice_reloads_total", "counter", "Reloads, by outcome.");
    exposition_count(out, "mongosluice_reloads_total",
                     (struct exposition_label){"outcome", "succeeded"}, reload.good_count);
    exposition_count(out, "mongosluice_reloads_total",
                     (struct exposition_label){"outcome", "failed"}, reload.failed_count);
}

static void add_certificates(const struct admin *admin, struct text *out)
{
    struct admin_certificates certificates;
    admin->parts.hooks.certificates(admin->parts.hooks.context, &certificates);
    exposition_family(out, "mongosluice_certificate_expiry_seconds", "gauge",
                      "End of the validity of a certificate that the proxy sends, since 1970.");
    for (size_t i = 0; i < certificates.count; i++)
        exposition_real(out, "mongosluice_certificate_expiry_seconds",
                        (struct exposition_label){"certificate", certificates.of[i].option},
                        (double)certificates.of[i].validity.until_s);
    exposition_family(out, "mongosluice_certificate_lifetime_seconds", "gauge",
                      "Length of this validity.");
    for (size_t i = 0; i < certificates.count; i++)
        exposition_real(
            out, "mongosluice_certificate_lifetime_seconds",
            (struct exposition_label){"certificate", certificates.of[i].option},
            (double)(certificates.of[i].validity.until_s - certificates.of[i].validity.from_s));
    exposition_single(out, "mongosluice_certificate_files_broken", "gauge",
                      "1 while changed certificate files have errors; the proxy uses the old ones.",
                      certificates.problem[0] != 0);
}

static uint64_t sum_failures(const struct admin *admin, size_t side, size_t failure)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        sum += atomic_load_explicit(
            &session_worker_metrics(admin->parts.workers[i])->tls_failures[side][failure],
            memory_order_relaxed);
    return sum;
}

static void add_tls_failures(const struct admin *admin, struct text *out)
{
    static const char *const sides[SESSION_TLS_SIDES] = {"client", "upstream"};
    exposition_family(out, "mongosluice_tls_handshake_failures_total", "counter",
                      "Failed TLS handshakes, by side and cause.");
    for (size_t side = 0; side < SESSION_TLS_SIDES; side++)
        for (size_t i = TRANSPORT_FAILURE_NONE + 1; i < TRANSPORT_FAILURES; i++) {
            const struct exposition_label labels[] = {
                {"side", sides[side]},
                {"cause", transport_failure_name((enum transport_failure)i)}};
            exposition_labelled(out, "mongosluice_tls_handshake_failures_total", labels, 2,
                                (double)sum_failures(admin, side, i));
        }
}

void operation_write_metrics(const struct admin *admin, struct text *out)
{
    add_reload(admin, out);
    add_certificates(admin, out);
    add_tls_failures(admin, out);
}
