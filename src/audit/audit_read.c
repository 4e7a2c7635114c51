#include "audit/audit_read.h"

#include <mongoc/mongoc.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/namespace.h"
#include "base/server_limits.h"
#include "bson/build.h"
#include "upstream/runtime.h"
#include "upstream/uri.h"

enum { CODE_UNAUTHORIZED = 13, CODE_CURSOR_KILLED = 237 };

struct audit_reader {
    mongoc_client_t *client;
    char *redacted; /* the connection string for messages */
};

struct collection_place {
    char database[SERVER_NAMESPACE_BYTES + 1];
    const char *collection;
};

/* --- opening --- */

struct audit_reader *audit_reader_open(const struct uri *uri, struct error *err)
{
    bson_error_t why = {0};
    runtime_start();
    struct audit_reader *reader = memory_zalloc(sizeof *reader);
    mongoc_uri_t *parsed = mongoc_uri_new_with_error(uri_with_credentials(uri), &why);
    if (reader == NULL || parsed == NULL) {
        mongoc_uri_destroy(parsed);
        memory_free(reader);
        (void)error_no_memory(err, "the reader of the collections");
        return NULL;
    }
    if (!mongoc_uri_has_option(parsed, MONGOC_URI_SERVERSELECTIONTIMEOUTMS))
        (void)mongoc_uri_set_option_as_int32(parsed, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                             AUDIT_SELECTION_MS);
    (void)mongoc_uri_set_option_as_bool(parsed, MONGOC_URI_SERVERSELECTIONTRYONCE, false);
    (void)mongoc_uri_set_appname(parsed, "mongosluice audit");
    if (!mongoc_uri_has_option(parsed, MONGOC_URI_READPREFERENCE)) {
        mongoc_read_prefs_t *prefs = mongoc_read_prefs_new(MONGOC_READ_SECONDARY_PREFERRED);
        mongoc_uri_set_read_prefs_t(parsed, prefs);
        mongoc_read_prefs_destroy(prefs);
    }
    reader->redacted = memory_copy_string(uri_redacted(uri));
    reader->client = mongoc_client_new_from_uri_with_error(parsed, &why);
    mongoc_uri_destroy(parsed);
    if (reader->client != NULL && reader->redacted != NULL) {
        (void)mongoc_client_set_error_api(reader->client, MONGOC_ERROR_API_VERSION_2);
        return reader;
    }
    audit_reader_close(reader);
    (void)error_set(err, ERROR_BAD_VALUE, "libmongoc makes no client of the connection string: %s",
                    why.message);
    return NULL;
}

void audit_reader_close(struct audit_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->client != NULL)
        mongoc_client_destroy(reader->client);
    memory_free(reader->redacted);
    memory_free(reader);
}

/* --- errors --- */

static bool is_connection_error(const bson_error_t *why)
{
    return why->domain == MONGOC_ERROR_STREAM || why->domain == MONGOC_ERROR_SERVER_SELECTION;
}

static bool fail(const struct audit_reader *reader, const char *ns, const bson_error_t *why,
                 struct error *err)
{
    if (why->domain == MONGOC_ERROR_SERVER_SELECTION)
        return error_set(err, ERROR_HOST_UNREACHABLE,
                         "cannot read from a server of %.150s: %.200s; check the address, TLS and "
                         "the read preference",
                         reader->redacted, why->message);
    if (why->domain == MONGOC_ERROR_CLIENT && why->code == MONGOC_ERROR_CLIENT_AUTHENTICATE)
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "%.150s refuses the login: %.150s; check user, password and authSource",
                         reader->redacted, why->message);
    if (why->code == CODE_UNAUTHORIZED)
        return error_set(
            err, CODE_UNAUTHORIZED,
            "%.150s: the user has no access: %.150s; give it the role 'read' on the database", ns,
            why->message);
    return error_set(err, (int)why->code, "%.150s cannot be read: %.250s", ns, why->message);
}

/* --- listing --- */

static bool split(const char *ns, struct collection_place *place, struct error *err)
{
    const char *dot = strchr(ns, '.');
    if (dot == NULL || dot == ns || dot[1] == 0 || strlen(ns) > SERVER_NAMESPACE_BYTES)
        return error_set(err, ERROR_INVALID_NAMESPACE,
                         "'%.150s' is not a namespace: use DATABASE.COLLECTION", ns);
    (void)snprintf(place->database, sizeof place->database, "%.*s", (int)(dot - ns), ns);
    place->collection = dot + 1;
    return true;
}

static enum audit_kind kind_of(const bson_t *description)
{
    bson_iter_t at;
    const char *type = bson_iter_init_find(&at, description, "type") && BSON_ITER_HOLDS_UTF8(&at)
                           ? bson_iter_utf8(&at, NULL)
                           : "collection";
    return strcmp(type, "view") == 0         ? AUDIT_VIEW
           : strcmp(type, "timeseries") == 0 ? AUDIT_TIME_SERIES
                                             : AUDIT_COLLECTION;
}

