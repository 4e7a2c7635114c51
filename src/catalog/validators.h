/* Reads the validators of the upstream's collections, with the credentials of its connection
 * string, on its own thread. */
#ifndef SLUICE_CATALOG_VALIDATORS_H
#define SLUICE_CATALOG_VALIDATORS_H

#include "schema/file.h"

struct uri;
struct validators;

/* One collection's `options` as listCollections gives them: BSON, with a `validator`. */
struct validators_found {
    char *ns;            /* "database.collection" */
    struct bytes schema; /* the value of $jsonSchema, if the validator contains nothing else */
    char *left_out;      /* otherwise the other parts; NULL without them */
    enum schema_level level;
    enum schema_action action;
};

struct validators_settings {
    int64_t period_ms; /* between two readings without validators_refresh */
    /* On that thread: a reading starts. */
    void (*begins)(void *arg);
    /* On that thread: all found validators. Valid during the call. */
    void (*found)(void *arg, const struct validators_found *all, size_t count);
    /* On that thread: the collections could not be read; the known validators stay. */
    void (*failed)(void *arg, const char *cause);
    void *arg;
};

/* Starts a reading at once. `uri` is borrowed during the call. */
struct validators *validators_start(const struct uri *uri,
                                    const struct validators_settings *settings, struct error *err);
/* Any thread: there may be a change; reads again soon. */
void validators_refresh(struct validators *validators);
/* Ends the readings; waits for a current one, at most for its server selection. No callback comes
 * after it; validators_refresh may still be called. NULL is allowed here and below. */
void validators_stop(struct validators *validators);
/* Call it after validators_stop. */
void validators_free(struct validators *validators);

#endif
