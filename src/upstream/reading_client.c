#include "upstream/reading_client.h"

#include "upstream/runtime.h"
#include "upstream/uri.h"

/* The client's errors are those of the server, with its codes. */
static mongoc_client_t *make(const mongoc_uri_t *uri, bson_error_t *why)
{
    mongoc_client_t *client = mongoc_client_new_from_uri_with_error(uri, why);
    if (client != NULL)
        (void)mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    return client;
}

mongoc_client_t *reading_client_new(const struct uri *uri, const char *purpose, struct error *err)
{
    bson_error_t why;
    runtime_start();
    mongoc_uri_t *parsed = mongoc_uri_new_with_error(uri_with_credentials(uri), &why);
    mongoc_client_t *client = NULL;
    if (parsed != NULL) {
        (void)mongoc_uri_set_option_as_int32(parsed, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                             READING_SELECTION_MS);
        (void)mongoc_uri_set_option_as_int32(parsed, MONGOC_URI_SOCKETTIMEOUTMS, READING_ANSWER_MS);
        (void)mongoc_uri_set_appname(parsed, "mongosluice");
        client = make(parsed, &why);
        mongoc_uri_destroy(parsed);
    }
    if (client == NULL)
        (void)error_set(err, ERROR_BAD_VALUE, "upstream: libmongoc makes no client for reading %s",
                        purpose);
    return client;
}

void reading_client_renew(mongoc_client_t **client)
{
    bson_error_t ignored;
    mongoc_client_t *fresh = make(mongoc_client_get_uri(*client), &ignored);
    if (fresh == NULL)
        return;
    mongoc_client_destroy(*client);
    *client = fresh;
}
