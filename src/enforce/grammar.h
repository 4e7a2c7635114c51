/* The grammar of write commands, as tables: each field, its allowed BSON types, its meaning for the
 * write, and the code of MongoDB's error for another type or a missing field. A command outside the
 * grammar is not understood, and the answer is that code.
 *
 * Source: the answers of a MongoDB 4.4 server for each field and type
 * (tests/conformance/field_types). Fields of newer servers are included. */
#ifndef SLUICE_ENFORCE_GRAMMAR_H
#define SLUICE_ENFORCE_GRAMMAR_H

#include "base/error.h"
#include "schema/types.h"
#include "wire/field_names.h"

/* The meaning of a field for the write. */
enum grammar_meaning {
    MEANS_NOTHING, /* does not tell where, what or whether the command writes */

    /* where */
    MEANS_NAMESPACE,  /* "database.collection" */
    MEANS_NAMESPACES, /* bulkWrite's list of namespaces */
    MEANS_PLACE,      /* an index into this list */
    MEANS_TARGET,     /* of $out, $merge and mapReduce: a name, or an object with it */

    /* what */
    MEANS_LIST,     /* documents, or statements; a document sequence too */
    MEANS_DOCUMENT, /* of an insert in a bulkWrite */
    MEANS_QUERY,
    MEANS_CHANGE, /* a replacement, operators or a pipeline */
    MEANS_CONSTANTS,
    MEANS_PIPELINE,
    MEANS_OPAQUE, /* the server changes the documents because of it */

    /* whether, and how many */
    MEANS_UPSERT,
    MEANS_REMOVE,
    MEANS_NEW,
    MEANS_EXPLAIN,
    MEANS_INLINE, /* the result is returned, not stored */
    MEANS_ORDERED,
    MEANS_BYPASS,
    MEANS_CONCERN, /* the write concern: whether the client gets the result */

    /* numbers of statements, for retries */
    MEANS_NUMBER,
    MEANS_NUMBERS,
    MEANS_TRANSACTION,

    /* fields whose value has a form, beside its type */
    MEANS_WITH_FORM,
    MEANS_COLLECTION = MEANS_WITH_FORM, /* in the command's database */
    MEANS_DATABASE,
    MEANS_SESSION,
    MEANS_TIME,
    MEANINGS
};

struct grammar_field {
    const char *name;
    uint8_t name_len;
    uint8_t known; /* enum field_name: numbered names are found by it */
    uint8_t meaning;
    type_mask kinds; /* null and undefined in it mean "not given" */
    int code;        /* for another type */
    int missing;     /* if it is missing; 0: allowed */
};

struct grammar {
    const char *what;               /* in errors: "insert" */
    struct grammar_field own;       /* the first field, which names the command; or none */
    const struct grammar_field *at; /* the others */
    size_t count;                   /* at most 64 */
    int unknown;                    /* the code for a field outside the table */
    bool sequences;                 /* its lists may be document sequences */
};

/* The given fields, by meaning. */
struct grammar_found {
    uint64_t seen;  /* one bit for each field of the table */
    uint32_t given; /* one bit for each meaning */
    struct scan_element at[MEANINGS];
};

static inline bool grammar_has(const struct grammar_found *found, enum grammar_meaning meaning)
{
    return (found->given >> meaning & 1) != 0;
}

/* Starts without a field. */
static inline void grammar_begin(struct grammar_found *found)
{
    found->seen = 0;
    found->given = 0;
}

/* Takes the first field, which names the command. */
bool grammar_take_own(const struct grammar *grammar, const struct scan_element *field,
                      struct grammar_found *found, struct error *err);
/* Takes a field; `known` is the number of its name, or FIELD_OTHER without one. False for an
 * unknown field, a repeated field, or a wrong type. */
bool grammar_take(const struct grammar *grammar, enum field_name known,
                  const struct scan_element *field, struct grammar_found *found, struct error *err);
/* Does the same for the documents of a sequence; the field's kind is then 0. */
bool grammar_take_sequence(const struct grammar *grammar, const struct scan_element *sequence,
                           struct grammar_found *found, struct error *err);
/* Call it after the last field: false if a field is missing. */
bool grammar_end(const struct grammar *grammar, const struct grammar_found *found,
                 struct error *err);
/* Reads a whole document; its first field is the command's own if the table has one. */
bool grammar_read(const struct grammar *grammar, struct bytes document, struct grammar_found *found,
                  struct error *err);

/* True for every value except 0, false, null and undefined. */
bool grammar_is_true(const struct scan_element *element);
/* A name of a collection or database: a non-empty string without a NUL. With `symbols`, a symbol
 * counts too. */
bool grammar_is_name(const struct scan_element *element, bool symbols, struct bytes *name);

/* --- the tables (grammar_tables.c) --- */

extern const struct grammar grammar_insert;
extern const struct grammar grammar_update;
extern const struct grammar grammar_update_statement;
extern const struct grammar grammar_find_and_modify;
extern const struct grammar grammar_bulk_write;
extern const struct grammar grammar_bulk_namespace;
extern const struct grammar grammar_bulk_insert;
extern const struct grammar grammar_bulk_update;
extern const struct grammar grammar_bulk_delete;
extern const struct grammar grammar_aggregate;
extern const struct grammar grammar_out;
extern const struct grammar grammar_merge;
extern const struct grammar grammar_merge_into;
extern const struct grammar grammar_map_reduce;
extern const struct grammar grammar_map_reduce_out;
extern const struct grammar grammar_rename_collection;
extern const struct grammar grammar_clone_as_capped;

#endif
