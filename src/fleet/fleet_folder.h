/* The schema folder of a proxy that follows a registry: the list of the registry's files in it, and
 * their changes. A file is always whole, also after a crash. The list is FOLDER/.registry. It gets
 * a name before the file exists, and loses it after the file is removed, so a crash leaves no file
 * that is missing from the list.
 *
 * One proxy owns the folder and locks FOLDER/.registry.lock while it is open. One thread. */
#ifndef SLUICE_FLEET_FOLDER_H
#define SLUICE_FLEET_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct fleet_folder;

/* NULL: the folder cannot be read or written, or another proxy follows a registry into it. */
struct fleet_folder *fleet_folder_open(const char *path, struct error *err);
void fleet_folder_close(struct fleet_folder *folder); /* NULL is allowed */

/* The number of the registry's files. */
size_t fleet_folder_count(const struct fleet_folder *folder);
/* True if the folder has a list of files. Does not open the folder. */
bool fleet_folder_is_fed(const char *path);

/* Makes the namespace's file one of the registry's. fleet_folder_save then writes the list. A file
 * of that name from elsewhere keeps a second name, NAME.replaced, which no proxy reads. */
bool fleet_folder_claim(struct fleet_folder *folder, const char *ns, struct error *err);
bool fleet_folder_save(struct fleet_folder *folder, struct error *err);

/* Writes the file of a claimed namespace. *changed false: it had this text already. */
bool fleet_folder_put(struct fleet_folder *folder, const char *ns, const char *text, size_t len,
                      bool *changed, struct error *err);
/* True if the file exists. */
bool fleet_folder_holds(const struct fleet_folder *folder, const char *ns);
/* Removes the file if it is the registry's. */
bool fleet_folder_remove(struct fleet_folder *folder, const char *ns, bool *changed,
                         struct error *err);

#endif