bool audit_reader_look(struct audit_reader *reader, const char *ns, enum audit_kind *kind,
                       uint64_t *documents, struct error *err)
{
    struct collection_place place = {.collection = ""};
    const bson_t *found = NULL;
    bson_error_t why = {0};
    *kind = AUDIT_MISSING;
    *documents = 0;
    if (!split(ns, &place, err))
        return false;
    mongoc_database_t *database = mongoc_client_get_database(reader->client, place.database);
    bson_t *opts = BCON_NEW("filter", "{", "name", BCON_UTF8(place.collection), "}", "nameOnly",
                            BCON_BOOL(true), "authorizedCollections", BCON_BOOL(true));
    mongoc_cursor_t *cursor = mongoc_database_find_collections_with_opts(database, opts);
    if (mongoc_cursor_next(cursor, &found))
        *kind = kind_of(found);
    bool ok = !mongoc_cursor_error(cursor, &why) || fail(reader, ns, &why, err);
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    mongoc_database_destroy(database);
    if (ok && *kind == AUDIT_COLLECTION) {
        mongoc_collection_t *collection =
            mongoc_client_get_collection(reader->client, place.database, place.collection);
        int64_t count =
            mongoc_collection_estimated_document_count(collection, NULL, NULL, NULL, &why);
        *documents = count > 0 ? (uint64_t)count : 0;
        mongoc_collection_destroy(collection);
    }
    return ok;
}

/* --- documents --- */

/* Selects documents after an _id, across types: $gt alone compares only values of one type. */
static bool make_filter(const struct audit_scan *scan, bson_t *filter)
{
    struct build build;
    struct bytes bytes;
    bool ok = true;
    bson_init(filter);
    if (scan->after_kind == 0)
        return true;
    build_begin(&build, (size_t)SERVER_DOCUMENT_BYTES);
    build_open_object(&build, "$expr");
    build_open_array(&build, "$gt");
    build_text(&build, NULL, "$_id");
    build_open_object(&build, NULL);
    build_value(&build, "$literal", scan->after_kind, scan->after);
    build_close(&build);
    build_close(&build);
    build_close(&build);
    bson_t built;
    ok = build_finish(&build, &bytes) && bson_init_static(&built, bytes.pos, bytes_left(&bytes)) &&
         bson_concat(filter, &built);
    build_free(&build);
    return ok;
}

static mongoc_cursor_t *open_cursor(mongoc_collection_t *collection, const struct audit_scan *scan)
{
    bson_t filter;
    bson_t opts = BSON_INITIALIZER;
    mongoc_cursor_t *cursor = NULL;
    if (scan->batch > 0)
        BSON_APPEND_INT32(&opts, "batchSize", scan->batch);
    if (scan->sample > 0) {
        bson_t *pipeline = BCON_NEW("pipeline", "[", "{", "$sample", "{", "size",
                                    BCON_INT64(scan->sample), "}", "}", "]");
        cursor = mongoc_collection_aggregate(collection, MONGOC_QUERY_NONE, pipeline, &opts, NULL);
        bson_destroy(pipeline);
        bson_destroy(&opts);
        return cursor;
    }
    if (scan->by_id) {
        bson_t order = BSON_INITIALIZER;
        BSON_APPEND_INT32(&order, "_id", 1);
        BSON_APPEND_DOCUMENT(&opts, "sort", &order);
        BSON_APPEND_DOCUMENT(&opts, "hint", &order);
        bson_destroy(&order);
    }
    if (make_filter(scan, &filter))
        cursor = mongoc_collection_find_with_opts(collection, &filter, &opts, NULL);
    bson_destroy(&filter);
    bson_destroy(&opts);
    return cursor;
}

bool audit_reader_scan(struct audit_reader *reader, const struct audit_scan *scan,
                       audit_document_fn *take, void *arg, bool *lost, struct error *err)
{
    struct collection_place place = {.collection = ""};
    const bson_t *document = NULL;
    bson_error_t why = {0};
    *lost = false;
    if (!split(scan->ns, &place, err))
        return false;
    mongoc_collection_t *collection =
        mongoc_client_get_collection(reader->client, place.database, place.collection);
    mongoc_cursor_t *cursor = open_cursor(collection, scan);
    bool ok = cursor != NULL || error_no_memory(err, "the query of the audit");
    bool ended = false;
    while (ok && !ended && mongoc_cursor_next(cursor, &document))
        ended = !take(arg, bytes_of(bson_get_data(document), document->len));
    if (ok && !ended && mongoc_cursor_error(cursor, &why)) {
        *lost = is_connection_error(&why) || why.code == ERROR_CURSOR_NOT_FOUND ||
                why.code == CODE_CURSOR_KILLED;
        ok = fail(reader, scan->ns, &why, err);
    }
    if (cursor != NULL)
        mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return ok;
}
