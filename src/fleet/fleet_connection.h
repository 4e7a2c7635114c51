/* A connection to the deployment that holds a registry. One thread at a time. */
#ifndef SLUICE_FLEET_CONNECTION_H
#define SLUICE_FLEET_CONNECTION_H

#include <bson/bson.h>

#include "upstream/uri.h"

struct fleet_store;

/* The timeouts for finding a server and for its reply. */
enum { FLEET_SELECTION_MS = 3000, FLEET_ANSWER_MS = 10000 };

/* Sends nothing yet. uri: borrowed for the call. ns: "DATABASE.COLLECTION". */
struct fleet_store *fleet_store_open(const struct uri *uri, const char *ns, struct error *err);
void fleet_store_close(struct fleet_store *store); /* NULL is allowed */
const char *fleet_store_name(const struct fleet_store *store);

/* Closes the change stream of fleet_store_watch, if there is one. */
void fleet_store_unwatch(struct fleet_store *store);

/* Sets libmongoc's reason, with the store's name. Returns false. */
bool fleet_store_fail(const struct fleet_store *store, const char *doing, const bson_error_t *why,
                      struct error *err);

#endif
