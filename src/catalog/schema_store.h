/* Schema files, written and removed so that whoever reads the directory sees a whole file or none,
 * also after a crash. */
#ifndef SLUICE_CATALOG_SCHEMA_STORE_H
#define SLUICE_CATALOG_SCHEMA_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* What the file of a namespace is called: "shop.orders.json". Characters that a file's name should
 * not have are percent-encoded. False when it would be too long. */
bool schema_store_name(const char *ns, char *out, size_t size);

/* Whether the path is that of a file right in the directory. */
bool schema_store_holds(const char *directory, const char *path);

/* Writes `path`, in the directory, anew: temporary file, fsync, rename, fsync of the directory. */
bool schema_store_write(const char *directory, const char *path, const void *text, size_t len,
                        struct error *err);
bool schema_store_remove(const char *directory, const char *path, struct error *err);

#endif
