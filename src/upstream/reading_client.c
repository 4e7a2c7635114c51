#include "upstream/reading_client.h"

#include "upstream/runtime.h"
#include "upstream/uri.h"

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
        client = mongoc_client_new_from_uri_with_error(parsed, &why);
        mongoc_uri_destroy(parsed);
    }
    if (client == NULL)
        (void)error_set(err, ERROR_BAD_VALUE, "upstream: libmongoc makes no client for reading %s",
                        purpose);
    return client;
}
