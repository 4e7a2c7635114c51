/* Reads the files and variables that values name. Private to this room. */
#ifndef SLUICE_CONFIG_SOURCES_H
#define SLUICE_CONFIG_SOURCES_H

#include "config/settings.h"
#include "config/substitute.h"

/* Adds the bytes of a file of at most `max` bytes. The error is a phrase without the path: "cannot
 * be opened: No such file or directory". */
bool sources_read_file(const char *path, size_t max, struct text *out, struct error *err);

/* Replaces each text that names a file or a variable by its value. `file` is for errors. Variables
 * are taken from `variables`; NULL: neither files nor variables may be named. */
bool sources_resolve(struct settings *settings, const char *file, char *const *variables,
                     struct error *err);

#endif
