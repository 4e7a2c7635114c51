#include "admin/version_figures.h"

#include <bson/bson.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

enum { ROWS_SHOWN = 100 };

static struct tally *tally_of(const struct admin *admin, unsigned worker)
{
    return session_worker_tally(admin->parts.workers[worker]);
}

void version_figures_sum(const struct admin *admin, const struct registry_entry *entry,
                         const struct schema_version *version, uint64_t counts[TALLY_COUNTS])
{
    memset(counts, 0, TALLY_COUNTS * sizeof *counts);
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        tally_sum(tally_of(admin, i), entry, version, counts);
}

/* --- all namespaces --- */

struct totalling {
    const struct admin *admin;
    struct version_totals *out;
};

static bool add_totals(void *arg, const struct registry_entry *entry)
{
    const struct totalling *walk = arg;
    const struct schema_file *file = &entry->file;
    uint64_t counts[TALLY_COUNTS];
    for (size_t i = 1; i < file->version_count; i++) {
        version_figures_sum(walk->admin, entry, &file->versions[i], counts);
        walk->out->older += counts[TALLY_PASSED];
    }
    if (file->candidate.schema == NULL)
        return true;
    walk->out->candidates++;
    version_figures_sum(walk->admin, entry, &file->candidate, counts);
    for (size_t i = 0; i < TALLY_COUNTS; i++)
        walk->out->tried[i] += counts[i];
    return true;
}

void version_figures_total(const struct admin *admin, const struct registry *registry,
                           struct version_totals *out)
{
    struct totalling walk = {admin, out};
    *out = (struct version_totals){0};
    registry_each(registry, add_totals, &walk);
}

/* --- one namespace --- */

static void write_head(const struct schema_version *version, struct json *json)
{
    json_add_string(json, "hash", version->hash);
    json_add_string(json, "name", version->name);
    json_add_string(json, "dialect", schema_dialect_names[version->dialect]);
}

static void write_bson(const char *name, struct bytes bytes, struct json *json)
{
    bson_t bson;
    char *text = bytes_left(&bytes) > 0 && bson_init_static(&bson, bytes.pos, bytes_left(&bytes))
                     ? bson_as_relaxed_extended_json(&bson, NULL)
                     : NULL;
    json_add_raw(json, name, text == NULL ? "null" : text);
    bson_free(text);
}

static void write_versions(const struct admin *admin, const struct registry_entry *entry,
                           bool whole, struct json *json)
{
    const struct schema_file *file = &entry->file;
    uint64_t passed[SCHEMA_VERSIONS_MAX];
    uint64_t counts[TALLY_COUNTS];
    uint32_t accepted =
        schema_versions_accepted(file->versions, file->version_count, clock_wall_ms());
    passed[0] = atomic_load(&entry->stats->counts[REGISTRY_PASSED]);
    for (size_t i = 1; i < file->version_count; i++) {
        version_figures_sum(admin, entry, &file->versions[i], counts);
        passed[i] = counts[TALLY_PASSED];
        passed[0] -= passed[i] < passed[0] ? passed[i] : passed[0];
    }
    json_open_array(json, "versions");
    for (size_t i = 0; i < file->version_count; i++) {
        const struct schema_version *version = &file->versions[i];
        json_open_object(json, NULL);
        write_head(version, json);
        json_add_bool(json, "accepted", (accepted >> i & 1) != 0);
        if (version->accepted_until_ms != 0)
            json_add_int(json, "accepted_until_ms", version->accepted_until_ms);
        else
            json_add_null(json, "accepted_until_ms");
        json_add_uint(json, "passed", passed[i]);
        if (whole)
            write_bson("schema", schema_source(version->schema), json);
        json_close_object(json);
    }
    json_close_array(json);
}

static void write_counts(const uint64_t counts[TALLY_COUNTS], struct json *json)
{
    json_add_uint(json, "passed", counts[TALLY_PASSED]);
    json_add_uint(json, "refused", counts[TALLY_REFUSED]);
    json_add_uint(json, "undecided", counts[TALLY_UNDECIDED]);
}

static void write_reason(const struct tally_reason *reason, struct json *json)
{
    json_add_string(json, "path", reason->path);
    json_add_string(json, "reason", reason->text[0] != 0 ? reason->text : NULL);
}

static void write_client(const struct tally_client *client, struct json *json)
{
    json_add_string(json, "application", client->application);
    json_add_string(json, "driver", client->driver);
}

/* The common fields of the rows in one list. */
struct grouping {
    const char *name;
    size_t offset; /* of the texts that must be equal, in struct tally_row … */
    size_t bytes;  /* … and their length */
    void (*write)(const struct tally_row *row, struct json *json);
};

