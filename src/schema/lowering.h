/* The common parts of the lower_*.c files: the vectors that become the program's block, and the
 * calls from one kind of rule to the others. After memory ran out (no_memory) all functions may
 * still be called, but their results are meaningless. */
#ifndef SLUICE_SCHEMA_LOWERING_H
#define SLUICE_SCHEMA_LOWERING_H

#include "schema/schema_internal.h"

/* A growing array of one of the program's structs. */
struct vector {
    void *data;
    size_t count;
    size_t room;
    size_t size; /* of one */
};

enum lower_vector {
    LOWER_NODES,
    LOWER_OBJECTS,
    LOWER_PROPERTIES,
    LOWER_ARRAYS,
    LOWER_NUMBERS,
    LOWER_BOUNDS,
    LOWER_STRINGS,
    LOWER_COMBINATIONS,
    LOWER_ENUMS,
    LOWER_VALUES,
    LOWER_TAGS,
    LOWER_PATTERNS,
    LOWER_DEPENDENCIES,
    LOWER_BITS,
    LOWER_LINKS,
    LOWER_TEXT,
    LOWER_VECTORS
};

struct lower {
    struct vector vectors[LOWER_VECTORS];
    struct vector folds; /* struct fold of lower.c */
    bool no_memory;
    bool too_many_names;
    bool check_repeated;
};

/* --- lower_block.c: the vectors, and the block made of them --- */

/* The size of an entry of each vector. */
void lower_begin(struct lower *l);
/* Copies all vectors into the block of the program. False when memory is out. */
bool lower_assemble(struct lower *l, struct program *program, uint32_t document_node);

/* The index of `count` new zeroed entries. */
uint32_t lower_push_many(struct lower *l, struct vector *v, size_t count);
void *lower_entry(struct lower *l, enum lower_vector id, size_t index);
/* Copies the value to a new entry. Returns its index. */
uint32_t lower_push(struct lower *l, enum lower_vector id, const void *value);
uint32_t lower_push_text(struct lower *l, const char *text, size_t len);
void lower_set_link(struct lower *l, uint32_t index, uint32_t value);

/* A hash table among the links: its size for `count` entries, the table, and one entry. */
uint32_t lower_slots_for(size_t count);
uint32_t lower_push_slots(struct lower *l, uint32_t size);
void lower_fill_slot(struct lower *l, uint32_t first, uint32_t mask, uint64_t hash, uint32_t value);

/* --- lower.c: nodes --- */

uint32_t lower_rule(struct lower *l, struct rule *rule);
uint32_t lower_list(struct lower *l, const struct rule_list *list);
/* True if the rule has no keywords except these and annotations. */
bool lower_holds_only(const struct rule *rule, uint64_t keywords);
/* The target of a rule that is only a reference. */
struct rule *lower_follow(struct rule *rule);

/* --- rules for values of one kind; NO_INDEX if there is none --- */

/* lower_scalar.c */
uint32_t lower_string(struct lower *l, const struct rule *rule);
uint32_t lower_number(struct lower *l, const struct rule *rule);
uint32_t lower_values(struct lower *l, const struct scan_element *values, size_t count);
type_mask lower_types_of_values(const struct scan_element *values, size_t count);
/* lower_container.c */
uint32_t lower_array(struct lower *l, const struct rule *rule);
uint32_t lower_object(struct lower *l, const struct rule *rule);
/* lower_combination.c. Also narrows the node's types by enum and const. */
void lower_combinations(struct lower *l, const struct rule *rule, struct node *node);

#endif
