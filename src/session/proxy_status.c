#include "session/proxy_status.h"

#include "base/server_limits.h"
#include "session/answer.h"
#include "session/described_users.h"
#include "session/request.h"

static void add_hashes(struct build *build, const struct schema_file *file)
{
    uint32_t accepted =
        schema_versions_accepted(file->versions, file->version_count, clock_wall_ms());
    build_open_array(build, "hashes");
    for (size_t i = 0; i < file->version_count; i++)
        if ((accepted >> i & 1) != 0)
            build_text(build, NULL, file->versions[i].hash);
    build_close(build);
}

static bool add_schema(void *arg, const struct registry_entry *entry)
{
    struct build *build = arg;
    build_open_object(build, NULL);
    build_text(build, "ns", entry->file.ns);
    build_text(build, "hash", entry->file.versions[0].hash);
    add_hashes(build, &entry->file);
    build_text(build, "dialect", schema_dialect_names[entry->file.versions[0].dialect]);
    build_text(build, "level", schema_level_names[entry->file.level]);
    build_text(build, "action", schema_action_names[entry->file.action]);
    build_text(build, "unproved", entry->file.reject_unproved ? "reject" : "allow");
    build_bool(build, "allowBypass", entry->file.allow_bypass);
    build_text(build, "origin", entry->origin == REGISTRY_FILE ? "file" : "collection");
    build_close(build);
    return !build->failed;
}

static void add_left_out(struct build *build, const struct registry_left_out *left_out)
{
    build_open_object(build, NULL);
    build_text(build, "ns", left_out->ns);
    build_text(build, "reason", left_out->reason);
    build_close(build);
}

static void add_all_left_out(struct build *build, const struct registry *registry)
{
    size_t count = 0;
    const struct registry_left_out *all = registry_left_out(registry, &count);
    for (size_t i = 0; i < count; i++)
        add_left_out(build, &all[i]);
}

static void add_named_left_out(struct build *build, const struct registry *registry,
                               struct bytes names)
{
    struct scan scan;
    struct scan_element name;
    const char *text = NULL;
    size_t len = 0;
    (void)scan_open(&scan, names);
    while (scan_next(&scan, &name)) {
        const struct registry_left_out *one =
            scan_as_string(&name, &text, &len) ? registry_find_left_out(registry, text) : NULL;
        if (one != NULL)
            add_left_out(build, one);
    }
}

static bool add_named(struct build *build, const struct registry *registry, struct bytes names,
                      struct error *err)
{
    struct scan scan;
    struct scan_element name;
    const char *text = NULL;
    size_t len = 0;
    (void)scan_open(&scan, names);
    while (scan_next(&scan, &name)) {
        if (!scan_as_string(&name, &text, &len))
            return error_set(err, ERROR_TYPE_MISMATCH,
                             "namespaces must hold strings, \"database.collection\"");
        const struct registry_entry *entry = registry_find(registry, text, len);
        if (entry != NULL)
            (void)add_schema(build, entry);
    }
    return !scan.broken || error_set(err, ERROR_INVALID_BSON, "namespaces is malformed BSON");
}

static bool add_schemas(struct build *build, const struct registry *registry,
                        const struct wire_command *request, struct error *err)
{
    struct scan_element names = {0};
    build_open_array(build, "schemas");
    if (!wire_command_find(request, "namespaces", &names))
        registry_each(registry, add_schema, build);
    else if (names.kind != BSON_KIND_ARRAY)
        return error_set(err, ERROR_TYPE_MISMATCH, "namespaces must be an array");
    else if (!add_named(build, registry, names.value, err))
        return false;
    build_close(build);
    build_open_array(build, "leftOut");
    if (names.kind == BSON_KIND_ARRAY)
        add_named_left_out(build, registry, names.value);
    else
        add_all_left_out(build, registry);
    build_close(build);
    return true;
}

struct own_pool {
    const struct pool *pool;
    struct pool_figures figures;
};

static void find_own(void *arg, struct pool *pool, const struct pool_figures *figures)
{
    struct own_pool *own = arg;
    if (pool == own->pool)
        own->figures = *figures;
}

/* The pool of the asking client, in its worker. */
static void add_pool(struct build *build, const struct client *client)
{
    struct own_pool own = {.pool = client->pool};
    bool shared = client->sharing && !client->keeps_own;
    build_open_object(build, "pool");
    build_text(build, "mode", shared ? "shared" : "session");
    if (shared && client->pool != NULL) {
        char users[SESSION_IDENTITY_BYTES];
        pools_each(client->worker->pools, find_own, &own);
        build_text(build, "users", described_users(client, users));
        build_text(build, "application", pool_key_of(client->pool).application);
        build_int64(build, "size", own.figures.size);
        build_int64(build, "idle", own.figures.idle);
        build_int64(build, "leased", own.figures.leased);
        build_int64(build, "awaiting", own.figures.awaiting);
        build_int64(build, "waiting", own.figures.waiting);
        build_int64(build, "oldestWaitMillis",
                    own.figures.oldest_wait_ms == 0 ? 0
                                                    : clock_now_ms() - own.figures.oldest_wait_ms);
    }
    build_close(build);
}

static bool answer(struct client *client, const struct message *message,
                   const struct wire_command *request)
{
    static const uint8_t one[] = {0, 0, 0, 0, 0, 0, 0xF0, 0x3F}; /* 1.0 */
    struct build build;
    struct bytes document;
    struct error err;
    build_begin(&build, SERVER_DOCUMENT_BYTES); /* the maximal length of a reply */
    build_open_object(&build, "mongosluice");
    build_text(&build, "version", SLUICE_VERSION);
    build_int64(&build, "uptimeMillis", clock_now_ms() - client->worker->shared->started_ms);
    build_close(&build);
    add_pool(&build, client);
    bool ok = add_schemas(&build, session_worker_schemas(client->worker), request, &err);
    if (ok) {
        build_value(&build, "ok", BSON_KIND_DOUBLE, bytes_of(one, sizeof one));
        ok = build_finish(&build, &document) ||
             error_set(&err, ERROR_EXCEEDED_MEMORY_LIMIT,
                       "the answer is longer than 16 MiB, or memory is out: name the namespaces");
    }
    bool alive =
        ok ? answer_document(client, message, document) : answer_error(client, message, &err, 0);
    build_free(&build);
    return alive;
}

enum request_step proxy_status_take(struct client *client, const struct message *message,
                                    struct wire_command *request)
{
    if (!pending_is_empty(&client->pending))
        return STEP_WAIT;
    if (!message->whole)
        return STEP_GATHER;
    bool silent = request_is_silent(request);
    return silent || answer(client, message, request) ? STEP_TAKEN : STEP_STOP;
}
