#include "audit/audit_count.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "enforce/reason.h"

enum { IDS_BYTES_MAX = 1 << 20 };

void audit_count_release(struct audit_count *count)
{
    for (size_t i = 0; i < count->reason_count; i++)
        memory_free(count->reasons[i].ids);
    memory_free(count->reasons);
    *count = (struct audit_count){0};
}

static int compare_reasons(const void *a, const void *b)
{
    uint64_t x = ((const struct audit_reason *)a)->count;
    uint64_t y = ((const struct audit_reason *)b)->count;
    return (x < y) - (x > y);
}

void audit_count_sort(struct audit_count *count)
{
    if (count->reason_count > 1)
        qsort(count->reasons, count->reason_count, sizeof *count->reasons, compare_reasons);
}

/* --- reasons --- */

static struct audit_reason *find_reason(struct audit_count *count,
                                        const struct tally_reason *reason)
{
    for (size_t i = 0; i < count->reason_count; i++)
        if (strcmp(count->reasons[i].path, reason->path) == 0 &&
            strcmp(count->reasons[i].text, reason->text) == 0)
            return &count->reasons[i];
    if (count->reasons == NULL)
        count->reasons = memory_array(AUDIT_REASONS_MAX, sizeof *count->reasons);
    if (count->reasons == NULL || count->reason_count == AUDIT_REASONS_MAX)
        return NULL;
    struct audit_reason *one = &count->reasons[count->reason_count++];
    *one = (struct audit_reason){0};
    memcpy(one->path, reason->path, sizeof one->path);
    memcpy(one->text, reason->text, sizeof one->text);
    return one;
}

static bool keep_ids(struct audit_reason *reason, struct bytes ids)
{
    uint8_t *copy = memory_alloc(bytes_left(&ids));
    if (copy == NULL)
        return false;
    memcpy(copy, ids.pos, bytes_left(&ids));
    memory_free(reason->ids);
    reason->ids = copy;
    reason->ids_len = bytes_left(&ids);
    return true;
}

/* Adds the document's _id to those that are kept. */
static bool add_id(struct audit_reason *reason, struct bytes document)
{
    struct build build;
    struct bytes ids;
    struct scan scan;
    struct scan_element id;
    char key[BUILD_KEY_BYTES + 1] = "";
    if (reason->id_count == AUDIT_IDS_MAX || !scan_find(document, "_id", &id))
        return true;
    build_begin(&build, IDS_BYTES_MAX);
    struct scan_element kept;
    if (reason->ids != NULL && scan_open(&scan, bytes_of(reason->ids, reason->ids_len)))
        while (scan_next(&scan, &kept))
            build_value(&build, kept.name, kept.kind, kept.value);
    key[build_key(reason->id_count, key)] = 0;
    build_value(&build, key, id.kind, id.value);
    bool ok = !build_finish(&build, &ids) || keep_ids(reason, ids); /* too long: left out */
    build_free(&build);
    reason->id_count++;
    return ok;
}

static bool count_reason(struct audit_count *count, const struct tally_reason *reason,
                         struct bytes document)
{
    struct audit_reason *one = find_reason(count, reason);
    if (one == NULL) {
        count->other++;
        return count->reasons != NULL;
    }
    one->count++;
    return add_id(one, document);
}

bool audit_count_restore(struct audit_count *count, const char *path, const char *text,
                         uint64_t documents, struct bytes ids)
{
    struct tally_reason reason = {0};
    struct scan scan;
    struct scan_element id;
    if (strlen(path) >= sizeof reason.path || strlen(text) >= sizeof reason.text)
        return false;
    memcpy(reason.path, path, strlen(path));
    memcpy(reason.text, text, strlen(text));
    struct audit_reason *one = find_reason(count, &reason);
    if (one == NULL || one->count != 0)
        return false;
    one->count = documents;
    (void)scan_open(&scan, ids);
    while (scan_next(&scan, &id))
        one->id_count++;
    return one->id_count <= AUDIT_IDS_MAX && keep_ids(one, ids);
}

/* --- documents --- */

/* Finds the reason of the refusal by the newest schema. */
static bool find_reason_of(const struct schema *schema, struct schema_scratch *scratch,
                           struct bytes document, enum schema_verdict verdict,
                           const struct error *why, struct tally_reason *reason, struct error *err)
{
    struct build build;
    struct bytes info;
    if (verdict == SCHEMA_INVALID) {
        bool explained = schema_explain(schema, scratch, document, &build, &info, err);
        if (explained)
            reason_write_first(info, reason);
        build_free(&build);
        return explained;
    }
    (void)snprintf(reason->text, sizeof reason->text, "%s: %.200s",
                   verdict == SCHEMA_MALFORMED ? "malformed" : "cut off", why->message);
    return true;
}

bool audit_count_document(struct audit_count *count, const struct audit_schemas *schemas,
                          struct schema_scratch *scratch, struct bytes document, struct error *err)
{
    struct error why = {0};
    struct tally_reason reason = {0};
    count->documents++;
    enum schema_verdict verdict = schema_check(schemas->schemas[0], scratch, document, &why);
    if (__builtin_expect(verdict == SCHEMA_VALID, 1))
        return true;
    for (size_t i = 1; i < schemas->count; i++)
        if (schema_check(schemas->schemas[i], scratch, document, NULL) == SCHEMA_VALID)
            return true;
    count->broken++;
    err->code = ERROR_NONE;
    if (find_reason_of(schemas->schemas[0], scratch, document, verdict, &why, &reason, err) &&
        !count_reason(count, &reason, document))
        (void)error_no_memory(err, "the reasons of an audit");
    return false;
}
