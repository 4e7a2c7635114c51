/* Brings the schema folder to the state of the registry: reads documents, renders them as files,
 * and writes the files. One thread. */
#ifndef SLUICE_FLEET_SYNC_H
#define SLUICE_FLEET_SYNC_H

#include "base/text.h"
#include "fleet/fleet_folder.h"
#include "fleet/fleet_known.h"
#include "fleet/fleet_store.h"

/* Files that one call writes together. */
enum { FLEET_PLAN_MAX = 256 };

struct fleet_planned {
    char *ns;         /* owned */
    struct text file; /* owned; empty: remove the file */
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
    int64_t newest_ms;    /* time of the newest change in this round */
    uint64_t changes;     /* written or removed files in total */
    struct error failure; /* of the folder, in this round */
    bool failed;
    bson_t *wanted; /* namespaces with another revision */
    uint32_t wanted_count;
};

/* Reads all documents. Reports documents that the folder has and the registry lacks, and keeps
 * their files. An empty registry is an error if it fed the folder before. */
bool fleet_sync_all(struct fleet_sync *sync, struct error *err);
/* Reads the documents of an array of namespaces. */
bool fleet_sync_some(struct fleet_sync *sync, const bson_t *namespaces, struct error *err);
/* Reads the documents whose revision changed. */
bool fleet_sync_changed(struct fleet_sync *sync, struct error *err);

/* Call it after the proxy has read the folder. A file that the proxy does not enforce is a problem
 * of its namespace. */
typedef bool fleet_in_force_fn(void *arg, const char *ns, const char *hash);
void fleet_sync_confirm(struct fleet_sync *sync, fleet_in_force_fn *in_force, void *arg);

#endif
