/* Finds the quick operations of a program: see enum quick_op. */
#ifndef SLUICE_SCHEMA_QUICK_H
#define SLUICE_SCHEMA_QUICK_H

#include "schema/program.h"

/* Of `len` bytes at text, as many as a head holds. */
struct head quick_head(const char *text, size_t len);

/* Of a whole value, if it is a string that a head holds; else one that matches nowhere. */
struct head quick_string_head(const struct compare_value *value);

/* Fills in the quick operations of a program that is otherwise complete: `properties` and `arrays`
 * are its own. */
void quick_fill(const struct program *program, struct property *properties,
                struct array_rule *arrays, size_t object_count, size_t array_count);

#endif
