/* Reads the JSON text of a schema file as BSON. The text must be strict JSON (RFC 8259), in UTF-8
 * without a byte-order mark, and one object; no object may contain a name twice.
 *
 * Extended JSON ({"$numberLong": "5"}) is recognised at places for values: in enum, minimum,
 * default, …. At places for schemas or lists of names an object is taken literally, so a property
 * can have a name such as `$date`. Source: "MongoDB Extended JSON (v2)". */
#ifndef SLUICE_SCHEMA_FILE_TEXT_H
#define SLUICE_SCHEMA_FILE_TEXT_H

#include "schema/schema.h"

#include <bson/bson.h>

/* NULL after a problem. Reports each problem with its pointer, and with line and column in the
 * message. Release the result with bson_destroy. */
bson_t *schema_text_read(const char *text, size_t len, schema_report_fn *report, void *arg);

struct text_place {
    unsigned line;   /* from 1 */
    unsigned column; /* from 1, in characters */
};
/* The place of text[at]. */
struct text_place schema_text_place(const char *text, size_t at);

#endif
