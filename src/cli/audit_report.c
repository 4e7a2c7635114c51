#include "cli/audit_report.h"

#include <bson/bson.h>
#include <inttypes.h>

#include "cli/extended_json.h"

/* --- text --- */

static void add_ids(const struct audit_reason *reason, struct text *out)
{
    struct scan scan;
    struct scan_element id;
    if (reason->ids == NULL)
        return;
    text_add(out, "      _id");
    (void)scan_open(&scan, bytes_of(reason->ids, reason->ids_len));
    for (const char *between = ": "; scan_next(&scan, &id); between = ", ") {
        char *json = extended_json_of_value(&id);
        text_add(out, between);
        text_add(out, json == NULL ? "?" : json);
        bson_free(json);
    }
    text_add(out, reason->count > reason->id_count ? ", …\n" : "\n");
}

static void add_bound_text(void *arg, const struct audit_bound *bound)
{
    struct text *out = arg;
    struct scan_element file;
    struct scan_element stored;
    if (!scan_find(bound->value, "file", &file) || !scan_find(bound->value, "stored", &stored))
        return;
    char *before = extended_json_of_value(&file);
    char *after = extended_json_of_value(&stored);
    text_format(out, "  %s: the file says %s, the documents need %s%s\n", bound->path,
                before == NULL ? "?" : before, after == NULL ? "?" : after,
                bound->looser ? " (documents break it)" : "");
    bson_free(before);
    bson_free(after);
}

void audit_report_text(const struct audit_result *result, struct text *out)
{
    const struct audit_count *count = result->count;
    if (result->error != NULL) {
        text_format(out, "%s: error: %s\n", result->ns, result->error);
        return;
    }
    text_format(out, "%s: %" PRIu64 " documents, %" PRIu64 " break the schema%s%s\n", result->ns,
                count->documents, count->broken, result->note == NULL ? "" : ": ",
                result->note == NULL ? "" : result->note);
    for (size_t i = 0; i < count->reason_count; i++) {
        const struct audit_reason *reason = &count->reasons[i];
        text_format(out, "  %8" PRIu64 "  %s%s%s\n", reason->count, reason->path,
                    reason->path[0] == 0 ? "" : ": ", reason->text);
        add_ids(reason, out);
    }
    if (count->other > 0)
        text_format(out, "  %8" PRIu64 "  for other reasons\n", count->other);
    if (result->bounds != NULL && count->documents > 0)
        (void)audit_bounds_each(result->bounds, add_bound_text, out);
}

/* --- JSON --- */

static void add_reason_json(const struct audit_reason *reason, struct json *out)
{
    struct scan scan;
    struct scan_element id;
    json_open_object(out, NULL);
    json_add_string(out, "reason", reason->text);
    json_add_string(out, "path", reason->path);
    json_add_uint(out, "count", reason->count);
    json_open_array(out, "ids");
    if (reason->ids != NULL && scan_open(&scan, bytes_of(reason->ids, reason->ids_len))) {
        while (scan_next(&scan, &id)) {
            char *json = extended_json_of_value(&id);
            if (json != NULL)
                json_add_raw(out, NULL, json);
            bson_free(json);
        }
    }
    json_close_array(out);
    json_close_object(out);
}

static void add_bound_json(void *arg, const struct audit_bound *bound)
{
    struct json *out = arg;
    struct scan scan;
    struct scan_element value;
    json_open_object(out, NULL);
    json_add_string(out, "path", bound->path);
    json_add_string(out, "keyword", bound->keyword);
    (void)scan_open(&scan, bound->value);
    while (scan_next(&scan, &value)) {
        char *json = extended_json_of_value(&value);
        if (json != NULL)
            json_add_raw(out, value.name, json);
        bson_free(json);
    }
    json_add_bool(out, "broken", bound->looser);
    json_close_object(out);
}

void audit_report_json(const struct audit_result *result, struct json *out)
{
    const struct audit_count *count = result->count;
    json_open_object(out, NULL);
    json_add_string(out, "ns", result->ns);
    if (result->error != NULL)
        json_add_string(out, "error", result->error);
    if (result->note != NULL)
        json_add_string(out, "note", result->note);
    json_add_uint(out, "documents", count->documents);
    json_add_uint(out, "broken", count->broken);
    json_add_uint(out, "other", count->other);
    json_add_real(out, "seconds", result->seconds, 3);
    json_open_array(out, "reasons");
    for (size_t i = 0; i < count->reason_count; i++)
        add_reason_json(&count->reasons[i], out);
    json_close_array(out);
    if (result->bounds != NULL && result->error == NULL && count->documents > 0) {
        json_open_array(out, "proposals");
        (void)audit_bounds_each(result->bounds, add_bound_json, out);
        json_close_array(out);
    }
    json_close_object(out);
}

/* --- progress --- */

void audit_report_progress(const char *ns, uint64_t documents, uint64_t total, double seconds,
                           uint64_t before, struct text *out)
{
    double rate = seconds > 0 ? (double)(documents - before) / seconds : 0;
    text_format(out, "%s: %" PRIu64, ns, documents);
    if (total > 0)
        text_format(out, " of about %" PRIu64 " documents (%d%%)", total,
                    documents >= total ? 100 : (int)(documents * 100 / total));
    else
        text_add(out, " documents");
    text_format(out, ", %.0f/s", rate);
    if (total > documents && rate > 0) {
        int64_t left = (int64_t)((double)(total - documents) / rate);
        text_format(out, ", %" PRId64 ":%02" PRId64 " left", left / 60, left % 60);
    }
}
