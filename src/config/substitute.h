/* Values that name their source: the contents of a file, or a variable of the environment. Pure:
 * the caller reads files and variables. Private to this room.
 *
 *   file:PATH          the contents of the file, if the whole value has this form
 *   ${NAME}            a variable
 *   ${file:PATH}       the contents of a file
 *   ${percent:…}       either of both, with percent-encoding: for a part of a URI
 *   $${                the two characters ${
 */
#ifndef SLUICE_CONFIG_SUBSTITUTE_H
#define SLUICE_CONFIG_SUBSTITUTE_H

#include "base/error.h"
#include "base/text.h"

/* The maximal length of a file with a value, and of a path or name in ${…}. */
enum { SUBSTITUTE_FILE_BYTES = 64 * 1024, SUBSTITUTE_NAME_BYTES = 4096 };

struct substitute_sources {
    /* NULL if the variable is not set. */
    const char *(*variable)(void *arg, const char *name);
    /* Adds all bytes of the file; false with the reason in err. */
    bool (*file)(void *arg, const char *path, struct text *out, struct error *err);
    void *arg;
};

/* True if substitute_expand would change the text. `variables`: ${…} counts too. */
bool substitute_is_needed(const char *written, bool variables);

/* Adds the value to `out`, a growing text. The newline at the end of a file is not part of the
 * value. The error says what is wrong, and never contains a substituted value. */
bool substitute_expand(const char *written, bool variables,
                       const struct substitute_sources *sources, struct text *out,
                       struct error *err);

#endif
