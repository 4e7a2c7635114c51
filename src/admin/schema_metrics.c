#include "admin/schema_metrics.h"

#include <string.h>

#include "admin/figures.h"
#include "admin/registry_state.h"
#include "admin/version_figures.h"
#include "metrics/exposition.h"

static const struct {
    enum registry_count count;
    const char *name;
} outcomes[] = {
    {REGISTRY_PASSED, "passed"},
    {REGISTRY_REFUSED, "refused"},
    {REGISTRY_WARNED, "warned"},
    {REGISTRY_BYPASSED, "bypassed"},
    {REGISTRY_UNPROVED_ALLOWED, "unproved_allowed"},
    {REGISTRY_UNPROVED_REJECTED, "unproved_rejected"},
};

/* Visits the schemas for one family: schemas with their own samples, and the sum of the rest. */
struct schema_walk {
    struct text *out;
    void (*add)(struct text *out, const char *schema, const uint64_t counts[REGISTRY_COUNTS]);
    uint64_t rest[REGISTRY_COUNTS];
    uint64_t left; /* the number of further own samples */
    bool has_rest;
};

static bool walk_schema(void *arg, const struct registry_entry *entry)
{
    struct schema_walk *walk = arg;
    uint64_t counts[REGISTRY_COUNTS];
    for (size_t i = 0; i < REGISTRY_COUNTS; i++)
        counts[i] = atomic_load_explicit(&entry->stats->counts[i], memory_order_relaxed);
    if (walk->left > 0) {
        walk->left--;
        walk->add(walk->out, entry->file.ns, counts);
        return true;
    }
    walk->has_rest = true;
    for (size_t i = 0; i < REGISTRY_COUNTS; i++)
        walk->rest[i] += counts[i];
    return true;
}

static void walk_schemas(const struct admin *admin, const struct registry *registry,
                         void (*add)(struct text *out, const char *schema,
                                     const uint64_t counts[REGISTRY_COUNTS]),
                         struct text *out)
{
    struct schema_walk walk = {
        .out = out, .add = add, .left = (uint64_t)admin_config(admin)->admin.metrics_schemas_max};
    registry_each(registry, walk_schema, &walk);
    if (walk.has_rest)
        add(out, "other", walk.rest);
}

static void add_outcomes(struct text *out, const char *schema,
                         const uint64_t counts[REGISTRY_COUNTS])
{
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        struct exposition_label labels[] = {{"schema", schema}, {"outcome", outcomes[i].name}};
        exposition_labelled(out, "mongosluice_documents_total", labels, 2,
                            (double)counts[outcomes[i].count]);
    }
}

static void add_dropped(struct text *out, const char *schema,
                        const uint64_t counts[REGISTRY_COUNTS])
{
    exposition_count(out, "mongosluice_documents_dropped_total",
                     (struct exposition_label){"schema", schema}, counts[REGISTRY_DROPPED]);
}

static void add_seconds(struct text *out, const char *schema,
                        const uint64_t counts[REGISTRY_COUNTS])
{
    exposition_real(out, "mongosluice_validation_seconds_total",
                    (struct exposition_label){"schema", schema},
                    (double)counts[REGISTRY_CHECK_NS] / 1e9);
}

/* --- versions of schemas --- */

/* Visits the namespaces of one family, like struct schema_walk. */
struct version_walk {
    const struct admin *admin;
    struct text *out;
    void (*add)(struct text *out, const char *schema, const uint64_t counts[TALLY_COUNTS]);
    bool (*sum)(const struct admin *admin, const struct registry_entry *entry,
                uint64_t counts[TALLY_COUNTS]);
    uint64_t rest[TALLY_COUNTS];
    uint64_t left;
    bool has_rest;
};

static bool sum_candidate(const struct admin *admin, const struct registry_entry *entry,
                          uint64_t counts[TALLY_COUNTS])
{
    const struct schema_version *candidate = &entry->file.candidate;
    if (candidate->schema == NULL)
        return false;
    version_figures_sum(admin, entry, candidate, counts);
    return true;
}

