/* The registry of a fleet: a MongoDB collection with a document for each namespace
 * (fleet_document.h), and a second collection, COLLECTION.proxies, in which each proxy reports its
 * state. Uses libmongoc and blocks: for the threads of the command line and of the follower. One
 * thread at a time may use a store. */
#ifndef SLUICE_FLEET_STORE_H
#define SLUICE_FLEET_STORE_H

#include "fleet/fleet_connection.h"
#include "fleet/fleet_document.h"

/* Creates both collections with their $jsonSchema. An existing collection keeps its documents and
 * gets the $jsonSchema. */
bool fleet_store_prepare(struct fleet_store *store, struct error *err);

/* *out: NULL if there is none. An invalid document is an error that names it. */
bool fleet_store_get(struct fleet_store *store, const char *ns, struct fleet_document **out,
                     struct error *err);

/* Reads every document, sorted by namespace, or those of the namespaces in the array `only` (BSON).
 * `history`: with its history. `each` gets the document and may keep it, or gets NULL and the
 * problem; ns is then the document's _id, or says why that is not a namespace. */
typedef void fleet_each_fn(void *arg, const char *ns, struct fleet_document *document,
                           const struct error *problem);
bool fleet_store_each(struct fleet_store *store, const bson_t *only, bool history,
                      fleet_each_fn *each, void *arg, struct error *err);

/* Names documents whose _id is not a text. */
#define FLEET_NO_NAME "(a document whose _id is not text)"

/* Reads all revisions. If a document's two numbers are the same as before, it has not changed. */
typedef void fleet_revision_fn(void *arg, const char *ns, int64_t revision, int64_t updated_ms);
bool fleet_store_revisions(struct fleet_store *store, fleet_revision_fn *each, void *arg,
                           struct error *err);

enum fleet_put {
    FLEET_STORED,
    FLEET_CONFLICT, /* the document has another revision: another writer changed it */
    FLEET_PUT_FAILED
};
/* Replaces the document that has `revision`; 0: inserts it. */
enum fleet_put fleet_store_put(struct fleet_store *store, const struct fleet_document *document,
                               int64_t revision, struct error *err);

/* --- following ---------------------------------------------------------------------------------
 */

/* Opens the change stream: fleet_store_next returns changes from now on. *streams false: the
 * deployment has no change streams (a standalone server). */
bool fleet_store_watch(struct fleet_store *store, bool *streams, struct error *err);
/* Waits for changes, at most `wait_ms`. Writes the array of changed namespaces to *changed; on true
 * the caller must call bson_destroy. *lost: changes are missing, so read all documents. */
bool fleet_store_next(struct fleet_store *store, int64_t wait_ms, bson_t *changed, bool *lost,
                      struct error *err);

/* --- proxies -----------------------------------------------------------------------------------
 */

/* Stores a proxy's report under its name, in the form of fleet_proxy_format_text. */
bool fleet_store_put_proxy(struct fleet_store *store, const char *name, const bson_t *fields,
                           struct error *err);
bool fleet_store_remove_proxy(struct fleet_store *store, const char *name, struct error *err);
/* Removes the reports of proxies that were not seen since. */
bool fleet_store_remove_proxies(struct fleet_store *store, int64_t seen_before_ms,
                                struct error *err);
/* Reads at most FLEET_PROXIES_MAX reports, sorted by name; borrowed for the call. */
enum { FLEET_PROXIES_MAX = 1000 };
bool fleet_store_each_proxy(struct fleet_store *store, void (*each)(void *arg, const bson_t *proxy),
                            void *arg, struct error *err);

#endif
