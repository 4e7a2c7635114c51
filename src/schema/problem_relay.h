/* Reports problems of a part of a schema file with its place in the whole file. */
#ifndef SLUICE_SCHEMA_PROBLEM_RELAY_H
#define SLUICE_SCHEMA_PROBLEM_RELAY_H

#include "schema/schema.h"

struct problem_relay {
    schema_report_fn *report; /* NULL: no single problem is reported … */
    void *arg;
    struct error *err;  /* … and NULL, or the place for the first one */
    const char *prefix; /* the JSON pointer to the part */
    unsigned problems;  /* reported so far */
};

/* A schema_report_fn; `arg` is the relay. */
void problem_relay_report(void *arg, const struct schema_problem *problem);

/* Reports a problem of one field of the part ("": the part itself). Returns false. */
bool problem_relay_field(struct problem_relay *relay, const char *field, int code,
                         const char *message);

#endif
