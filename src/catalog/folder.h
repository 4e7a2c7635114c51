/* The folder of schema files: finds added, changed and removed files and puts their schemas into
 * the set. A file with errors is logged once, and its last good schema stays. */
#ifndef SLUICE_CATALOG_FOLDER_H
#define SLUICE_CATALOG_FOLDER_H

#include "catalog/current_set.h"

struct folder_file; /* a file as last seen */

struct folder {
    char *path;                /* "": no folder */
    struct folder_file *files; /* sorted by path */
    size_t count;
    bool unreadable; /* at the last reading; logged once */
};

/* Puts the schema of a file into the draft as a reading does, with the same refusals: no namespace,
 * another file's namespace, too little memory. Takes over the content of `file`, also on failure.
 */
bool folder_admit(struct current_set *set, const char *path, struct schema_file *file,
                  struct error *err);

/* False without memory. */
bool folder_init(struct folder *folder, const char *path);
void folder_release(struct folder *folder);
/* Takes over the path; the next reading uses it. */
void folder_set_path(struct folder *folder, char *path);

/* The first reading. False with the first problem: the folder is unreadable, or a file has errors;
 * the schemas of the other files are in the draft. */
bool folder_load(struct folder *folder, struct current_set *set, struct error *err);
/* A later reading. `retry`: also reads unchanged files with errors. */
void folder_rescan(struct folder *folder, struct current_set *set, bool retry);

/* The number of files with errors; an unreadable folder counts as one. */
size_t folder_broken(const struct folder *folder);
void folder_each_problem(const struct folder *folder,
                         void (*report)(void *arg, const char *path, const char *problem),
                         void *arg);

#endif
