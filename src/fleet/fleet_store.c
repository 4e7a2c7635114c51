#include "fleet/fleet_store.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "fleet/fleet_handle.h"

enum { CODE_NAMESPACE_EXISTS = 48, CODE_DUPLICATE_KEY = 11000 };

/* --- the collections ---------------------------------------------------------------------------
 */

/* create, or collMod if the collection exists: {command: collection, validator: {$jsonSchema: …}}.
 */
static bool set_validator(struct fleet_store *store, const char *command, const char *collection,
                          const bson_t *format, bson_error_t *why)
{
    bson_t validator;
    bson_t *asked = bson_new();
    BSON_APPEND_UTF8(asked, command, collection);
    BSON_APPEND_DOCUMENT_BEGIN(asked, "validator", &validator);
    BSON_APPEND_DOCUMENT(&validator, "$jsonSchema", format);
    bson_append_document_end(asked, &validator);
    BSON_APPEND_UTF8(asked, "validationLevel", "strict");
    BSON_APPEND_UTF8(asked, "validationAction", "error");
    bool ok = mongoc_client_write_command_with_opts(store->client, store->database, asked, NULL,
                                                    NULL, why);
    bson_destroy(asked);
    return ok;
}

static bool prepare(struct fleet_store *store, const mongoc_collection_t *collection,
                    const char *format_text, struct error *err)
{
    bson_error_t why;
    const char *name = mongoc_collection_get_name((mongoc_collection_t *)collection);
    bson_t *format = bson_new_from_json((const uint8_t *)format_text, -1, &why);
    if (format == NULL)
        return error_no_memory(err, "the registry");
    bool ok = set_validator(store, "create", name, format, &why);
    if (!ok && why.code == CODE_NAMESPACE_EXISTS)
        ok = set_validator(store, "collMod", name, format, &why);
    bson_destroy(format);
    return ok || fleet_store_fail(store, "cannot be created or changed", &why, err);
}

/* True if the collection's options, as in the reply to listCollections, hold a validator. */
static bool has_validator(struct fleet_store *store, const char *name, bool *has, struct error *err)
{
    bson_error_t why;
    bson_iter_t at;
    bson_iter_t inner;
    const bson_t *found = NULL;
    bson_t *options = BCON_NEW("filter", "{", "name", BCON_UTF8(name), "}");
    mongoc_database_t *database = mongoc_client_get_database(store->client, store->database);
    mongoc_cursor_t *cursor = mongoc_database_find_collections_with_opts(database, options);
    *has = false;
    while (mongoc_cursor_next(cursor, &found))
        *has = *has || (bson_iter_init(&at, found) &&
                        bson_iter_find_descendant(&at, "options.validator.$jsonSchema", &inner));
    bool ok = !mongoc_cursor_error(cursor, &why);
    mongoc_cursor_destroy(cursor);
    mongoc_database_destroy(database);
    bson_destroy(options);
    return ok || fleet_store_fail(store, "cannot list its collections", &why, err);
}

