/* Makes a proxy's schema file from a registry's document, and finds the schema in a schema file.
 * Pure. */
#ifndef SLUICE_FLEET_RENDER_H
#define SLUICE_FLEET_RENDER_H

#include "base/text.h"
#include "fleet/fleet_document.h"

/* Renders and checks the file: each schema must match its hash, and the file must compile. False
 * with the error, also for a document that accepts nothing (is_fleet_empty). Without memory `out`
 * is cut, and the check fails. */
bool fleet_render(const struct fleet_document *document, struct text *out, struct error *err);

static inline bool fleet_is_empty(const struct fleet_document *document)
{
    return document->state.accepted_count == 0;
}

/* Renders one version as a separate file, with the settings of the state. */
bool fleet_render_version(const struct fleet_document *document,
                          const struct fleet_version *version, struct text *out, struct error *err);

/* Finds the text of the member `schema` in a schema file. False if the top level has none. */
bool fleet_find_schema_text(const char *text, size_t len, const char **start, size_t *schema_len);

#endif
