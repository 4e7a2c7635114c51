#include "enforce/judge.h"

#include "base/memory.h"
#include "base/namespace.h"
#include "bson/validate.h"
#include "enforce/reason.h"
#include "wire/sections.h"

#define REFUSED_MESSAGE  "Document failed validation"
#define UNPROVED_MESSAGE "Document cannot be validated before the write, as this namespace requires"

/* MongoDB's longest namespace is 255 bytes. */
enum { NS_BYTES = 512, ID_HEAD_BYTES = 5 };

static const uint8_t some_object_id[12];

static const char buckets_prefix[] = "system.buckets.";
enum { BUCKETS_PREFIX = sizeof buckets_prefix - 1 };

static const struct registry_entry *find_in_force(const struct registry *registry, const char *ns,
                                                  size_t len)
{
    const struct registry_entry *entry = registry_find(registry, ns, len);
    return entry == NULL || entry->file.level == SCHEMA_LEVEL_OFF ? NULL : entry;
}

struct judge_target judge_find(const struct registry *registry, struct bytes database,
                               struct bytes collection)
{
    char ns[NS_BYTES];
    size_t ns_len = namespace_join(database, collection, ns, sizeof ns);
    size_t len = bytes_left(&collection);
    struct judge_target target = {NULL, false};
    if (ns_len == 0)
        return target;
    char *name = ns + ns_len - len;
    target.entry = find_in_force(registry, ns, ns_len);
    if (target.entry != NULL || len <= BUCKETS_PREFIX ||
        memcmp(name, buckets_prefix, BUCKETS_PREFIX) != 0)
        return target;
    memmove(name, name + BUCKETS_PREFIX, len - BUCKETS_PREFIX);
    target.entry = find_in_force(registry, ns, ns_len - BUCKETS_PREFIX);
    target.buckets = target.entry != NULL;
    return target;
}

struct judge_target judge_find_namespace(const struct registry *registry, struct bytes ns)
{
    struct bytes database;
    struct bytes collection;
    if (!namespace_split(ns, &database, &collection))
        return (struct judge_target){NULL, false};
    return judge_find(registry, database, collection);
}

/* --- counting --- */

static uint64_t now(const struct judge *judge)
{
    const struct enforce_observer *observer = judge->observer;
    return observer == NULL || observer->now_ns == NULL ? 0 : observer->now_ns(observer->arg);
}

void judge_pause(struct judge *judge)
{
    if (judge->entry != NULL)
        judge->counts[REGISTRY_CHECK_NS] += now(judge) - judge->since_ns;
}

void judge_resume(struct judge *judge)
{
    judge->since_ns = judge->entry == NULL ? 0 : now(judge);
}

/* The number of versions that are accepted now. */
static uint32_t accepted_versions(const struct judge *judge)
{
    const struct enforce_observer *observer = judge->observer;
    const struct schema_file *file = &judge->entry->file;
    int64_t now_ms = 0;
    if (file->limited && observer != NULL && observer->wall_ms != NULL)
        now_ms = observer->wall_ms(observer->arg);
    return schema_versions_accepted(file->versions, file->version_count, now_ms);
}

static void enter_versions(struct judge *judge)
{
    const struct enforce_observer *observer = judge->observer;
    const struct schema_file *file = &judge->entry->file;
    bool tallies = observer != NULL && observer->tally != NULL;
    judge->tries = tallies && file->candidate.schema != NULL;
    judge->accepted = file->version_count == 1 ? 1 : accepted_versions(judge);
    unsigned others = (unsigned)file->version_count - 1 + judge->tries;
    if (others > 0) {
        memset(judge->older, 0, sizeof judge->older);
        memset(judge->tried, 0, sizeof judge->tried);
        judge->explain_ns = 0;
        judge->unexplained = 0;
    }
    if (others > judge->others) {
        struct schema_allowance one =
            schema_allowance_of(bytes_left(&judge->command->parsed->payload));
        judge->other.work += (others - judge->others) * one.work;
        judge->other.steps += (others - judge->others) * one.steps;
        judge->others = others;
    }
}

static void leave_versions(struct judge *judge)
{
    const struct enforce_observer *observer = judge->observer;
    const struct schema_file *file = &judge->entry->file;
    if (observer == NULL || observer->tally == NULL)
        return;
    for (size_t i = 1; i < file->version_count; i++)
        tally_add(observer->tally, judge->entry, &file->versions[i], TALLY_PASSED, judge->older[i]);
    if (!judge->tries)
        return;
    for (size_t i = 0; i < TALLY_COUNTS; i++)
        tally_add(observer->tally, judge->entry, &file->candidate, (enum tally_count)i,
                  judge->tried[i]);
    tally_refuse_unexplained(observer->tally, judge->entry, &file->candidate, observer->writer,
                             judge->unexplained);
    tally_earn(observer->tally, judge->counts[REGISTRY_CHECK_NS], judge->explain_ns);
}