bool fleet_store_prepare(struct fleet_store *store, struct error *err)
{
    mongoc_collection_t *const collections[] = {store->documents, store->proxies};
    const char *const formats[] = {fleet_format_text, fleet_proxy_format_text};
    for (size_t i = 0; i < 2; i++) {
        bool has = false;
        if (!has_validator(store, mongoc_collection_get_name(collections[i]), &has, err) ||
            (!has && !prepare(store, collections[i], formats[i], err)))
            return false;
    }
    return true;
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* Describes a document's _id for messages. */
static void describe_id(const bson_t *document, char *out, size_t size)
{
    bson_iter_t at;
    uint32_t len = 0;
    if (!bson_iter_init_find(&at, document, "_id") || !BSON_ITER_HOLDS_UTF8(&at)) {
        (void)snprintf(out, size, "%s", FLEET_NO_NAME);
        return;
    }
    const char *id = bson_iter_utf8(&at, &len);
    struct text shown = text_over(out, size);
    (void)text_add_escaped(&shown, id, len);
}

static void hand_over(struct fleet_store *store, const bson_t *found, fleet_each_fn *each,
                      void *arg)
{
    char ns[FLEET_NS_BYTES_MAX * 6 + 1];
    struct error problem = {0};
    struct fleet_document *document = NULL;
    describe_id(found, ns, sizeof ns);
    if (fleet_document_read(store->reader, bytes_of(bson_get_data(found), found->len), &document,
                            &problem))
        each(arg, ns, document, NULL);
    else
        each(arg, ns, NULL, &problem);
}

static mongoc_cursor_t *find(struct fleet_store *store, const bson_t *only, const char *projection)
{
    bson_error_t why;
    bson_t *filter = only == NULL ? bson_new() : BCON_NEW("_id", "{", "$in", BCON_ARRAY(only), "}");
    bson_t *options = bson_new_from_json((const uint8_t *)projection, -1, &why);
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(store->documents, filter, options, NULL);
    bson_destroy(filter);
    bson_destroy(options);
    return cursor;
}

static bool finish(const struct fleet_store *store, mongoc_cursor_t *cursor, struct error *err)
{
    bson_error_t why;
    bool failed = mongoc_cursor_error(cursor, &why);
    mongoc_cursor_destroy(cursor);
    return !failed || fleet_store_fail(store, "cannot be read", &why, err);
}

bool fleet_store_each(struct fleet_store *store, const bson_t *only, bool history,
                      fleet_each_fn *each, void *arg, struct error *err)
{
    const bson_t *found = NULL;
    mongoc_cursor_t *cursor =
        find(store, only,
             history ? "{\"sort\": {\"_id\": 1}}"
                     : "{\"sort\": {\"_id\": 1}, \"projection\": {\"history\": 0}}");
    while (mongoc_cursor_next(cursor, &found))
        hand_over(store, found, each, arg);
    return finish(store, cursor, err);
}

bool fleet_store_revisions(struct fleet_store *store, fleet_revision_fn *each, void *arg,
                           struct error *err)
{
    const bson_t *found = NULL;
    bson_iter_t id;
    bson_iter_t revision;
    bson_iter_t updated;
    mongoc_cursor_t *cursor =
        find(store, NULL, "{\"projection\": {\"revision\": 1, \"updated\": 1}}");
    while (mongoc_cursor_next(cursor, &found)) {
        bool has_revision = bson_iter_init_find(&revision, found, "revision");
        bool has_date =
            bson_iter_init_find(&updated, found, "updated") && BSON_ITER_HOLDS_DATE_TIME(&updated);
        bool has_name = bson_iter_init_find(&id, found, "_id") && BSON_ITER_HOLDS_UTF8(&id);
        each(arg, has_name ? bson_iter_utf8(&id, NULL) : FLEET_NO_NAME,
             has_revision ? bson_iter_as_int64(&revision) : 0,
             has_date ? bson_iter_date_time(&updated) : 0);
    }
    return finish(store, cursor, err);
}

struct one {
    struct fleet_document *document;
    struct error problem;
    bool found;
};

static void take_one(void *arg, const char *ns, struct fleet_document *document,
                     const struct error *problem)
{
    struct one *one = arg;
    (void)ns;
    one->found = true;
    one->document = document;
    if (problem != NULL)
        one->problem = *problem;
}

bool fleet_store_get(struct fleet_store *store, const char *ns, struct fleet_document **out,
                     struct error *err)
{
    struct one one = {0};
    bson_t *only = BCON_NEW("0", BCON_UTF8(ns));
    bool ok = fleet_store_each(store, only, true, take_one, &one, err);
    bson_destroy(only);
    *out = one.document;
    if (ok && one.found && one.document == NULL)
        return error_set(err, one.problem.code, "the registry's document of %.200s %.300s", ns,
                         one.problem.message);
    return ok;
}

/* --- writing -----------------------------------------------------------------------------------
 */

static enum fleet_put insert(struct fleet_store *store, const bson_t *document, struct error *err)
{
    bson_error_t why;
    if (mongoc_collection_insert_one(store->documents, document, NULL, NULL, &why))
        return FLEET_STORED;
    if (why.code == CODE_DUPLICATE_KEY)
        return FLEET_CONFLICT;
    (void)fleet_store_fail(store, "cannot be written", &why, err);
    return FLEET_PUT_FAILED;
}

static enum fleet_put replace(struct fleet_store *store, const char *ns, const bson_t *document,
                              int64_t revision, struct error *err)
{
    bson_error_t why;
    bson_t reply;
    bson_iter_t at;
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(ns), "revision", BCON_INT64(revision));
    bool ok = mongoc_collection_replace_one(store->documents, filter, document, NULL, &reply, &why);
    bool matched =
        ok && bson_iter_init_find(&at, &reply, "matchedCount") && bson_iter_as_int64(&at) == 1;
    bson_destroy(filter);
    bson_destroy(&reply);
    if (ok)
        return matched ? FLEET_STORED : FLEET_CONFLICT;
    (void)fleet_store_fail(store, "cannot be written", &why, err);
    return FLEET_PUT_FAILED;
}

enum fleet_put fleet_store_put(struct fleet_store *store, const struct fleet_document *document,
                               int64_t revision, struct error *err)
{
    bson_t bson;
    enum fleet_put put = FLEET_PUT_FAILED;
    if (fleet_document_write(document, &bson, err))
        put = revision == 0 ? insert(store, &bson, err)
                            : replace(store, document->ns, &bson, revision, err);
    bson_destroy(&bson);
    return put;
}
