/* Writes and removes schema files, so that readers of the folder see a whole file or none, also
 * after a crash. */
#ifndef SLUICE_CATALOG_SCHEMA_STORE_H
#define SLUICE_CATALOG_SCHEMA_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The file name of a namespace: "shop.orders.json". Percent-encodes characters that a file name
 * should not contain. False if it is too long. */
bool schema_store_name(const char *ns, char *out, size_t size);

/* True if the path is a file directly in the directory. */
bool schema_store_holds(const char *directory, const char *path);

/* Writes `path` in the directory: temporary file, fsync, rename, fsync of the directory. */
bool schema_store_write(const char *directory, const char *path, const void *text, size_t len,
                        struct error *err);
bool schema_store_remove(const char *directory, const char *path, struct error *err);

#endif
