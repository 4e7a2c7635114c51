/* A string of JSON, decoded. Source: RFC 8259. */
#ifndef SLUICE_SCHEMA_JSON_STRING_H
#define SLUICE_SCHEMA_JSON_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The string whose quote is text[*at], in a text of valid UTF-8; memory_free is due. *at is then
 * behind it. NULL: *at is the place of the fault and *why, a static text, names it; *why is NULL
 * where memory is out. */
char *json_string_decode(const char *text, size_t text_len, size_t *at, size_t *len,
                         const char **why);

#endif
