/* Finds the writing stages of an aggregation pipeline and their targets: $out and $merge. MongoDB
 * accepts them as the last stage only; this module finds them at every place. */
#ifndef SLUICE_ENFORCE_PIPELINE_H
#define SLUICE_ENFORCE_PIPELINE_H

#include "enforce/judge.h"

enum pipeline_says {
    PIPELINE_READS,  /* it writes to no namespace with a schema */
    PIPELINE_WRITES, /* to `target` */
    PIPELINE_WRONG   /* it may, and the server refuses it with err */
};

struct pipeline {
    const struct registry *registry;
    struct bytes database; /* the command's */
    bool guarded;          /* it has a schema */
    bool collectionless;   /* aggregate: 1 */
    size_t stages;         /* processed so far */
    size_t left;           /* fields that may still be visited one by one */
    enum pipeline_says says;
    struct judge_target target;
    const char *operator_name; /* of the writing stage */
    struct error err;
};

void pipeline_begin(struct pipeline *pipeline, const struct registry *registry,
                    struct bytes database, bool guarded);
/* Processes the next stage. Earlier findings stay; a stage after a writing stage is an error. */
void pipeline_take(struct pipeline *pipeline, const struct scan_element *stage);
/* Processes all stages of an array. */
void pipeline_take_array(struct pipeline *pipeline, struct bytes array);

/* True if a field 'db' at any depth may name a database with a schema. */
bool pipeline_names_guarded(const struct registry *registry, struct bytes document);

#endif
