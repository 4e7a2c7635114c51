/* Documents of one insert command, and the judgement of its reply. */
#ifndef SIMULATION_BATCH_H
#define SIMULATION_BATCH_H

#include "client.h"

enum { BATCH_MAX = 16 };
enum { DUPLICATE_KEY = 11000, DOCUMENT_VALIDATION = 121 };

struct batch_entry {
    struct written *written;
    bson_t *document;
    bool breaks;    /* its schema refuses it */
    bool duplicate; /* it is stored already */
};

struct batch {
    const char *collection;
    bool ordered;
    unsigned count;
    struct batch_entry entries[BATCH_MAX];
};

/* One of the two; the one with the schema often. */
const char *documents_choose_collection(struct operation *operation);
/* Adds a new document of this operation. `breaks`: against the strict schema. */
void documents_add(struct operation *operation, struct batch *batch, bool breaks);
/* Adds a document that the client has stored before; it must not be busy. */
void documents_add_again(struct operation *operation, struct batch *batch, struct written *written);
/* Runs the insert with the client's write concern, and notes the fates. False: not acknowledged. */
bool documents_insert(struct operation *operation, struct batch *batch);
void documents_release(const struct operation *operation, struct batch *batch);

/* Appends writeConcern as the client's habit is. */
void step_append_concern(const struct operation *operation, bson_t *command);
/* A document of the client that is stored and that no other operation works on; NULL: none. */
struct written *step_choose_stored(struct operation *operation);
/* Notes when the documents were sent. */
void documents_begun(struct batch_entry *entries, unsigned count, const struct result *result);
/* The fate of all documents of a command without a usable answer. */
void documents_take_failure(const struct operation *operation, struct batch *batch,
                            const char *command, const struct result *result);
/* The fate of one document that an answer reports: `code` 0 is success. */
void documents_take_outcome(const struct operation *operation, struct batch_entry *entry,
                            const char *command, const bson_t *reply, int code, bool majority);
/* The document of a write error must name the document that failed. */
bson_t *documents_make_document(const struct client *client, int64_t token, unsigned breaks);

#endif
