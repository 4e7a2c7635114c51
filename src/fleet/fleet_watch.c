/* A change stream over the registry, by its commands. libmongoc's own API hides the end of a reply,
 * and the follower reads all changes of a reply at once. */
#include "fleet/fleet_handle.h"
#include "fleet/fleet_store.h"

#include <string.h>

enum { CODE_NO_STREAMS = 40573, CODE_NO_STREAMS_OLD = 40415 };

static bool run(struct fleet_store *store, const bson_t *command, bson_t *reply, bson_error_t *why)
{
    bson_t options = BSON_INITIALIZER;
    bool ok = mongoc_client_session_append(store->session, &options, why);
    if (ok)
        BSON_APPEND_INT32(&options, "serverId", (int32_t)store->server);
    else
        bson_init(reply);
    ok = ok && mongoc_client_command_with_opts(store->client, store->database, command, NULL,
                                               &options, reply, why);
    bson_destroy(&options);
    return ok;
}

static bool take_cursor(struct fleet_store *store, const bson_t *reply, bson_error_t *why)
{
    bson_iter_t at;
    bson_iter_t id;
    if (!bson_iter_init(&at, reply) || !bson_iter_find_descendant(&at, "cursor.id", &id)) {
        bson_set_error(why, MONGOC_ERROR_CURSOR, MONGOC_ERROR_CURSOR_INVALID_CURSOR,
                       "the server's reply has no cursor");
        return false;
    }
    store->cursor = bson_iter_as_int64(&id);
    return true;
}

static bool begin(struct fleet_store *store, bson_error_t *why)
{
    mongoc_server_description_t *server =
        mongoc_client_select_server(store->client, true, NULL, why);
    if (server == NULL)
        return false;
    store->server = mongoc_server_description_id(server);
    mongoc_server_description_destroy(server);
    /* getMore must use the session of its cursor; a change stream reads with majority */
    mongoc_session_opt_t *options = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(options, false);
    store->session = mongoc_client_start_session(store->client, options, why);
    mongoc_session_opts_destroy(options);
    return store->session != NULL;
}

bool fleet_store_watch(struct fleet_store *store, bool *streams, struct error *err)
{
    bson_error_t why;
    bson_t reply;
    *streams = false;
    fleet_store_unwatch(store);
    if (!begin(store, &why))
        return fleet_store_fail(store, "cannot be reached", &why, err);
    /* only the names: the follower then reads the current documents */
    bson_t *command =
        BCON_NEW("aggregate", BCON_UTF8(store->collection), "pipeline", "[", "{", "$changeStream",
                 "{", "}", "}", "{", "$project", "{", "documentKey", BCON_INT32(1), "operationType",
                 BCON_INT32(1), "}", "}", "]", "cursor", "{", "}");
    bool ok = run(store, command, &reply, &why) && take_cursor(store, &reply, &why);
    bson_destroy(command);
    bson_destroy(&reply);
    if (ok) {
        *streams = store->cursor != 0;
        return true;
    }
    fleet_store_unwatch(store);
    if (why.code == CODE_NO_STREAMS || why.code == CODE_NO_STREAMS_OLD)
        return true;
    return fleet_store_fail(store, "cannot be followed", &why, err);
}

/* Adds the namespace of an event. Any event that is not a change of one document sets *lost. */
static void take_event(const bson_iter_t *at, bson_t *changed, uint32_t *count, bool *lost)
{
    bson_iter_t event;
    bson_iter_t id;
    char index[16];
    const char *key = NULL;
    if (!BSON_ITER_HOLDS_DOCUMENT(at) || !bson_iter_recurse(at, &event) ||
        !bson_iter_find_descendant(&event, "documentKey._id", &id)) {
        *lost = true;
        return;
    }
    if (!BSON_ITER_HOLDS_UTF8(&id)) {
        *lost = true; /* invalid events are reported when all documents are read */
        return;
    }
    (void)bson_uint32_to_string((*count)++, &key, index, sizeof index);
    (void)bson_append_iter(changed, key, -1, &id);
}

bool fleet_store_next(struct fleet_store *store, int64_t wait_ms, bson_t *changed, bool *lost,
                      struct error *err)
{
    bson_error_t why;
    bson_t reply;
    bson_iter_t at;
    bson_iter_t batch;
    uint32_t count = 0;
    *lost = false;
    bson_t *command =
        BCON_NEW("getMore", BCON_INT64(store->cursor), "collection", BCON_UTF8(store->collection),
                 "batchSize", BCON_INT32(1000), "maxTimeMS", BCON_INT64(wait_ms));
    bool ok = run(store, command, &reply, &why);
    bson_destroy(command);
    if (!ok) {
        bson_destroy(&reply);
        return fleet_store_fail(store, "cannot be followed", &why, err);
    }
    bson_init(changed);
    if (bson_iter_init(&at, &reply) && bson_iter_find_descendant(&at, "cursor.nextBatch", &batch) &&
        BSON_ITER_HOLDS_ARRAY(&batch) && bson_iter_recurse(&batch, &at))
        while (bson_iter_next(&at))
            take_event(&at, changed, &count, lost);
    else
        *lost = true;
    if (!take_cursor(store, &reply, &why) || store->cursor == 0)
        *lost = true;
    bson_destroy(&reply);
    return true;
}
