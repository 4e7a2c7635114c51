/* Finds the quick operations of a program: see enum quick_op. */
#ifndef SLUICE_SCHEMA_QUICK_H
#define SLUICE_SCHEMA_QUICK_H

#include "schema/program.h"

/* The head of a name (the parser refuses names with a NUL) and its NUL. A head that matches nowhere
 * if they are too long. */
struct head quick_name_head(const char *name, size_t len);

/* The head of a whole value, if it is a string that a head can hold; otherwise one that matches
 * nowhere. */
struct head quick_string_head(const struct compare_value *value);

/* Uses the node alone, temporarily or permanently. */
static inline struct quick quick_none(uint32_t node)
{
    return (struct quick){.kind = QUICK_NO_KIND, .op = QUICK_NONE, .node = node};
}

/* Fills in the quick operations of an otherwise complete program, which owns `properties` and
 * `arrays`. */
void quick_fill(struct program *program, uint32_t document_node, struct property *properties,
                struct array_rule *arrays, size_t object_count, size_t array_count);

#endif
