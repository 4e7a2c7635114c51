/* A statement of update, findAndModify or bulkWrite, and the judgement of its result before it
 * runs. */
#ifndef SLUICE_ENFORCE_UPDATE_H
#define SLUICE_ENFORCE_UPDATE_H

#include "enforce/grammar.h"
#include "enforce/judge.h"
#include "schema/prove.h"

struct update_statement {
    struct bytes query;         /* a document; empty without one */
    struct scan_element change; /* replacement, operators or pipeline; kind 0 without one */
    bool upsert;
    bool constants;         /* constants for a pipeline */
    bool by_id;             /* the query selects the `_id` below */
    struct scan_element id; /* its kind and value */
};

/* False with err set if the statement does not fit the table or is not BSON. */
bool update_read(const struct grammar *grammar, struct bytes statement,
                 struct update_statement *out, struct error *err);
/* The same for a findAndModify, whose fields were read. */
bool update_read_found(const struct grammar_found *found, const struct wire_command *command,
                       struct update_statement *out, struct error *err);

enum judged judge_update(struct judge *judge, uint32_t index,
                         const struct update_statement *statement);

/* --- for the files of this part --- */

/* The effect of operators on an existing document, and the operator that decides it. */
struct update_proof {
    enum schema_proof proof;
    const char *operator_name; /* NULL: none */
    bool bare;                 /* an operator has no fields: the server refuses the update */
    struct scan_element operand;
};

/* False with err set if an operand is not BSON. */
bool update_prove(const struct schema *schema, struct schema_scratch *scratch, struct bytes change,
                  struct update_proof *out, struct error *err);

/* Writes errInfo for an update that the schema refuses because of a $set of a top-level field.
 * Starts `out`. False if the refusal has another cause, if there is no memory, or if the schema's
 * errors do not name the field. */
bool update_explain_set(struct judge *judge, const struct schema *schema,
                        const struct update_proof *proof, const struct scan_element *id,
                        struct build *out, struct bytes *info);

/* Builds the document that an upsert would insert, from equality conditions of the query and from
 * operators. Starts `out`. False if the document is not certain. */
bool update_make_upsert(struct judge *judge, const struct update_statement *statement,
                        struct build *out, struct bytes *document);

/* The reason for refused updates with operators. */
extern const char update_wrong_text[];

/* True for operators, false for a replacement; for changes that are not pipelines. */
bool update_has_operators(const struct update_statement *statement);
/* For a replacement: true if the _id of the inserted document is unknown. */
bool update_id_is_open(const struct update_statement *statement);
/* For a replacement without an _id: true if the schema may refuse it because of the assumed _id. */
bool update_may_be_the_id(const struct judge *judge, const struct schema *schema,
                          const struct update_statement *statement);

/* True if the _id of an upserted document is certain: from an equality at the top of the query, or
 * absent, so that the server creates it. $and, $or, $in and similar operators may set one too. */
bool update_upsert_id_is_clear(struct bytes query);

/* The value that a condition of a query requires: the value itself, or that of $eq. */
bool update_equality(const struct scan_element *condition, struct scan_element *value);

/* Calls `each` for each field of each operator; every operand is checked as BSON. `each` returns
 * false to end the walk. *bare is set if an operator has no fields. */
typedef bool update_each_fn(void *arg, const struct scan_element *operator_element,
                            const struct scan_element *operand);
bool update_each(struct bytes change, update_each_fn *each, void *arg, bool *bare,
                 struct error *err);

#endif
