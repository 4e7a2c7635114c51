/* Brings the schema folder to the state of the registry: reads documents, makes files of them, and
 * writes those. One thread. */
#ifndef SLUICE_FLEET_SYNC_H
#define SLUICE_FLEET_SYNC_H

#include "base/text.h"
#include "fleet/fleet_folder.h"
#include "fleet/fleet_known.h"
#include "fleet/fleet_store.h"

/* Files that are written together. */
enum { FLEET_PLAN_MAX = 256 };

struct fleet_planned {
    char *ns;         /* owned */
    struct text file; /* owned; nothing in it: the file is removed */
    int64_t revision;
    int64_t updated_ms;
    char hash[SCHEMA_HASH_SIZE]; /* of the newest version */
};

struct fleet_sync {
    struct fleet_store *store;
    struct fleet_folder *folder;
    struct known_table known;
    struct fleet_planned plan[FLEET_PLAN_MAX];
    size_t planned;
    unsigned round;
    size_t found;         /* documents in this round */
    int64_t newest_ms;    /* when the newest change of this round was made */
    uint64_t changes;     /* files, in all */
    struct error failure; /* of the folder, in this round */
    bool failed;
    bson_t *wanted; /* namespaces that a look at the revisions found to be others */
    uint32_t wanted_count;
};

/* All documents. What the folder holds and the registry does not is reported, and stays; nothing at
 * all in a registry that fed the folder before is an error. */
bool fleet_sync_all(struct fleet_sync *sync, struct error *err);
/* Those of an array of namespaces. */
bool fleet_sync_some(struct fleet_sync *sync, const bson_t *namespaces, struct error *err);
/* Those whose revision is another. */
bool fleet_sync_changed(struct fleet_sync *sync, struct error *err);

/* After the proxy has read the folder: a file that it does not enforce is a problem of its
 * namespace. */
typedef bool fleet_in_force_fn(void *arg, const char *ns, const char *hash);
void fleet_sync_confirm(struct fleet_sync *sync, fleet_in_force_fn *in_force, void *arg);

#endif