static void write_by_reason(const struct tally_row *row, struct json *json)
{
    write_reason(&row->reason, json);
}

static void write_by_application(const struct tally_row *row, struct json *json)
{
    json_add_string(json, "application", row->client.application);
}

static void write_by_driver(const struct tally_row *row, struct json *json)
{
    json_add_string(json, "driver", row->client.driver);
}

static const struct grouping groupings[] = {
    {"by_reason", offsetof(struct tally_row, reason), sizeof(struct tally_reason), write_by_reason},
    {"by_application", offsetof(struct tally_row, client.application), TALLY_NAME_BYTES,
     write_by_application},
    {"by_driver", offsetof(struct tally_row, client.driver), TALLY_NAME_BYTES, write_by_driver},
};

struct group {
    const struct tally_row *row;
    uint64_t count;
};

static int compare_groups(const void *a, const void *b)
{
    const struct group *one = a;
    const struct group *other = b;
    return (one->count < other->count) - (one->count > other->count);
}

/* Returns at most as many groups as rows. */
static size_t group_rows(const struct tally_report *report, const struct grouping *by,
                         struct group *groups)
{
    size_t count = 0;
    for (size_t i = 0; i < report->row_count; i++) {
        const struct tally_row *row = &report->rows[i];
        size_t at = 0;
        while (at < count && memcmp((const char *)groups[at].row + by->offset,
                                    (const char *)row + by->offset, by->bytes) != 0)
            at++;
        if (at == count)
            groups[count++] = (struct group){row, 0};
        groups[at].count += row->count;
    }
    if (count > 1)
        qsort(groups, count, sizeof *groups, compare_groups);
    return count;
}

static void write_groups(const struct tally_report *report, struct json *json)
{
    struct group *groups = memory_array(report->row_count + 1, sizeof *groups);
    json->out->cut = json->out->cut || groups == NULL;
    for (size_t g = 0; groups != NULL && g < sizeof groupings / sizeof groupings[0]; g++) {
        size_t count = group_rows(report, &groupings[g], groups);
        json_open_array(json, groupings[g].name);
        for (size_t i = 0; i < count && i < ROWS_SHOWN; i++) {
            json_open_object(json, NULL);
            groupings[g].write(groups[i].row, json);
            json_add_uint(json, "count", groups[i].count);
            json_close_object(json);
        }
        json_close_array(json);
    }
    memory_free(groups);
}

static void write_rows(const struct tally_report *report, struct json *json)
{
    json_open_array(json, "rows");
    for (size_t i = 0; i < report->row_count && i < ROWS_SHOWN; i++) {
        json_open_object(json, NULL);
        write_reason(&report->rows[i].reason, json);
        write_client(&report->rows[i].client, json);
        json_add_uint(json, "count", report->rows[i].count);
        json_close_object(json);
    }
    json_close_array(json);
    json_add_uint(json, "rows_total", report->row_count);
    json_add_uint(json, "other", report->other);
}

static void write_samples(const struct tally_report *report, bool show_values, struct json *json)
{
    json_open_array(json, "samples");
    for (size_t i = 0; i < report->sample_count; i++) {
        const struct tally_sample *sample = &report->samples[i];
        json_open_object(json, NULL);
        json_add_int(json, "at_ms", sample->at_ms);
        write_reason(&sample->reason, json);
        write_client(&sample->client, json);
        if (show_values)
            write_bson("info", bytes_of(sample->info, sample->info_len), json);
        json_close_object(json);
    }
    json_close_array(json);
}

static void write_report(const struct admin *admin, const struct registry_entry *entry,
                         bool show_values, struct json *json)
{
    struct tally_report report = {0};
    for (unsigned i = 0; i < admin->parts.worker_count; i++)
        tally_report_add(&report, tally_of(admin, i), entry, &entry->file.candidate);
    tally_report_finish(&report);
    json->out->cut = json->out->cut || report.no_memory;
    write_counts(report.counts, json);
    write_groups(&report, json);
    write_rows(&report, json);
    write_samples(&report, show_values, json);
    tally_report_release(&report);
}

void version_figures_write(const struct admin *admin, const struct registry_entry *entry,
                           bool whole, bool show_values, struct json *json)
{
    const struct schema_version *candidate = &entry->file.candidate;
    uint64_t counts[TALLY_COUNTS];
    write_versions(admin, entry, whole, json);
    if (candidate->schema == NULL) {
        json_add_null(json, "candidate");
        return;
    }
    json_open_object(json, "candidate");
    write_head(candidate, json);
    if (whole) {
        write_report(admin, entry, show_values, json);
        write_bson("schema", schema_source(candidate->schema), json);
    } else {
        version_figures_sum(admin, entry, candidate, counts);
        write_counts(counts, json);
    }
    json_close_object(json);
}
