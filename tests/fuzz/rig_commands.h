/* The kinds of messages of a rig's clients, and their bodies. */
#ifndef SLUICE_FUZZ_RIG_COMMANDS_H
#define SLUICE_FUZZ_RIG_COMMANDS_H

#include "bson/build.h"

enum message_kind {
    MESSAGE_PING,
    MESSAGE_HELLO,
    MESSAGE_HELLO_STREAM,
    MESSAGE_INSERT,
    MESSAGE_INSERT_RETRYABLE,
    MESSAGE_INSERT_GUARDED,
    MESSAGE_INSERT_REFUSED,
    MESSAGE_INSERT_UNACKNOWLEDGED,
    MESSAGE_INSERT_IN_TRANSACTION,
    MESSAGE_UPDATE_REFUSED,
    MESSAGE_BULK_WRITE,
    MESSAGE_FIND_MODIFY,
    MESSAGE_AGGREGATE_OUT,
    MESSAGE_GET_MORE,
    MESSAGE_SASL_START,
    MESSAGE_SASL_CONTINUE,
    MESSAGE_END_SESSIONS,
    MESSAGE_STATUS,
    /* a driver's first hello, with an application's name, compressors and a login */
    MESSAGE_HELLO_FIRST,
    MESSAGE_HELLO_AWAITED,
    MESSAGE_HELLO_LEGACY, /* OP_QUERY */
    MESSAGE_FIND_LEGACY,
    MESSAGE_INSERT_LEGACY, /* OP_INSERT, which no server takes any more */
    MESSAGE_COMPRESSED,
    MESSAGE_FIND_TRACED,
    MESSAGE_TAILABLE,
    MESSAGE_CHANGE_STREAM,
    MESSAGE_GET_MORE_OF_SERVER,
    MESSAGE_KILL_CURSORS,
    MESSAGE_CREATE,
    MESSAGE_COLL_MOD,
    MESSAGE_DROP,
    MESSAGE_DROP_DATABASE,
    MESSAGE_RENAME,
    MESSAGE_CREATE_USER,
    MESSAGE_DROP_USER,
    MESSAGE_UPDATE_IN_TRANSACTION,
    MESSAGE_COMMIT,
    MESSAGE_ABORT,
    MESSAGE_KILL_SESSIONS,
    MESSAGE_KILL_ALL_SESSIONS,
    MESSAGE_LOGOUT,
    MESSAGE_AUTHENTICATE,
    MESSAGE_SASL_SHA_1,
    MESSAGE_BULK_MIXED, /* results of refused statements, in cursors */
    MESSAGE_BULK_MIXED_SILENT,
    MESSAGE_INSERT_MIXED,
    MESSAGE_INSERT_MIXED_RETRYABLE,
    MESSAGE_STATUS_NAMES,
    MESSAGE_UNKNOWN,
    MESSAGE_PROXY_HEADER, /* of the PROXY protocol: no message */
    MESSAGE_PROXY_HEADER_LOCAL,
    MESSAGE_LARGE, /* with a long string, compressed */
    MESSAGE_LARGE_INSERT,
    MESSAGE_COMMAND_LEGACY, /* that OP_QUERY must not hold */
    MESSAGE_HELLO_PLAIN,    /* with metadata only */
    MESSAGE_HELLO_OWN,      /* of the proxy's own monitoring */
    MESSAGE_HELLO_NEGATIVE,
    MESSAGE_HELLO_NEGATIVE_WAIT,
    MESSAGE_HELLO_AWAITED_STREAM,
    MESSAGE_PING_VERSIONED, /* with apiVersion */
    MESSAGE_HELLO_VERSIONED,
    MESSAGE_BULK_SESSION, /* results in a cursor of a session */
    MESSAGE_GET_MORE_BULK,
    MESSAGE_KILL_CURSORS_BULK,
    MESSAGE_END_SESSION,
    MESSAGE_UPDATE_REFUSED_IN_TRANSACTION,
    MESSAGE_UPDATE_SILENT,
    MESSAGE_INSERT_REFUSED_SILENT,
    MESSAGE_APPLY_OPS,
    MESSAGE_STATUS_WRONG,
    MESSAGE_STATUS_WRONG_NAMES,
    MESSAGE_SASL_BOB,
    MESSAGE_SASL_EXTERNAL,
    MESSAGE_LOGOUT_ADMIN,
    MESSAGE_LOGOUT_SILENT,
    MESSAGE_INSERT_TRACED, /* with a comment, which merging may ignore */
    MESSAGE_INSERT_MIXED_SILENT,
    MESSAGE_INSERT_WARNED, /* breaks a schema that lets it pass */
    MESSAGE_SASL_SILENT,
    MESSAGE_UPDATE_CHECKSUM, /* which is wrong */
    MESSAGE_LARGE_FREE,      /* an insert that no schema concerns */
    MESSAGE_INSERT_VERSIONED,
    MESSAGES
};

enum { RIG_LARGE_BYTES = 700000 };

/* The command of an OP_MSG. */
void rig_write_body(struct build *body, enum message_kind kind, uint32_t number);
/* The field `client` of a driver's first hello. */
void rig_add_driver(struct build *body);
/* A string of RIG_LARGE_BYTES. */
void rig_add_padding(struct build *body);
/* Documents follow the body in a section of their own. */
bool rig_is_insert(enum message_kind kind);

#endif
