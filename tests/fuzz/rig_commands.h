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
    MESSAGES
};

/* The command of an OP_MSG. */
void rig_write_body(struct build *body, enum message_kind kind, uint32_t number);
/* The field `client` of a driver's first hello. */
void rig_add_driver(struct build *body);
/* Documents follow the body in a section of their own. */
bool rig_is_insert(enum message_kind kind);

#endif
