/* The schema file that a proxy keeps of a registry's document, and schemas out of schema files.
 * Pure. */
#ifndef SLUICE_FLEET_RENDER_H
#define SLUICE_FLEET_RENDER_H

#include "base/text.h"
#include "fleet/fleet_document.h"

/* The file, checked: each schema is the one that its hash names, and the file compiles. False with
 * what is wrong; a document that accepts nothing is no file (is_fleet_empty). `out` is cut where
 * memory is out, and so counts as wrong. */
bool fleet_render(const struct fleet_document *document, struct text *out, struct error *err);

static inline bool fleet_is_empty(const struct fleet_document *document)
{
    return document->state.accepted_count == 0;
}

/* One version as a file of its own, with the settings of the state. */
bool fleet_render_version(const struct fleet_document *document,
                          const struct fleet_version *version, struct text *out, struct error *err);

/* The member `schema` of a schema file's text, as it stands there. False: there is none at the
 * top. */
bool fleet_find_schema_text(const char *text, size_t len, const char **start, size_t *schema_len);

#endif
