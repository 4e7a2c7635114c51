/* Reads the validators of the upstream's collections, with the credentials of its connection
 * string, on a thread of its own. */
#ifndef SLUICE_CATALOG_VALIDATORS_H
#define SLUICE_CATALOG_VALIDATORS_H

#include "schema/file.h"

struct uri;
struct validators;

/* One collection's `options` as listCollections gives them: BSON, with a `validator`. */
struct validators_found {
    char *ns;            /* "database.collection" */
    struct bytes schema; /* what stands behind $jsonSchema, where that is all of the validator */
    char *left_out;      /* where it is not: what else there is; else NULL */
    enum schema_level level;
    enum schema_action action;
};

struct validators_settings {
    int64_t period_ms; /* between two readings, but for validators_refresh */
    /* On that thread: a reading begins. */
    void (*begins)(void *arg);
    /* On that thread: all that were found. Valid during the call. */
    void (*found)(void *arg, const struct validators_found *all, size_t count);
    /* On that thread: the collections could not be read; what was known stays. */
    void (*failed)(void *arg, const char *cause);
    void *arg;
};

/* Begins to read at once. uri: borrowed for the call. */
struct validators *validators_start(const struct uri *uri,
                                    const struct validators_settings *settings, struct error *err);
/* Any thread: something may have changed; reads again soon. */
void validators_refresh(struct validators *validators);
/* Ends the readings; waits for one under way, at most as long as its server selection. No callback
 * comes after it; validators_refresh may still be called. NULL is allowed, here and below. */
void validators_stop(struct validators *validators);
/* After validators_stop. */
void validators_free(struct validators *validators);

#endif
