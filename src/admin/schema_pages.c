/* /schemas: the enforced schemas, the refusals, and, if allowed, changes of schemas. */
#include "admin/schema_pages.h"
#include "admin/version_figures.h"

#include <bson/bson.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "admin/pages.h"
#include "base/log.h"
#include "base/memory.h"
#include "catalog/schema_store.h"
#include "schema/file.h"

enum {
    PAGE = 200,
    PAGE_MAX = 1000,
    PROBLEMS_SHOWN = 50,
    NEWEST_MAX = 16,
    NEWEST_SCHEMAS_MAX = 200 /* schemas with refusals that are searched for the newest ones */
};

/* --- writing JSON -------------------------------------------------------------------------------
 */

static void add_bson(struct json *json, const char *name, const uint8_t *data, size_t len)
{
    bson_t bson;
    char *value =
        bson_init_static(&bson, data, len) ? bson_as_relaxed_extended_json(&bson, NULL) : NULL;
    json_add_raw(json, name, value == NULL ? "null" : value);
    bson_free(value);
}

static void add_counts(const struct registry_entry *entry, struct json *json)
{
    static const char *const names[REGISTRY_COUNTS] = {
        [REGISTRY_PASSED] = "passed",
        [REGISTRY_REFUSED] = "refused",
        [REGISTRY_DROPPED] = "dropped",
        [REGISTRY_WARNED] = "warned",
        [REGISTRY_BYPASSED] = "bypassed",
        [REGISTRY_UNPROVED_ALLOWED] = "unproved_allowed",
        [REGISTRY_UNPROVED_REJECTED] = "unproved_rejected",
        [REGISTRY_CHECK_NS] = "check_ns",
    };
    json_open_object(json, "counts");
    for (size_t i = 0; i < REGISTRY_COUNTS; i++)
        json_add_uint(json, names[i],
                      atomic_load_explicit(&entry->stats->counts[i], memory_order_relaxed));
    json_close_object(json);
}

/* Counts and settings, as members of an object. */
static void add_summary(const struct admin *admin, const struct registry_entry *entry, bool whole,
                        struct json *json)
{
    const struct schema_file *file = &entry->file;
    json_add_string(json, "ns", file->ns);
    json_add_string(json, "hash", file->versions[0].hash);
    json_add_string(json, "dialect", schema_dialect_names[file->versions[0].dialect]);
    json_add_string(json, "level", schema_level_names[file->level]);
    json_add_string(json, "action", schema_action_names[file->action]);
    json_add_string(json, "unproved", file->reject_unproved ? "reject" : "allow");
    json_add_bool(json, "allow_bypass", file->allow_bypass);
    json_add_string(json, "origin", entry->origin == REGISTRY_FILE ? "file" : "collection");
    json_add_string(json, "source", entry->source);
    add_counts(entry, json);
    version_figures_write(admin, entry, whole,
                          admin_config(admin)->admin.show_values == CONFIG_TRUE, json);
}

/* Writes errInfo only if values may be shown. `ns` may be NULL to omit it. */
static void add_refusal(const struct registry_refusal *refusal, const char *ns, bool show_values,
                        struct json *json)
{
    json_open_object(json, NULL);
    if (ns != NULL)
        json_add_string(json, "ns", ns);
    json_add_uint(json, "number", refusal->number);
    json_add_int(json, "at_ms", refusal->at_ms);
    json_add_bool(json, "warned", refusal->warned);
    json_add_string(json, "reason", refusal->reason);
    if (show_values)
        add_bson(json, "info", refusal->info, refusal->info == NULL ? 0 : refusal->info_len);
    json_close_object(json);
}

static void free_infos(struct registry_refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memory_free(refusals[i].info);
}

/* --- the newest of all --------------------------------------------------------------------------
 */

struct newest {
    struct registry_refusal refusals[NEWEST_MAX]; /* newest first; their infos are owned */
    const char *ns[NEWEST_MAX];
    size_t count;
    size_t limit;
    unsigned looked_at;
};

