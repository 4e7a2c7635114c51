/* Schemas and documents as extended JSON, for tests. A JSON error fails the test. */
#ifndef SLUICE_TESTS_SCHEMA_SUPPORT_H
#define SLUICE_TESTS_SCHEMA_SUPPORT_H

#include "../json_document.h"

#include "schema/schema.h"

/* The verdict on a document. */
enum schema_verdict support_check(enum schema_dialect dialect, const char *schema,
                                  const char *document, struct error *err);

void support_valid(enum schema_dialect dialect, const char *schema, const char *document);
void support_invalid(enum schema_dialect dialect, const char *schema, const char *document);

/* The schema is refused with that code. */
void support_refused(enum schema_dialect dialect, const char *schema, int code);

#endif
