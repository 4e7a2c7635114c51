#include "fleet/fleet_connection.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "fleet/fleet_handle.h"

bool fleet_store_fail(const struct fleet_store *store, const char *doing, const bson_error_t *why,
                      struct error *err)
{
    return error_set(err, ERROR_HOST_UNREACHABLE, "the registry %s %s: %.300s", store->ns, doing,
                     why->message);
}

/* --- opening -----------------------------------------------------------------------------------
 */

static mongoc_client_t *make_client(const struct uri *uri, struct error *err)
{
    bson_error_t why;
    mongoc_client_t *client = NULL;
    mongoc_read_concern_t *read = mongoc_read_concern_new();
    mongoc_write_concern_t *write = mongoc_write_concern_new();
    mongoc_uri_t *parsed = mongoc_uri_new_with_error(uri_with_credentials(uri), &why);
    if (parsed != NULL && read != NULL && write != NULL) {
        (void)mongoc_uri_set_option_as_int32(parsed, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                             FLEET_SELECTION_MS);
        (void)mongoc_uri_set_option_as_int32(parsed, MONGOC_URI_SOCKETTIMEOUTMS, FLEET_ANSWER_MS);
        (void)mongoc_uri_set_option_as_bool(parsed, MONGOC_URI_SERVERSELECTIONTRYONCE, false);
        (void)mongoc_uri_set_appname(parsed, "mongosluice registry");
        client = mongoc_client_new_from_uri_with_error(parsed, &why);
    }
    if (client != NULL) {
        /* a document that may be rolled back must not be enforced */
        (void)mongoc_read_concern_set_level(read, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
        mongoc_write_concern_set_wmajority(write, FLEET_ANSWER_MS);
        mongoc_client_set_read_concern(client, read);
        mongoc_client_set_write_concern(client, write);
        (void)mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    } else {
        (void)error_set(err, ERROR_BAD_VALUE, "libmongoc makes no client of the registry's URI");
    }
    mongoc_read_concern_destroy(read);
    mongoc_write_concern_destroy(write);
    mongoc_uri_destroy(parsed);
    return client;
}

static bool take_name(struct fleet_store *store, const char *ns, struct error *err)
{
    size_t len = strlen(ns);
    size_t database = strcspn(ns, ".");
    /* room for ".proxies" */
    if (!fleet_is_namespace(ns, len) || len + 16 > FLEET_NS_BYTES_MAX)
        return error_set(err, ERROR_BAD_VALUE,
                         "'%.200s' is not a namespace for a registry: use DATABASE.COLLECTION", ns);
    (void)snprintf(store->ns, sizeof store->ns, "%s", ns);
    (void)snprintf(store->database, sizeof store->database, "%.*s", (int)database, ns);
    (void)snprintf(store->collection, sizeof store->collection, "%s", ns + database + 1);
    return true;
}

struct fleet_store *fleet_store_open(const struct uri *uri, const char *ns, struct error *err)
{
    char proxies[FLEET_COLLECTION_SIZE + 16];
    struct fleet_store *store = memory_zalloc(sizeof *store);
    if (store == NULL) {
        (void)error_no_memory(err, "the registry");
        return NULL;
    }
    if (take_name(store, ns, err) && (store->reader = fleet_reader_new(err)) != NULL &&
        (store->client = make_client(uri, err)) != NULL) {
        (void)snprintf(proxies, sizeof proxies, "%s.proxies", store->collection);
        store->documents =
            mongoc_client_get_collection(store->client, store->database, store->collection);
        store->proxies = mongoc_client_get_collection(store->client, store->database, proxies);
        return store;
    }
    fleet_store_close(store);
    return NULL;
}

void fleet_store_close(struct fleet_store *store)
{
    if (store == NULL)
        return;
    fleet_store_unwatch(store);
    if (store->documents != NULL)
        mongoc_collection_destroy(store->documents);
    if (store->proxies != NULL)
        mongoc_collection_destroy(store->proxies);
    if (store->client != NULL)
        mongoc_client_destroy(store->client);
    fleet_reader_free(store->reader);
    memory_free(store);
}

const char *fleet_store_name(const struct fleet_store *store)
{
    return store->ns;
}

void fleet_store_unwatch(struct fleet_store *store)
{
    if (store->session != NULL)
        mongoc_client_session_destroy(store->session);
    store->session = NULL;
    store->cursor = 0;
}
