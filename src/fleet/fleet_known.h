/* What a follower knows of each namespace. One thread. */
#ifndef SLUICE_FLEET_KNOWN_H
#define SLUICE_FLEET_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "schema/versions.h"

struct known {
    char *ns;         /* owned */
    int64_t revision; /* of the document whose file stands in the folder; 0: none */
    int64_t updated_ms;
    bool has_file;               /* false: nothing is enforced for it */
    bool is_written;             /* its file was written, and is not known to be in force */
    char hash[SCHEMA_HASH_SIZE]; /* of the newest version in that file */
    char *problem;               /* owned: why the newest document is not in force; NULL: it is */
    unsigned seen;               /* the round in which the registry had it last */
    UT_hash_handle hh;
    bool unhashed;
};

struct known_table {
    struct known *of;
};

/* Makes it where there is none; NULL when memory is out. */
struct known *known_get(struct known_table *table, const char *ns);
struct known *known_find(const struct known_table *table, const char *ns);
void known_remove(struct known_table *table, struct known *known);
void known_clear(struct known_table *table);
/* NULL: nothing is wrong. True: it was another before. */
bool known_set_problem(struct known *known, const char *problem);

#endif
