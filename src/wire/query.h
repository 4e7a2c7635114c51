/* OP_QUERY and OP_REPLY, as far as clients still use them: commands on `<db>.$cmd`, above all the
 * first hello of a connection. A query on another collection is a legacy find. Source: "Legacy
 * opcodes" of the wire protocol documentation. */
#ifndef SLUICE_WIRE_QUERY_H
#define SLUICE_WIRE_QUERY_H

#include "wire/header.h"

struct wire_query {
    uint32_t flags;
    bool is_find;          /* a legacy find: the next two fields are empty */
    struct bytes database; /* the name before ".$cmd" */
    struct bytes command;  /* the query document, or the contents of `{$query: {…}}` */
};

/* `payload` is the message without its header. False for a malformed message. */
bool wire_query_read(struct bytes payload, struct wire_query *out, struct error *err);

/* The first document of an OP_REPLY's payload. */
bool wire_reply_read(struct bytes payload, struct bytes *document, struct error *err);

#endif