/* Takes over its info. */
static void keep_newest(struct newest *newest, const struct registry_refusal *refusal,
                        const char *ns)
{
    size_t at = newest->count;
    if (at == newest->limit) {
        if (newest->refusals[at - 1].at_ms >= refusal->at_ms) {
            memory_free(refusal->info);
            return;
        }
        memory_free(newest->refusals[--at].info);
        newest->count--;
    }
    for (; at > 0 && newest->refusals[at - 1].at_ms < refusal->at_ms; at--) {
        newest->refusals[at] = newest->refusals[at - 1];
        newest->ns[at] = newest->ns[at - 1];
    }
    newest->refusals[at] = *refusal;
    newest->ns[at] = ns;
    newest->count++;
}

static bool look_for_newest(void *arg, const struct registry_entry *entry)
{
    struct newest *newest = arg;
    struct registry_refusal last[REGISTRY_REFUSALS_KEPT];
    const _Atomic uint64_t *counts = entry->stats->counts;
    if (atomic_load(&counts[REGISTRY_REFUSED]) == 0 && atomic_load(&counts[REGISTRY_WARNED]) == 0 &&
        atomic_load(&counts[REGISTRY_UNPROVED_REJECTED]) == 0)
        return true;
    size_t count = registry_last_refusals(entry, last);
    for (size_t i = 0; i < count; i++)
        keep_newest(newest, &last[i], entry->file.ns);
    return ++newest->looked_at < NEWEST_SCHEMAS_MAX;
}

void schema_write_newest_refusals(const struct registry *registry, size_t limit, bool show_values,
                                  const char *name, struct json *json)
{
    struct newest newest = {.limit = limit < NEWEST_MAX ? limit : NEWEST_MAX};
    registry_each(registry, look_for_newest, &newest);
    json_open_array(json, name);
    for (size_t i = 0; i < newest.count; i++)
        add_refusal(&newest.refusals[i], newest.ns[i], show_values, json);
    json_close_array(json);
    free_infos(newest.refusals, newest.count);
}

/* --- reading ------------------------------------------------------------------------------------
 */

struct page {
    const struct admin *admin;
    struct json *json;
    const char *after;
    uint64_t left;
    const char *last; /* NULL: nothing yet */
    bool more;
};

static bool add_to_page(void *arg, const struct registry_entry *entry)
{
    struct page *page = arg;
    if (page->after != NULL && strcmp(entry->file.ns, page->after) <= 0)
        return true;
    page->more = page->left == 0;
    if (page->more)
        return false;
    json_break_line(page->json);
    json_open_object(page->json, NULL);
    add_summary(page->admin, entry, false, page->json);
    json_close_object(page->json);
    page->last = entry->file.ns;
    page->left--;
    return true;
}

void schema_write_left_out(const struct registry *registry, size_t limit, struct json *json)
{
    size_t count = 0;
    const struct registry_left_out *left_out = registry_left_out(registry, &count);
    json_open_array(json, "left_out");
    for (size_t i = 0; i < count && i < limit; i++) {
        json_open_object(json, NULL);
        json_add_string(json, "ns", left_out[i].ns);
        json_add_string(json, "reason", left_out[i].reason);
        json_close_object(json);
    }
    json_close_array(json);
    json_add_uint(json, "left_out_total", count);
}

void admin_schemas_list(struct admin *admin, const struct admin_request *request)
{
    struct text body = text_growing();
    uint64_t limit = PAGE;
    if (!admin_query_number(request, "limit", PAGE_MAX, &limit) || limit == 0) {
        http_send_error(request->http, 400, "limit is a number from 1 to 1000");
        return;
    }
    struct registry *registry = admin_schemas(admin);
    struct json json = json_over(&body);
    struct page page = {.admin = admin,
                        .json = &json,
                        .after = evhttp_find_header(&request->query, "after"),
                        .left = limit};
    json_open_object(&json, NULL);
    json_open_array(&json, "schemas");
    registry_each(registry, add_to_page, &page);
    json_break_line(&json);
    json_close_array(&json);
    json_add_uint(&json, "total", registry_size(registry));
    schema_write_left_out(registry, PAGE_MAX, &json);
    json_add_string(&json, "next", page.more ? page.last : NULL);
    json_close_object(&json);
    registry_release(registry);
    http_send_json(request->http, 200, &body);
}

