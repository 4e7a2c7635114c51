/* The follower's state of each namespace. One thread. */
#ifndef SLUICE_FLEET_KNOWN_H
#define SLUICE_FLEET_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "schema/versions.h"

struct known {
    char *ns;         /* owned */
    int64_t revision; /* of the document whose file is in the folder; 0: none */
    int64_t updated_ms;
    bool has_file;   /* false: the proxy enforces nothing for it */
    bool is_written; /* its file is new, and it is not yet certain that the proxy enforces it */
    char hash[SCHEMA_HASH_SIZE]; /* of the newest version in that file */
    char *problem;               /* owned: why the newest document is not enforced; NULL: it is */
    unsigned seen;               /* the last round in which the registry had it */
    UT_hash_handle hh;
    bool unhashed;
};

struct known_table {
    struct known *of;
};

/* Adds the namespace if it is missing. NULL without memory. */
struct known *known_get(struct known_table *table, const char *ns);
struct known *known_find(const struct known_table *table, const char *ns);
void known_remove(struct known_table *table, struct known *known);
void known_clear(struct known_table *table);
/* NULL clears the problem. True if the problem changed. */
bool known_set_problem(struct known *known, const char *problem);

#endif
