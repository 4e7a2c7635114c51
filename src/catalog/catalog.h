/* The enforced schemas, from a folder and from the validators of the upstream's collections. Each
 * change replaces the whole set. Any thread may call these functions. */
#ifndef SLUICE_CATALOG_CATALOG_H
#define SLUICE_CATALOG_CATALOG_H

#include "catalog/current_set.h"
#include "catalog/suspensions.h"

struct catalog;
struct uri;

struct catalog_settings {
    const char *folder; /* "": none. Borrowed during the call */
    size_t memory_max;  /* for all compiled schemas; schemas of files have priority */
    /* Called on the thread that makes the change, one at a time. */
    catalog_publish_fn *publish;
    void *arg;
};

/* Reads the folder and publishes the first set. A file with errors fails the start, because nothing
 * would be enforced in its place. */
struct catalog *catalog_create(const struct catalog_settings *settings, struct error *err);
/* Call it after catalog_stop. NULL is allowed in both. */
void catalog_destroy(struct catalog *catalog);

/* Reads the folder like catalog_create, and reports each file with errors. False if the folder
 * cannot be read. */
bool catalog_check(const char *folder, size_t memory_max,
                   void (*report)(void *arg, const char *path, const char *problem), void *arg,
                   struct error *err);

/* Applies added, changed and removed files. */
void catalog_rescan(struct catalog *catalog);
/* Uses another folder ("": none) from now on. */
bool catalog_set_folder(struct catalog *catalog, const char *folder, struct error *err);

/* Reads the validators of the upstream's collections from now on, every period_ms. Call it at most
 * once, before other threads call catalog_change_begins. `uri` is borrowed during the call. */
bool catalog_follow_upstream(struct catalog *catalog, const struct uri *uri, int64_t period_ms,
                             struct error *err);
/* Call it before sending a command that may change validators of collections. When it returns, the
 * known validators are no longer enforced, until they are read anew after catalog_change_ends.
 * Returns the number of the change; 0: validators are not read, or there is no memory. */
uint32_t catalog_change_begins(struct catalog *catalog, const struct suspension_scope *scope);
/* The command was answered, or (`lost`) will get no answer. Reads the validators soon. */
void catalog_change_ends(struct catalog *catalog, uint32_t number, bool lost);
/* Ends the reading of validators; waits for a current one. */
void catalog_stop(struct catalog *catalog);

/* A reference to the current set. */
struct registry *catalog_registry(struct catalog *catalog);
/* The number of broken files; an unreadable folder counts as one. */
size_t catalog_broken(struct catalog *catalog);
/* The first of them as a JSON array, [{"file", "error"}], from memory_alloc; NULL if there are
 * none.
 */
char *catalog_problems(struct catalog *catalog);
/* True if the upstream's validators have been read at least once, or are not read at all. */
bool catalog_is_loaded(const struct catalog *catalog);

#endif
