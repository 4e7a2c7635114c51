/* Schemas, commands and replies as extended JSON, for the tests of the room. */
#ifndef SLUICE_TESTS_ENFORCE_SUPPORT_H
#define SLUICE_TESTS_ENFORCE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bson/bson.h>
#include <cmocka.h>

#include "enforce/enforce.h"

/* Released with bson_destroy. */
bson_t *support_json(const char *json);
struct bytes support_bytes(const bson_t *bson);

/* An entry from a schema file's text. */
struct registry_entry *support_entry(const char *text, enum registry_origin origin);

#endif