static void write_whole(const struct admin *admin, const struct registry_entry *entry,
                        struct text *out)
{
    bool show_values = admin_config(admin)->admin.show_values == CONFIG_TRUE;
    struct registry_refusal last[REGISTRY_REFUSALS_KEPT];
    size_t count = registry_last_refusals(entry, last);
    struct json json = json_over(out);
    json_open_object(&json, NULL);
    add_summary(admin, entry, true, &json);
    json_open_array(&json, "refusals");
    for (size_t i = 0; i < count; i++)
        add_refusal(&last[i], NULL, show_values, &json);
    json_close_array(&json);
    struct bytes schema = schema_source(schema_file_newest(&entry->file));
    add_bson(&json, "schema", schema.pos, bytes_left(&schema));
    json_close_object(&json);
    free_infos(last, count);
}

static void get_one(struct admin *admin, const struct admin_request *request, int status)
{
    struct text body = text_growing();
    struct registry *registry = admin_schemas(admin);
    const struct registry_entry *entry =
        registry_find(registry, request->rest, strlen(request->rest));
    const struct registry_left_out *left_out = registry_find_left_out(registry, request->rest);
    if (entry == NULL && left_out != NULL) {
        char message[512];
        (void)snprintf(message, sizeof message,
                       "only the server enforces the validator of this collection: %.400s",
                       left_out->reason);
        http_send_error(request->http, 404, message);
    } else if (entry == NULL) {
        http_send_error(request->http, 404, "this namespace has no enforced schema");
    } else {
        write_whole(admin, entry, &body);
        http_send_json(request->http, status, &body);
    }
    registry_release(registry);
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* Collects the problems of a refused schema. */
struct problems {
    struct text out;
    struct json json; /* in out: an array that is not closed yet */
    unsigned count;
};

static void add_problem(void *arg, const struct schema_problem *problem)
{
    struct problems *problems = arg;
    if (problems->count++ >= PROBLEMS_SHOWN)
        return;
    json_open_object(&problems->json, NULL);
    json_add_string(&problems->json, "pointer", problem->pointer);
    json_add_int(&problems->json, "code", problem->code);
    json_add_string(&problems->json, "reason", problem->message);
    json_close_object(&problems->json);
}

static void send_problems(const struct admin_request *request, struct problems *problems)
{
    struct text body = text_growing();
    struct json json = json_over(&body);
    json_close_array(&problems->json);
    json_open_object(&json, NULL);
    json_add_string(&json, "error", "the schema file has errors");
    json_add_int(&json, "status", 422);
    json_add_uint(&json, "problem_count", problems->count);
    json_add_raw(&json, "problems", problems->out.data != NULL ? problems->out.data : "[]");
    json_close_object(&json);
    body.cut = body.cut || problems->out.cut;
    http_send_json(request->http, 422, &body);
}

/* True if the text is a schema file for the namespace; otherwise the request was answered. */
static bool check_file(const struct admin_request *request, const char *text, size_t len)
{
    struct problems problems = {.out = text_growing()};
    problems.json = json_over(&problems.out);
    json_open_array(&problems.json, NULL);
    struct schema_file file;
    struct error err = {0};
    bool good = schema_file_parse(text, len, add_problem, &problems, &file, &err);
    if (good && file.ns == NULL)
        add_problem(&problems, &(struct schema_problem){.code = ERROR_FAILED_TO_PARSE,
                                                        .pointer = "",
                                                        .message = "the field 'ns' is missing"});
    else if (good && strcmp(file.ns, request->rest) != 0)
        add_problem(&problems,
                    &(struct schema_problem){.code = ERROR_BAD_VALUE,
                                             .pointer = "/ns",
                                             .message = "names another namespace than the path"});
    if (good)
        schema_file_release(&file);
    else if (problems.count == 0)
        add_problem(&problems, &(struct schema_problem){
                                   .code = err.code, .pointer = "", .message = err.message});
    good = problems.count == 0;
    if (!good)
        send_problems(request, &problems);
    text_release(&problems.out);
    return good;
}

/* True if schemas may be written and there is a folder for them. False: the request was answered.
 */
static bool may_write(const struct admin *admin, const struct admin_request *request)
{
    const struct config *config = admin_config(admin);
    if (config->admin.write != CONFIG_TRUE)
        http_send_error(request->http, 403,
                        "this endpoint does not write schemas (option admin.write)");
    else if (config->schemas[0] == 0)
        http_send_error(request->http, 409, "the proxy has no folder of schemas (option schemas)");
    else if (config->schemas_registry[0] != 0)
        http_send_error(request->http, 409,
                        "the schemas come from a registry (option schemas_registry): change them "
                        "there, with mongosluice schema push or retire");
    else
        return true;
    return false;
}

/* The file of the namespace's schema, existing or new. False: the request was answered. */
static bool find_path(struct admin *admin, const struct admin_request *request,
                      const char *directory, char path[PATH_MAX], bool *is_new)
{
    char name[NAME_MAX + 1];
    struct registry *registry = admin_schemas(admin);
    const struct registry_entry *entry =
        registry_find(registry, request->rest, strlen(request->rest));
    int len = -1;
    *is_new = entry == NULL || entry->origin != REGISTRY_FILE;
    if (!*is_new && schema_store_holds(directory, entry->source))
        len = snprintf(path, PATH_MAX, "%s", entry->source);
    else if (schema_store_name(request->rest, name, sizeof name))
        len = snprintf(path, PATH_MAX, "%s/%s", directory, name);
    registry_release(registry);
    if (len > 0 && len < PATH_MAX)
        return true;
    http_send_error(request->http, 422, "the namespace is too long for a file name");
    return false;
}

static void put_one(struct admin *admin, const struct admin_request *request)
{
    char path[PATH_MAX];
    struct error err;
    bool is_new = false;
    struct evbuffer *input = evhttp_request_get_input_buffer(request->http);
    size_t len = evbuffer_get_length(input);
    if (!may_write(admin, request))
        return;
    const char *directory = admin_config(admin)->schemas;
    const char *text = len == 0 ? "" : (const char *)evbuffer_pullup(input, -1);
    if (text == NULL) {
        http_send_error(request->http, 503, "out of memory");
        return;
    }
    if (!check_file(request, text, len) || !find_path(admin, request, directory, path, &is_new))
        return;
    if (!schema_store_write(directory, path, text, len, &err)) {
        http_send_error(request->http, 500, err.message);
        return;
    }
    LOG_I(LOG_SCHEMA, 1074, "admin", "A schema was written", LOG_STR("ns", request->rest),
          LOG_STR("file", path));
    catalog_rescan(admin->parts.catalog);
    get_one(admin, request, is_new ? 201 : 200);
}

static void remove_file(struct admin *admin, const struct admin_request *request,
                        const char *directory, const char *path)
{
    struct text body = text_growing();
    struct error err;
    if (!schema_store_remove(directory, path, &err)) {
        http_send_error(request->http, 500, err.message);
        return;
    }
    LOG_I(LOG_SCHEMA, 1075, "admin", "A schema was removed", LOG_STR("ns", request->rest),
          LOG_STR("file", path));
    catalog_rescan(admin->parts.catalog);
    struct json json = json_over(&body);
    json_open_object(&json, NULL);
    json_add_string(&json, "deleted", request->rest);
    json_close_object(&json);
    http_send_json(request->http, 200, &body);
}

static void delete_one(struct admin *admin, const struct admin_request *request)
{
    if (!may_write(admin, request))
        return;
    const char *directory = admin_config(admin)->schemas;
    struct registry *registry = admin_schemas(admin);
    const struct registry_entry *entry =
        registry_find(registry, request->rest, strlen(request->rest));
    if (entry == NULL)
        http_send_error(request->http, 404, "this namespace has no enforced schema");
    else if (entry->origin != REGISTRY_FILE)
        http_send_error(request->http, 409,
                        "this schema is the collection's own validator: change it there (collMod)");
    else if (!schema_store_holds(directory, entry->source))
        http_send_error(request->http, 409, "the file of this schema is outside the schema folder");
    else
        remove_file(admin, request, directory, entry->source);
    registry_release(registry);
}

void admin_schemas_one(struct admin *admin, const struct admin_request *request)
{
    if (request->method == EVHTTP_REQ_PUT)
        put_one(admin, request);
    else if (request->method == EVHTTP_REQ_DELETE)
        delete_one(admin, request);
    else
        get_one(admin, request, 200);
}
