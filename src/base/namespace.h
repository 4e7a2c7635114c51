/* "database.collection": joined and taken apart. */
#ifndef SLUICE_BASE_NAMESPACE_H
#define SLUICE_BASE_NAMESPACE_H

#include "base/bytes.h"

/* Writes DATABASE.COLLECTION without a NUL. Returns its length; 0 if it is longer than `size`. */
static inline size_t namespace_join(struct bytes database, struct bytes collection, void *out,
                                    size_t size)
{
    uint8_t *at = out;
    size_t database_len = bytes_left(&database);
    size_t collection_len = bytes_left(&collection);
    if (database_len >= size || collection_len > size - database_len - 1)
        return 0;
    memcpy(at, database.pos, database_len);
    at[database_len] = '.';
    memcpy(at + database_len + 1, collection.pos, collection_len);
    return database_len + 1 + collection_len;
}

/* The first dot divides: a collection may have more of them. False without a dot. */
static inline bool namespace_split(struct bytes ns, struct bytes *database,
                                   struct bytes *collection)
{
    const uint8_t *dot = memchr(ns.pos, '.', bytes_left(&ns));
    if (dot == NULL)
        return false;
    *database = (struct bytes){ns.pos, dot};
    *collection = (struct bytes){dot + 1, ns.end};
    return true;
}

/* Whether it has a database and a collection, neither of them empty. */
static inline bool namespace_is_whole(struct bytes ns)
{
    struct bytes database;
    struct bytes collection;
    return namespace_split(ns, &database, &collection) && bytes_left(&database) > 0 &&
           bytes_left(&collection) > 0;
}

#endif
