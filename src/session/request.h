/* What the proxy reads of a command: its name and the top-level fields that routing, transactions
 * and error labels need. Pure. */
#ifndef SLUICE_SESSION_REQUEST_H
#define SLUICE_SESSION_REQUEST_H

#include "base/bytes.h"
#include "base/error.h"
#include "wire/command_names.h"
#include "wire/lsid.h"

/* Pointers are into the message. */
struct request {
    struct bytes body;
    const char *name;
    size_t name_len;
    enum command_name command; /* the number of that name */
    struct bytes database;     /* empty when the command has no $db */
    bool database_unclear; /* that is not given once, or is no string that can name a database */
    const uint8_t *lsid;   /* LSID_BYTES of the session's id; NULL without one */
    uint32_t flags;        /* of OP_MSG */
    bool legacy;           /* it came as OP_QUERY */
    bool has_database;
    bool has_txn_number;
    bool in_transaction; /* autocommit: false */
    bool starts_transaction;
};

/* Reads the body's top level. False when its BSON is broken there. */
bool request_read(struct bytes body, uint32_t flags, struct request *out, struct error *err);

/* Whether it commits or aborts a transaction. */
bool request_ends_transaction(enum command_name command);

/* The labels (enum wire_label) that an error of the proxy's own may carry in answer to it. */
uint32_t request_error_labels(const struct request *request);

#endif
