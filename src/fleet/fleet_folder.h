/* The schema folder of a proxy that follows a registry: which of its files the registry feeds, and
 * how they change. A file is always whole, also after a crash. The names of the registry's files
 * stand in a list of its own, FOLDER/.registry: a name is put there before its file is made, and
 * taken out after its file is gone, so a crash leaves no file that nobody knows.
 *
 * One proxy owns the folder: FOLDER/.registry.lock is locked while it is open. One thread. */
#ifndef SLUICE_FLEET_FOLDER_H
#define SLUICE_FLEET_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct fleet_folder;

/* NULL: the folder cannot be read or written, or another proxy follows a registry in it. */
struct fleet_folder *fleet_folder_open(const char *path, struct error *err);
void fleet_folder_close(struct fleet_folder *folder); /* NULL is allowed */

/* How many of its files are the registry's. */
size_t fleet_folder_count(const struct fleet_folder *folder);
/* Whether there is such a list of files in the folder, without opening it. */
bool fleet_folder_is_fed(const char *path);

/* The namespace's file will be the registry's. fleet_folder_save then writes the list down. A file
 * of that name that was not the registry's keeps a second name, NAME.replaced, which nobody reads.
 */
bool fleet_folder_claim(struct fleet_folder *folder, const char *ns, struct error *err);
bool fleet_folder_save(struct fleet_folder *folder, struct error *err);

/* Writes the file of a claimed namespace. *changed false: it is so already. */
bool fleet_folder_put(struct fleet_folder *folder, const char *ns, const char *text, size_t len,
                      bool *changed, struct error *err);
/* Whether the file is there. */
bool fleet_folder_holds(const struct fleet_folder *folder, const char *ns);
/* Removes it, if it is the registry's. */
bool fleet_folder_remove(struct fleet_folder *folder, const char *ns, bool *changed,
                         struct error *err);

#endif