void judge_leave(struct judge *judge)
{
    judge_pause(judge);
    if (judge->entry == NULL)
        return;
    for (size_t i = 0; i < REGISTRY_COUNTS; i++)
        registry_count_add(judge->entry, (enum registry_count)i, judge->counts[i]);
    leave_versions(judge);
    judge->entry = NULL;
}

void judge_enter(struct judge *judge, const struct registry_entry *entry)
{
    if (judge->entry == entry)
        return;
    judge_leave(judge);
    judge->entry = entry;
    memset(judge->counts, 0, sizeof judge->counts);
    judge_resume(judge);
    if (entry != NULL)
        enter_versions(judge);
}

void judge_enter_target(struct judge *judge, struct judge_target target, bool opaque)
{
    static const struct judge_reason packed = {
        .text = "the documents of a time series are packed in buckets and not known"};
    static const struct judge_reason changed = {
        .text = "the server changes the documents of this command before it stores them"};
    judge_enter(judge, target.entry);
    judge->opaque = target.buckets ? &packed : opaque ? &changed : NULL;
}

static bool may_bypass(const struct judge *judge)
{
    return judge->bypass && judge->entry->file.allow_bypass;
}

bool judge_bypasses(struct judge *judge)
{
    bool bypasses = may_bypass(judge);
    judge->counts[REGISTRY_BYPASSED] += bypasses;
    return bypasses;
}

bool judge_looks(const struct judge *judge)
{
    return judge->opaque == NULL && !may_bypass(judge);
}

/* --- refusing --- */

/* Memory for the client's answer counts for the observer. */
static bool hold(struct judge *judge)
{
    const struct enforce_observer *observer = judge->observer;
    size_t bytes = refusals_room_bytes(judge->refusals);
    if (observer == NULL || observer->take == NULL || bytes == judge->held_bytes)
        return true;
    if (!observer->take(observer->arg, bytes - judge->held_bytes))
        return error_set(judge->err, ERROR_EXCEEDED_MEMORY_LIMIT,
                         "no room to keep %zu bytes about refused documents: the proxy's message "
                         "buffers are at their limit (option memory_max)",
                         bytes);
    judge->held_bytes = bytes;
    return true;
}

static enum judged add(struct judge *judge, const struct refusal_text *text)
{
    return refusals_add(judge->refusals, text, judge->err) && hold(judge) ? JUDGED_REFUSED
                                                                          : JUDGED_FAILED;
}

/* Reports a refusal, and notes it unless the namespace only warns. `count` is its outcome. */
static enum judged refuse(struct judge *judge, uint32_t index, enum registry_count count,
                          const char *message, struct bytes info)
{
    char reason[REGISTRY_REASON_BYTES];
    bool warned = judge->entry->file.action == SCHEMA_ACTION_WARN;
    if (judge->observer != NULL) {
        reason_write(info, reason);
        judge->observer->refused(judge->observer->arg, judge->entry, warned, judge->silent, reason,
                                 info);
    }
    if (warned) {
        judge->counts[REGISTRY_WARNED]++;
        return JUDGED_PASS;
    }
    judge->counts[count]++;
    judge->counts[REGISTRY_DROPPED] += judge->silent;
    return add(judge, &(struct refusal_text){.index = index,
                                             .code = ERROR_DOCUMENT_VALIDATION_FAILURE,
                                             .update = judge->update,
                                             .message = message,
                                             .info = info});
}

bool judge_write_reason(const struct judge_reason *why, const struct scan_element *id,
                        struct build *out, struct bytes *info)
{
    build_begin(out, SCHEMA_ERRINFO_MAX);
    if (id != NULL)
        build_value(out, "failingDocumentId", id->kind, id->value);
    build_open_object(out, "details");
    build_text(out, "operatorName", "$jsonSchema");
    if (why->operator_name != NULL)
        build_text(out, "updateOperator", why->operator_name);
    if (why->path != NULL)
        build_text(out, "path", why->path);
    build_text(out, "reason", why->text);
    build_close(out);
    return build_finish(out, info);
}

static enum judged refuse_with(struct judge *judge, uint32_t index, enum registry_count count,
                               const char *message, const struct judge_reason *why,
                               const struct scan_element *id)
{
    struct build build;
    struct bytes info = {0};
    if (!judge_write_reason(why, id, &build, &info))
        info = (struct bytes){0};
    enum judged judged = refuse(judge, index, count, message, info);
    build_free(&build);
    return judged;
}