static bool sum_older(const struct admin *admin, const struct registry_entry *entry,
                      uint64_t counts[TALLY_COUNTS])
{
    uint64_t one[TALLY_COUNTS];
    memset(counts, 0, TALLY_COUNTS * sizeof *counts);
    for (size_t i = 1; i < entry->file.version_count; i++) {
        version_figures_sum(admin, entry, &entry->file.versions[i], one);
        counts[TALLY_PASSED] += one[TALLY_PASSED];
    }
    return entry->file.version_count > 1;
}

static bool walk_version(void *arg, const struct registry_entry *entry)
{
    struct version_walk *walk = arg;
    uint64_t counts[TALLY_COUNTS];
    if (!walk->sum(walk->admin, entry, counts))
        return true;
    if (walk->left > 0) {
        walk->left--;
        walk->add(walk->out, entry->file.ns, counts);
        return true;
    }
    walk->has_rest = true;
    for (size_t i = 0; i < TALLY_COUNTS; i++)
        walk->rest[i] += counts[i];
    return true;
}

static void walk_versions(struct version_walk walk, const struct registry *registry)
{
    walk.left = (uint64_t)admin_config(walk.admin)->admin.metrics_schemas_max;
    registry_each(registry, walk_version, &walk);
    if (walk.has_rest)
        walk.add(walk.out, "other", walk.rest);
}

static void add_older(struct text *out, const char *schema, const uint64_t counts[TALLY_COUNTS])
{
    exposition_count(out, "mongosluice_older_version_documents_total",
                     (struct exposition_label){"schema", schema}, counts[TALLY_PASSED]);
}

static void add_tried(struct text *out, const char *schema, const uint64_t counts[TALLY_COUNTS])
{
    static const char *const names[TALLY_COUNTS] = {"passed", "refused", "undecided"};
    for (size_t i = 0; i < TALLY_COUNTS; i++) {
        struct exposition_label labels[] = {{"schema", schema}, {"outcome", names[i]}};
        exposition_labelled(out, "mongosluice_candidate_documents_total", labels, 2,
                            (double)counts[i]);
    }
}

static void add_versions(const struct admin *admin, const struct registry *registry,
                         struct text *out)
{
    exposition_family(out, "mongosluice_older_version_documents_total", "counter",
                      "Documents that only an older accepted version of the schema accepts.");
    walk_versions(
        (struct version_walk){.admin = admin, .out = out, .add = add_older, .sum = sum_older},
        registry);
    exposition_family(out, "mongosluice_candidate_documents_total", "counter",
                      "Documents (or statements of updates) checked against a candidate schema, by "
                      "outcome. A candidate refuses nothing.");
    walk_versions(
        (struct version_walk){.admin = admin, .out = out, .add = add_tried, .sum = sum_candidate},
        registry);
}

void schema_metrics_write(const struct admin *admin, struct text *out)
{
    struct registry *registry = admin_schemas(admin);
    exposition_single(out, "mongosluice_schemas", "gauge",
                      "Namespaces with a schema, of any level and action.",
                      (double)registry_size(registry));
    exposition_single(out, "mongosluice_schema_files_broken", "gauge",
                      "Schema files with errors; the proxy keeps their last good state.",
                      (double)catalog_broken(admin->parts.catalog));
    registry_write_metrics(admin, out);
    exposition_family(
        out, "mongosluice_documents_total", "counter",
        "Documents (or statements of updates) of namespaces with a schema; each has one "
        "outcome. A warned one breaks its schema and was written; an unproved one is an "
        "update whose result the proxy cannot know.");
    walk_schemas(admin, registry, add_outcomes, out);
    exposition_family(
        out, "mongosluice_documents_dropped_total", "counter",
        "Refused documents of w:0 writes, also counted as refused or unproved_rejected: "
        "no client was told.");
    walk_schemas(admin, registry, add_dropped, out);
    exposition_family(out, "mongosluice_validation_seconds_total", "counter",
                      "Time spent on checking documents.");
    walk_schemas(admin, registry, add_seconds, out);
    add_versions(admin, registry, out);
    registry_release(registry);
}
