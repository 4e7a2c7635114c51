/* What `mongosluice status` and `mongosluice top` have in common: where the admin endpoint is, and
 * its answers. */
#ifndef SLUICE_CLI_ASK_H
#define SLUICE_CLI_ASK_H

#include <bson/bson.h>

#include "base/bytes.h"
#include "cli/admin_client.h"

struct ask {
    struct client_target target;
    struct config *config; /* NULL: none was named */
    unsigned interval_ms;  /* of top */
    bool json;
};

/* Reads the arguments. False, with the exit code: help was asked for, or they are wrong. ask_end is
 * due when it is true. */
bool ask_begin(int argc, char **argv, const char *usage, struct ask *ask, int *exit_code);
void ask_end(struct ask *ask);

/* The answer as text, and as BSON (bson_destroy is due when it is true). */
bool ask_text(const struct ask *ask, const char *path, struct text *out, struct error *err);
bool ask_bson(const struct ask *ask, const char *path, bson_t **out, struct error *err);

static inline struct bytes ask_bytes(const bson_t *bson)
{
    if (bson == NULL)
        return (struct bytes){0};
    return bytes_of(bson_get_data(bson), bson->len);
}

#endif
