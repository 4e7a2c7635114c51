/* The schemas in force, from a folder and from the upstream's own collections. The set that the
 * workers have is replaced as a whole when something changed. */
#ifndef SLUICE_MAIN_SCHEMAS_H
#define SLUICE_MAIN_SCHEMAS_H

#include "enforce/registry.h"

struct schemas;

/* memory_max: what all compiled schemas may take; those of files come first.
 * `publish` gets each new set (borrowed for the call), on the thread that called, one at a time.
 * Any thread may call what follows.
 * A file that is broken at the start is an error: nothing would be enforced in its place. */
struct schemas *schemas_create(const char *folder, size_t memory_max,
                               void (*publish)(void *arg, struct registry *registry), void *arg,
                               struct error *err);
void schemas_destroy(struct schemas *schemas); /* NULL is allowed */

/* Reads the folder as schemas_create does, and reports each broken file. False when the folder
 * itself cannot be read. */
bool schemas_check(const char *folder, size_t memory_max,
                   void (*report)(void *arg, const char *path, const char *problem), void *arg,
                   struct error *err);

/* Looks whether files were added, changed or removed, and takes them over. A file that cannot be
 * read or compiled is reported in the log once, and its last good schema stays in force. */
void schemas_rescan(struct schemas *schemas);
/* Another folder ("": none) from now on. */
bool schemas_set_folder(struct schemas *schemas, const char *folder, struct error *err);

/* The validators of the upstream's collections, all of them, each for the duration of the call:
 * those of before that are not named again are gone. */
struct schemas_validator {
    const char *ns;
    struct bytes schema;  /* what stands behind $jsonSchema, where that is all of it */
    const char *left_out; /* why it is not enforced here; NULL: it is to be */
    enum schema_level level;
    enum schema_action action;
};
void schemas_set_validators(struct schemas *schemas, const struct schemas_validator *validators,
                            size_t count);

/* A reference to the present set. */
struct registry *schemas_registry(struct schemas *schemas);
/* Files that are broken now; an unreadable folder counts as one. */
size_t schemas_problems(struct schemas *schemas);

#endif
