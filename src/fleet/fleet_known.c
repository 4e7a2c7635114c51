#include "fleet/fleet_known.h"

#include <string.h>

struct known *known_find(const struct known_table *table, const char *ns)
{
    struct known *known = NULL;
    HASH_FIND_STR(table->of, ns, known);
    return known;
}

/* The function is long because of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
struct known *known_get(struct known_table *table, const char *ns)
{
    struct known *known = known_find(table, ns);
    if (known != NULL)
        return known;
    known = memory_zalloc(sizeof *known);
    if (known != NULL)
        known->ns = memory_copy_string(ns);
    if (known != NULL && known->ns != NULL) {
        HASH_ADD_KEYPTR(hh, table->of, known->ns, strlen(known->ns), known);
        if (!known->unhashed)
            return known;
    }
    if (known != NULL)
        memory_free(known->ns);
    memory_free(known);
    return NULL;
}

void known_remove(struct known_table *table, struct known *known)
{
    HASH_DEL(table->of, known);
    memory_free(known->ns);
    memory_free(known->problem);
    memory_free(known);
}

void known_clear(struct known_table *table)
{
    while (table->of != NULL)
        known_remove(table, table->of);
}

bool known_set_problem(struct known *known, const char *problem)
{
    if (problem == NULL ? known->problem == NULL
                        : known->problem != NULL && strcmp(problem, known->problem) == 0)
        return false;
    memory_free(known->problem);
    known->problem = problem == NULL ? NULL : memory_copy_string(problem);
    return true;
}
