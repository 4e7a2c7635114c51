/* The common parts of `mongosluice status` and `mongosluice top`: the address of the admin
 * endpoint, and its answers. */
#ifndef SLUICE_CLI_ASK_H
#define SLUICE_CLI_ASK_H

#include <bson/bson.h>

#include "base/bytes.h"
#include "cli/admin_client.h"

struct ask {
    struct client_target target;
    struct config *config; /* NULL without --config */
    unsigned interval_ms;  /* of top */
    bool json;
};

/* Reads the arguments. False, with the exit code, if they ask for help or are wrong. On true the
 * caller must call ask_end. */
bool ask_begin(int argc, char **argv, const char *usage, struct ask *ask, int *exit_code);
void ask_end(struct ask *ask);

/* Returns the answer as text, or as BSON (on true, call bson_destroy). */
bool ask_text(const struct ask *ask, const char *path, struct text *out, struct error *err);
bool ask_bson(const struct ask *ask, const char *path, bson_t **out, struct error *err);

static inline struct bytes ask_bytes(const bson_t *bson)
{
    if (bson == NULL)
        return (struct bytes){0};
    return bytes_of(bson_get_data(bson), bson->len);
}

#endif
