/* A statement of update, findAndModify or bulkWrite: what can be said about its result beforehand.
 */
#ifndef SLUICE_ENFORCE_UPDATE_H
#define SLUICE_ENFORCE_UPDATE_H

#include "enforce/grammar.h"
#include "enforce/judge.h"
#include "schema/prove.h"

struct update_statement {
    struct bytes query;         /* a document; empty where there is none */
    struct scan_element change; /* replacement, operators or pipeline; kind 0 where there is none */
    bool upsert;
    bool constants;         /* a pipeline may have them */
    bool by_id;             /* the query asks for the `_id` below */
    struct scan_element id; /* its kind and value */
};

/* False with err set where the statement does not fit the table, or is no BSON. */
bool update_read(const struct grammar *grammar, struct bytes statement,
                 struct update_statement *out, struct error *err);
/* The same of a findAndModify, whose fields were read. */
bool update_read_found(const struct grammar_found *found, const struct wire_command *command,
                       struct update_statement *out, struct error *err);

enum judged judge_update(struct judge *judge, uint32_t index,
                         const struct update_statement *statement);

/* --- for the files of this part --- */

/* What operators do to a document that is there, and which of them decides it. */
struct update_proof {
    enum schema_proof proof;
    const char *operator_name; /* NULL: there is none */
    bool bare;                 /* an operator has no fields: the server refuses the update */
    struct scan_element operand;
};

/* False with err set where an operand is no BSON. */
bool update_prove(const struct schema *schema, struct schema_scratch *scratch, struct bytes change,
                  struct update_proof *out, struct error *err);

/* errInfo of an update that the schema refuses because of a $set of a top-level field. Begins
 * `out`. False where it is refused for something else, there is no memory for it, or the schema's
 * errors do not tell the field. */
bool update_explain_set(struct judge *judge, const struct schema *schema,
                        const struct update_proof *proof, const struct scan_element *id,
                        struct build *out, struct bytes *info);

/* The document that an upsert would insert: equality conditions of the query, and operators. Begins
 * `out`. False where it cannot be made out. */
bool update_make_upsert(struct judge *judge, const struct update_statement *statement,
                        struct build *out, struct bytes *document);

/* Why an update with operators is refused. */
extern const char update_wrong_text[];

/* The change has operators, where it is no pipeline; else it is a replacement. */
bool update_has_operators(const struct update_statement *statement);
/* Of a replacement: whether the _id of the document that it inserts is not known. */
bool update_id_is_open(const struct update_statement *statement);
/* Of a replacement without an _id: whether the schema may refuse it for the _id that was made up.
 */
bool update_may_be_the_id(const struct judge *judge, const struct schema *schema,
                          const struct update_statement *statement);

/* Whether it is known which _id the query gives to a document without one that an upsert inserts:
 * that of an equality at the top, or none, and the server makes one. $and, $or, $in and their like
 * may give one too. */
bool update_upsert_id_is_clear(struct bytes query);

/* The value that a condition of a query asks for: the value itself, or that of $eq. */
bool update_equality(const struct scan_element *condition, struct scan_element *value);

/* Each operator with each of its fields; every operand is checked to be BSON. `each` returns false
 * to end the walk. *bare is set where an operator has no fields. */
typedef bool update_each_fn(void *arg, const struct scan_element *operator_element,
                            const struct scan_element *operand);
bool update_each(struct bytes change, update_each_fn *each, void *arg, bool *bare,
                 struct error *err);

#endif