enum judged judge_refuse_form(struct judge *judge, uint32_t index, int code, const char *message)
{
    const struct refusal_text text = {
        .index = index, .code = code, .update = judge->update, .message = message};
    if (judge->entry->file.action == SCHEMA_ACTION_WARN)
        return JUDGED_PASS; /* the server reports it itself */
    return add(judge, &text);
}

enum judged judge_refuse_info(struct judge *judge, uint32_t index, struct bytes info)
{
    return refuse(judge, index, REGISTRY_REFUSED, REFUSED_MESSAGE, info);
}

enum judged judge_refuse(struct judge *judge, uint32_t index, const struct judge_reason *why,
                         const struct scan_element *id)
{
    return refuse_with(judge, index, REGISTRY_REFUSED, REFUSED_MESSAGE, why, id);
}

enum judged judge_unproved(struct judge *judge, uint32_t index, const struct judge_reason *why,
                           const struct scan_element *id)
{
    if (!judge->entry->file.reject_unproved) {
        judge->counts[REGISTRY_UNPROVED_ALLOWED]++;
        return JUDGED_PASS;
    }
    return refuse_with(judge, index, REGISTRY_UNPROVED_REJECTED, UNPROVED_MESSAGE, why, id);
}

enum judged judge_unknown(struct judge *judge, uint32_t index, const struct judge_reason *why,
                          const struct scan_element *id)
{
    enum judged judged = judge_unproved(judge, index, why, id);
    judge->tried[TALLY_UNDECIDED] += judge->tries && judged == JUDGED_PASS;
    return judged;
}

/* --- versions --- */

void judge_begin_other(struct judge *judge)
{
    schema_scratch_allow(judge->scratch, &judge->other);
    schema_scratch_begin(judge->scratch);
    judge->other_before = judge->other;
}

void judge_end_other(struct judge *judge, size_t bytes)
{
    const struct schema_allowance *before = &judge->other_before;
    judge->other_ns +=
        JUDGE_NS + bytes / JUDGE_BYTES_A_NS +
        (size_t)(before->work - judge->other.work + before->steps - judge->other.steps) *
            JUDGE_STEP_NS;
    schema_scratch_allow(judge->scratch, judge->allowance);
}

static enum schema_verdict check_other(struct judge *judge, const struct schema *schema,
                                       struct bytes document)
{
    struct error err;
    judge_begin_other(judge);
    enum schema_verdict verdict = schema_check(schema, judge->scratch, document, &err);
    judge_end_other(judge, bytes_left(&document));
    return verdict;
}

/* The verdict on a document that the newest version refuses. */
static enum schema_verdict check_older(struct judge *judge, struct bytes document,
                                       enum schema_verdict newest)
{
    const struct schema_file *file = &judge->entry->file;
    for (size_t i = 1; i < file->version_count; i++) {
        if ((judge->accepted >> i & 1) == 0 ||
            check_other(judge, file->versions[i].schema, document) != SCHEMA_VALID)
            continue;
        judge->older[i]++;
        return SCHEMA_VALID;
    }
    return newest;
}

static enum schema_verdict check_versions(struct judge *judge, struct bytes document)
{
    enum schema_verdict verdict =
        schema_check(schema_file_newest(&judge->entry->file), judge->scratch, document, judge->err);
    return judge->accepted == 1 || verdict == SCHEMA_VALID || verdict == SCHEMA_MALFORMED
               ? verdict
               : check_older(judge, document, verdict);
}

/* --- documents --- */

static bool begins_with_id(struct bytes document)
{
    return bytes_left(&document) > ID_HEAD_BYTES + 3 &&
           memcmp(document.pos + ID_HEAD_BYTES, "_id", 4) == 0;
}

bool judge_lacks_id(struct bytes document)
{
    struct scan_element id;
    return !begins_with_id(document) && !scan_find(document, "_id", &id);
}

/* The document with an `_id` in front, as the server stores it; the caller calls memory_free. */
static uint8_t *add_id(struct bytes document, const struct scan_element *id, struct bytes *out)
{
    struct bytes value = id != NULL ? id->value : bytes_of(some_object_id, sizeof some_object_id);
    size_t value_len = bytes_left(&value);
    size_t len = bytes_left(&document) + 1 + 4 + value_len;
    uint8_t *copy = len > INT32_MAX ? NULL : memory_alloc(len);
    if (copy == NULL)
        return NULL;
    bytes_store_i32(copy, (int32_t)len);
    copy[4] = id != NULL ? id->kind : (uint8_t)BSON_KIND_OBJECT_ID;
    memcpy(copy + 5, "_id", 4);
    memcpy(copy + 9, value.pos, value_len);
    memcpy(copy + 9 + value_len, document.pos + 4, bytes_left(&document) - 4);
    *out = bytes_of(copy, len);
    return copy;
}

