/* The registry of a fleet: a collection of MongoDB's with a document for each namespace
 * (fleet_document.h), and one beside it, COLLECTION.proxies, in which each proxy says what it has.
 * By libmongoc, which waits: for the threads of the command line and of the follower. A store is
 * used by one thread at a time. */
#ifndef SLUICE_FLEET_STORE_H
#define SLUICE_FLEET_STORE_H

#include "fleet/fleet_connection.h"
#include "fleet/fleet_document.h"

/* Makes both collections with their $jsonSchema where they are not there. One that is there keeps
 * its documents and gets the $jsonSchema. */
bool fleet_store_prepare(struct fleet_store *store, struct error *err);

/* *out: NULL where there is none. A document that is not one is an error that names it. */
bool fleet_store_get(struct fleet_store *store, const char *ns, struct fleet_document **out,
                     struct error *err);

/* Every document, sorted by namespace; or those of the namespaces of the array `only` (BSON).
 * `history`: with it. `each` gets the document, which it may keep, or NULL and what is wrong with
 * it; ns is then what its _id says, or how its _id is no namespace. */
typedef void fleet_each_fn(void *arg, const char *ns, struct fleet_document *document,
                           const struct error *problem);
bool fleet_store_each(struct fleet_store *store, const bson_t *only, bool history,
                      fleet_each_fn *each, void *arg, struct error *err);

/* Stands for the namespace of documents whose _id is no text. */
#define FLEET_NO_NAME "(a document whose _id is no text)"

/* Which revisions there are: what has the same two numbers as before has not changed. */
typedef void fleet_revision_fn(void *arg, const char *ns, int64_t revision, int64_t updated_ms);
bool fleet_store_revisions(struct fleet_store *store, fleet_revision_fn *each, void *arg,
                           struct error *err);

enum fleet_put {
    FLEET_STORED,
    FLEET_CONFLICT, /* it has not the revision any more: somebody else changed it */
    FLEET_PUT_FAILED
};
/* In the place of the document with `revision`; 0: there is none yet. */
enum fleet_put fleet_store_put(struct fleet_store *store, const struct fleet_document *document,
                               int64_t revision, struct error *err);

/* --- following ---------------------------------------------------------------------------------
 */

/* Begins to be told of changes. *streams false: the deployment has no change streams (a standalone
 * server). What changes from then on is told. */
bool fleet_store_watch(struct fleet_store *store, bool *streams, struct error *err);
/* Waits for changes, at most `wait_ms`. The array of the namespaces that changed goes to *changed
 * (bson_destroy is due where true). *lost: some are not known; read all. */
bool fleet_store_next(struct fleet_store *store, int64_t wait_ms, bson_t *changed, bool *lost,
                      struct error *err);

/* --- proxies -----------------------------------------------------------------------------------
 */

/* What a proxy says of itself, under its name: fleet_proxy_format_text. */
bool fleet_store_put_proxy(struct fleet_store *store, const char *name, const bson_t *fields,
                           struct error *err);
bool fleet_store_remove_proxy(struct fleet_store *store, const char *name, struct error *err);
/* Forgets those that were not seen since. */
bool fleet_store_remove_proxies(struct fleet_store *store, int64_t seen_before_ms,
                                struct error *err);
/* At most FLEET_PROXIES_MAX of them, sorted by name; borrowed for the call. */
enum { FLEET_PROXIES_MAX = 1000 };
bool fleet_store_each_proxy(struct fleet_store *store, void (*each)(void *arg, const bson_t *proxy),
                            void *arg, struct error *err);

#endif
