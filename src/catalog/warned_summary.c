#include "catalog/warned_summary.h"

#include "base/json.h"
#include "base/log.h"

/* The namespaces with the most warnings, which the line names. */
enum { NAMED = 5, NAMES_BYTES = 2048 };

struct warned_namespace {
    const char *ns;
    uint64_t warned;
    uint64_t refused;
};

struct warned_period {
    uint64_t warned;
    uint64_t refused;
    uint64_t namespaces; /* with a warning */
    size_t named;
    struct warned_namespace most[NAMED]; /* sorted */
};

static void keep_most(struct warned_period *period, struct warned_namespace one)
{
    size_t at = period->named;
    while (at > 0 && period->most[at - 1].warned < one.warned)
        at--;
    if (at == NAMED)
        return;
    if (period->named < NAMED)
        period->named++;
    for (size_t i = period->named - 1; i > at; i--)
        period->most[i] = period->most[i - 1];
    period->most[at] = one;
}

static bool add_entry(void *arg, const struct registry_entry *entry)
{
    struct warned_period *period = arg;
    struct registry_stats *stats = entry->stats;
    uint64_t warned = atomic_load_explicit(&stats->counts[REGISTRY_WARNED], memory_order_relaxed);
    uint64_t refused =
        atomic_load_explicit(&stats->counts[REGISTRY_REFUSED], memory_order_relaxed) +
        atomic_load_explicit(&stats->counts[REGISTRY_UNPROVED_REJECTED], memory_order_relaxed);
    struct warned_namespace one = {entry->file.ns, warned - stats->warned_told,
                                   refused - stats->refused_told};
    stats->warned_told = warned;
    stats->refused_told = refused;
    period->warned += one.warned;
    period->refused += one.refused;
    period->namespaces += one.warned > 0;
    if (one.warned > 0)
        keep_most(period, one);
    return true;
}

static void write_most(const struct warned_period *period, struct text *out)
{
    struct json json = json_over(out);
    json_open_array(&json, NULL);
    for (size_t i = 0; i < period->named; i++) {
        json_open_object(&json, NULL);
        json_add_string(&json, "ns", period->most[i].ns);
        json_add_uint(&json, "warned", period->most[i].warned);
        json_add_uint(&json, "refused", period->most[i].refused);
        json_close_object(&json);
    }
    json_close_array(&json);
}

void warned_summary_log(const struct registry *registry, int64_t period_ms)
{
    struct warned_period period = {0};
    char names[NAMES_BYTES];
    struct text most = text_over(names, sizeof names);
    registry_each(registry, add_entry, &period);
    if (period.warned == 0)
        return;
    write_most(&period, &most);
    LOG_W(LOG_SCHEMA, 3011, "schemas", "Documents broke their schemas; the writes passed",
          LOG_INT("warned", (int64_t)period.warned), LOG_INT("refused", (int64_t)period.refused),
          LOG_INT("namespaces", (int64_t)period.namespaces), LOG_INT("periodMs", period_ms),
          most.cut ? LOG_STR("most", period.most[0].ns) : LOG_JSON("most", most.data));
}