static enum schema_verdict no_memory(struct judge *judge)
{
    (void)error_no_memory(judge->err, "the check of a document");
    return SCHEMA_MALFORMED;
}

static enum schema_verdict verdict_with_id(struct judge *judge, struct bytes document,
                                           const struct scan_element *id)
{
    struct bytes whole;
    uint8_t *copy = add_id(document, id, &whole);
    if (copy == NULL)
        return no_memory(judge);
    enum schema_verdict verdict = check_versions(judge, whole);
    memory_free(copy);
    /* the offset in the error must refer to the original document */
    if (verdict == SCHEMA_MALFORMED)
        (void)validate_document(document, judge->err);
    return verdict;
}

enum schema_verdict judge_verdict(struct judge *judge, struct bytes document,
                                  const struct scan_element *id)
{
    return judge_lacks_id(document) ? verdict_with_id(judge, document, id)
                                    : check_versions(judge, document);
}

enum schema_verdict judge_verdict_other(struct judge *judge, const struct schema *schema,
                                        struct bytes document, const struct scan_element *id)
{
    struct bytes whole = document;
    uint8_t *copy = NULL;
    if (judge_lacks_id(document)) {
        copy = add_id(document, id, &whole);
        if (copy == NULL)
            return SCHEMA_CUT_OFF;
    }
    enum schema_verdict verdict = check_other(judge, schema, whole);
    memory_free(copy);
    return verdict;
}

/* Writes errInfo without the assumed _id. */
static bool leave_out_id(struct bytes info, struct build *out, struct bytes *rest)
{
    struct scan scan;
    struct scan_element field;
    build_begin(out, SCHEMA_ERRINFO_MAX);
    (void)scan_open(&scan, info);
    while (scan_next(&scan, &field))
        if (!scan_name_is(&field, "failingDocumentId"))
            build_value(out, field.name, field.kind, field.value);
    return build_finish(out, rest);
}

struct bytes judge_explain(struct judge *judge, const struct schema *schema, struct bytes document,
                           const struct scan_element *id, struct build *first, struct build *second)
{
    struct bytes info = {0};
    struct bytes whole = document;
    bool added = judge_lacks_id(document);
    uint8_t *copy = added ? add_id(document, id, &whole) : NULL;
    build_begin(second, SCHEMA_ERRINFO_MAX);
    if (added && copy == NULL) {
        build_begin(first, SCHEMA_ERRINFO_MAX);
        return info;
    }
    bool ok = schema_explain(schema, judge->scratch, whole, first, &info, NULL);
    if (ok && added && id == NULL) {
        build_free(second);
        ok = leave_out_id(info, second, &info);
    }
    memory_free(copy);
    return ok ? info : (struct bytes){0};
}

enum judged judge_document_refused(struct judge *judge, uint32_t index, struct bytes document,
                                   const struct scan_element *id)
{
    struct build first;
    struct build second;
    struct bytes info = judge_explain(judge, schema_file_newest(&judge->entry->file), document, id,
                                      &first, &second);
    enum judged judged = refuse(judge, index, REGISTRY_REFUSED, REFUSED_MESSAGE, info);
    build_free(&first);
    build_free(&second);
    return judged;
}

enum judged judge_document_cut_off(struct judge *judge, uint32_t index, struct bytes document)
{
    struct scan_element id;
    char message[sizeof judge->err->message];
    memcpy(message, judge->err->message, sizeof message);
    const struct judge_reason why = {.text = message};
    return refuse_with(judge, index, REGISTRY_REFUSED, message, &why,
                       scan_find(document, "_id", &id) ? &id : NULL);
}

static enum judged judge_known(struct judge *judge, uint32_t index, struct bytes document)
{
    switch (judge_verdict(judge, document, NULL)) {
    case SCHEMA_VALID:
        judge->counts[REGISTRY_PASSED]++;
        judge->validated = true;
        return JUDGED_PASS;
    case SCHEMA_INVALID:
        return judge_document_refused(judge, index, document, NULL);
    case SCHEMA_CUT_OFF:
        return judge_document_cut_off(judge, index, document);
    case SCHEMA_MALFORMED:
        break;
    }
    return JUDGED_FAILED;
}

enum judged judge_insert(struct judge *judge, uint32_t index, struct bytes document)
{
    bool bypasses = judge_bypasses(judge);
    judge->validated = false;
    if (!bypasses && judge->opaque == NULL)
        return judge_known(judge, index, document);
    judge->validated = validate_document(document, judge->err);
    if (!judge->validated)
        return JUDGED_FAILED;
    return bypasses ? JUDGED_PASS : judge_unknown(judge, index, judge->opaque, NULL);
}
