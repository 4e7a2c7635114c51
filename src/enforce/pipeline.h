/* Which stages of an aggregation pipeline write, and where: $out and $merge, which MongoDB takes as
 * the last stage alone. Anywhere else in it they are looked for too. */
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
    bool guarded;          /* that has a schema */
    bool collectionless;   /* aggregate: 1 */
    size_t stages;         /* that were taken */
    size_t left;           /* fields that may still be looked at one by one */
    enum pipeline_says says;
    struct judge_target target;
    const char *operator_name; /* of the stage that writes */
    struct error err;
};

void pipeline_begin(struct pipeline *pipeline, const struct registry *registry,
                    struct bytes database, bool guarded);
/* The next stage. What was said stays, but that no stage may follow one that writes. */
void pipeline_take(struct pipeline *pipeline, const struct scan_element *stage);
/* All stages of an array. */
void pipeline_take_array(struct pipeline *pipeline, struct bytes array);

/* Whether the document has a field 'db' at any depth that may name a database with a schema. */
bool pipeline_names_guarded(const struct registry *registry, struct bytes document);

#endif
