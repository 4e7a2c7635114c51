/* The documents in which proxies report their state. */
#include "fleet/fleet_handle.h"
#include "fleet/fleet_store.h"

static bool update_failed(const struct fleet_store *store, const bson_error_t *why,
                          struct error *err)
{
    return fleet_store_fail(store, "does not take the report of this proxy (COLLECTION.proxies)",
                            why, err);
}

/* One server's acknowledgement is enough, because the proxy soon writes the document again. */
static bson_t *loose_options(bool upsert)
{
    bson_t *options = BCON_NEW("writeConcern", "{", "w", BCON_INT32(1), "}");
    if (upsert)
        BSON_APPEND_BOOL(options, "upsert", true);
    return options;
}

bool fleet_store_put_proxy(struct fleet_store *store, const char *name, const bson_t *fields,
                           struct error *err)
{
    bson_error_t why;
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(name));
    bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(fields));
    bson_t *options = loose_options(true);
    bool ok = mongoc_collection_update_one(store->proxies, filter, change, options, NULL, &why);
    bson_destroy(filter);
    bson_destroy(change);
    bson_destroy(options);
    return ok || update_failed(store, &why, err);
}

static bool remove_some(struct fleet_store *store, const bson_t *filter, struct error *err)
{
    bson_error_t why;
    bson_t *options = loose_options(false);
    bool ok = mongoc_collection_delete_many(store->proxies, filter, options, NULL, &why);
    bson_destroy(options);
    return ok || update_failed(store, &why, err);
}

bool fleet_store_remove_proxy(struct fleet_store *store, const char *name, struct error *err)
{
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(name));
    bool ok = remove_some(store, filter, err);
    bson_destroy(filter);
    return ok;
}

bool fleet_store_remove_proxies(struct fleet_store *store, int64_t seen_before_ms,
                                struct error *err)
{
    bson_t *filter = BCON_NEW("seen", "{", "$lt", BCON_DATE_TIME(seen_before_ms), "}");
    bool ok = remove_some(store, filter, err);
    bson_destroy(filter);
    return ok;
}

bool fleet_store_each_proxy(struct fleet_store *store, void (*each)(void *arg, const bson_t *proxy),
                            void *arg, struct error *err)
{
    bson_error_t why;
    const bson_t *found = NULL;
    bson_t *filter = bson_new();
    bson_t *options =
        BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT64(FLEET_PROXIES_MAX));
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(store->proxies, filter, options, NULL);
    while (mongoc_cursor_next(cursor, &found))
        each(arg, found);
    bool failed = mongoc_cursor_error(cursor, &why);
    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    bson_destroy(options);
    return !failed || fleet_store_fail(store, "cannot be read", &why, err);
}
