#include "admin/registry_state.h"

#include "admin/context.h"
#include "base/clock.h"
#include "metrics/exposition.h"

static bool read_status(const struct admin *admin, struct fleet_status *out)
{
    const struct admin_hooks *hooks = &admin->parts.hooks;
    return hooks->fleet(hooks->context, out);
}

static int64_t age_ms(const struct fleet_status *status)
{
    int64_t age = clock_wall_ms() - status->contact_ms;
    return age > 0 ? age : 0;
}

void registry_write(const struct admin *admin, const char *name, struct json *json)
{
    struct fleet_status status;
    if (!read_status(admin, &status))
        return;
    json_open_object(json, name);
    json_add_string(json, "name", status.registry);
    json_add_string(json, "mode", fleet_mode_names[status.mode]);
    json_add_bool(json, "loaded", status.loaded);
    json_add_string(json, "error", status.error);
    json_add_string(json, "trouble", status.trouble);
    if (status.contact_ms != 0)
        json_add_int(json, "contact_ms_ago", age_ms(&status));
    else
        json_add_null(json, "contact_ms_ago");
    if (status.lag_ms >= 0)
        json_add_int(json, "lag_ms", status.lag_ms);
    else
        json_add_null(json, "lag_ms");
    json_add_uint(json, "namespaces", status.namespaces);
    json_add_uint(json, "changes", status.changes);
    json_add_uint(json, "errors", status.errors);
    json_add_uint(json, "problem_count", status.problem_count);
    json_open_array(json, "problems");
    for (size_t i = 0; i < status.shown; i++) {
        json_open_object(json, NULL);
        json_add_string(json, "ns", status.problems[i].ns);
        json_add_string(json, "reason", status.problems[i].reason);
        json_close_object(json);
    }
    json_close_array(json);
    json_close_object(json);
}

/* Without a registry, the families are named without a sample. */
static void add_gauge(struct text *out, const char *name, const char *help, bool known,
                      double value)
{
    exposition_family(out, name, "gauge", help);
    if (known)
        exposition_real(out, name, (struct exposition_label){0}, value);
}

static void add_total(struct text *out, const char *name, const char *help, bool known,
                      uint64_t value)
{
    exposition_family(out, name, "counter", help);
    if (known)
        exposition_count(out, name, (struct exposition_label){0}, value);
}

void registry_write_metrics(const struct admin *admin, struct text *out)
{
    struct fleet_status status = {0};
    bool followed = read_status(admin, &status);
    add_gauge(out, "mongosluice_schema_registry_up", "1 while the schema registry answers.",
              followed, status.mode != FLEET_AWAY);
    add_gauge(out, "mongosluice_schema_registry_age_seconds",
              "Age of the last answer of the schema registry.", followed && status.contact_ms != 0,
              (double)age_ms(&status) / 1000);
    add_gauge(out, "mongosluice_schema_registry_lag_seconds",
              "Time from the push of the last change to its enforcement.",
              followed && status.lag_ms >= 0, (double)status.lag_ms / 1000);
    add_gauge(out, "mongosluice_schema_registry_namespaces",
              "Namespaces with a schema from the registry.", followed, (double)status.namespaces);
    add_gauge(out, "mongosluice_schema_registry_problems",
              "Namespaces whose document in the registry is missing or has errors.", followed,
              (double)status.problem_count);
    add_total(out, "mongosluice_schema_registry_changes_total",
              "Schema files that the registry wrote or removed.", followed, status.changes);
    add_total(out, "mongosluice_schema_registry_errors_total",
              "Failures of the registry, or of the folder that it writes to.", followed,
              status.errors);
}
