/* The schemas in force, from a folder and from the validators of the upstream's collections. The
 * set is replaced as a whole when something changed. Any thread may call these functions. */
#ifndef SLUICE_CATALOG_CATALOG_H
#define SLUICE_CATALOG_CATALOG_H

#include "catalog/current_set.h"
#include "catalog/suspensions.h"

struct catalog;
struct uri;

struct catalog_settings {
    const char *folder; /* "": none. Borrowed for the call */
    size_t memory_max;  /* for all compiled schemas; those of files come first */
    /* On the thread that made the change, one at a time. */
    catalog_publish_fn *publish;
    void *arg;
};

/* Reads the folder and publishes the first set. A file with errors fails the start: nothing would
 * be enforced in its place. */
struct catalog *catalog_create(const struct catalog_settings *settings, struct error *err);
/* After catalog_stop. NULL is allowed, in both. */
void catalog_destroy(struct catalog *catalog);

/* Reads the folder as catalog_create does, and reports each file with errors. False when the folder
 * itself cannot be read. */
bool catalog_check(const char *folder, size_t memory_max,
                   void (*report)(void *arg, const char *path, const char *problem), void *arg,
                   struct error *err);

/* Takes over the files that were added, changed or removed. */
void catalog_rescan(struct catalog *catalog);
/* Another folder ("": none) from now on. */
bool catalog_set_folder(struct catalog *catalog, const char *folder, struct error *err);

/* Reads the validators of the upstream's collections from now on, every period_ms. Called once, if
 * at all, before other threads call catalog_change_begins. uri: borrowed for the call. */
bool catalog_follow_upstream(struct catalog *catalog, const struct uri *uri, int64_t period_ms,
                             struct error *err);
/* A command is about to be sent that may change the validators of collections: those that were read
 * are out of force when this returns, until they are read anew after catalog_change_ends. Answers
 * the number of the change; 0: validators are not read, or memory is out. */
uint32_t catalog_change_begins(struct catalog *catalog, const struct suspension_scope *scope);
/* The command was answered; or, `lost`, it will not be. Reads the validators soon. */
void catalog_change_ends(struct catalog *catalog, uint32_t number, bool lost);
/* Ends the reading of validators; waits for one under way. */
void catalog_stop(struct catalog *catalog);

/* A reference to the present set. */
struct registry *catalog_registry(struct catalog *catalog);
/* Files that are broken now; an unreadable folder counts as one. */
size_t catalog_broken(struct catalog *catalog);
/* Whether the upstream's validators have been read at least once, if they are read at all. */
bool catalog_is_loaded(const struct catalog *catalog);

#endif
