/* The JSON text of a schema file as BSON. The text must be JSON to the letter (RFC 8259), in UTF-8
 * without a byte-order mark, one object, and no object may hold a name twice.
 *
 * Extended JSON ({"$numberLong": "5"}) counts where a value stands: in enum, minimum, default, ….
 * Where a schema or a list of names stands, an object is taken as it is written, so that a property
 * can have a name such as `$date`. Source: "MongoDB Extended JSON (v2)". */
#ifndef SLUICE_SCHEMA_FILE_TEXT_H
#define SLUICE_SCHEMA_FILE_TEXT_H

#include "schema/schema.h"

#include <bson/bson.h>

/* NULL after a problem. Each problem is reported with its pointer, and with line and column in the
 * message. Released with bson_destroy. */
bson_t *schema_text_read(const char *text, size_t len, schema_report_fn *report, void *arg);

struct text_place {
    unsigned line;   /* from 1 */
    unsigned column; /* from 1, in characters */
};
/* The place of text[at]. */
struct text_place schema_text_place(const char *text, size_t at);

#endif
