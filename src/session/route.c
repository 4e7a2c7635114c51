#include "session/route.h"

#include "session/awaiting.h"
#include "session/bulk_results.h"
#include "session/collection_changes.h"
#include "session/hellos.h"
#include "session/logins.h"
#include "session/proxy_status.h"
#include "session/session_ends.h"
#include "session/statements.h"
#include "session/write.h"

/* Words of the table. */
#define FORWARD NULL /* the request goes upstream byte for byte */
#define STREAM  NULL /* the reply comes back byte for byte */
#define WAITS   ROUTE_WAITS
#define PASSES  ROUTE_PASSES
#define MSG     ROUTE_MSG_ONLY
#define QUERY   ROUTE_QUERY_TOO
#define STAYS   IDENTITY_STAYS
#define CHANGES IDENTITY_CHANGES

/* [command] = {takes the request, takes the reply, while the proxy is paused, as OP_QUERY too or as
 * OP_MSG only, the connection's identity}. The first row stands for all commands that have none. */
const struct route route_rows[COMMAND_NAME_COUNT] = {
    [COMMAND_UNKNOWN] = {write_take, STREAM, WAITS, MSG, IDENTITY_MAY_CHANGE},
    [COMMAND_ABORT_TRANSACTION] = {FORWARD, statements_take_end_reply, WAITS, MSG, STAYS},
    [COMMAND_AGGREGATE] = {write_take, awaiting_take_reply, WAITS, MSG, STAYS,
                           .reply_if = awaiting_opens},
    [COMMAND_APPLY_OPS] = {write_take, collection_changes_take_reply, WAITS, MSG,
                           IDENTITY_MAY_CHANGE},
    [COMMAND_AUTHENTICATE] = {logins_take, logins_take_reply, PASSES, QUERY, CHANGES},
    [COMMAND_BUILD_INFO] = {FORWARD, STREAM, WAITS, QUERY, STAYS},
    [COMMAND_BUILDINFO] = {FORWARD, STREAM, WAITS, QUERY, STAYS},
    [COMMAND_BULK_WRITE] = {write_take, STREAM, WAITS, MSG, STAYS},
    [COMMAND_CLONE] = {write_take, collection_changes_take_reply, WAITS, MSG, IDENTITY_MAY_CHANGE},
    [COMMAND_CLONE_COLLECTION] = {write_take, collection_changes_take_reply, WAITS, MSG,
                                  IDENTITY_MAY_CHANGE},
    [COMMAND_CLONE_COLLECTION_AS_CAPPED] = {write_take, collection_changes_take_reply, WAITS, MSG,
                                            IDENTITY_MAY_CHANGE},
    [COMMAND_COLL_MOD] = {write_take, collection_changes_take_reply, WAITS, MSG, STAYS},
    [COMMAND_COLL_STATS] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_COMMIT_TRANSACTION] = {FORWARD, statements_take_end_reply, WAITS, MSG, STAYS},
    [COMMAND_CONNECTION_STATUS] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_CONVERT_TO_CAPPED] = {write_take, collection_changes_take_reply, WAITS, MSG,
                                   IDENTITY_MAY_CHANGE},
    [COMMAND_COPYDB] = {write_take, collection_changes_take_reply, WAITS, MSG, IDENTITY_MAY_CHANGE},
    [COMMAND_COUNT] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_CREATE] = {write_take, collection_changes_take_reply, WAITS, MSG, STAYS},
    [COMMAND_CREATE_INDEXES] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_CREATE_USER] = {write_take, logins_take_users_reply, WAITS, MSG, IDENTITY_MAY_CHANGE,
                             .reply_if = logins_follow_users},
    [COMMAND_CURRENT_OP] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_DB_STATS] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_DELETE] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_DISTINCT] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_DO_TXN] = {write_take, collection_changes_take_reply, WAITS, MSG, IDENTITY_MAY_CHANGE},
    [COMMAND_DOLLAR_EVAL] = {write_take, collection_changes_take_reply, WAITS, MSG,
                             IDENTITY_MAY_CHANGE},
    [COMMAND_DROP] = {FORWARD, collection_changes_take_reply, WAITS, MSG, STAYS},
    [COMMAND_DROP_ALL_USERS_FROM_DATABASE] = {write_take, logins_take_users_reply, WAITS, MSG,
                                              IDENTITY_MAY_CHANGE, .reply_if = logins_follow_users},
    [COMMAND_DROP_DATABASE] = {FORWARD, collection_changes_take_reply, WAITS, MSG, STAYS},
    [COMMAND_DROP_INDEXES] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_DROP_USER] = {write_take, logins_take_users_reply, WAITS, MSG, IDENTITY_MAY_CHANGE,
                           .reply_if = logins_follow_users},
    [COMMAND_END_SESSIONS] = {session_ends_take, session_ends_take_reply, WAITS, MSG, STAYS,
                              .reply_if = bulk_results_are_kept},
    [COMMAND_EVAL] = {write_take, collection_changes_take_reply, WAITS, MSG, IDENTITY_MAY_CHANGE},
    [COMMAND_EXPLAIN] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_FIND] = {FORWARD, awaiting_take_reply, WAITS, MSG, STAYS, .reply_if = awaiting_opens},
    [COMMAND_FIND_AND_MODIFY] = {write_take, STREAM, WAITS, MSG, STAYS},
    [COMMAND_FINDANDMODIFY] = {write_take, STREAM, WAITS, MSG, STAYS},
    [COMMAND_GET_MORE] = {bulk_results_take, STREAM, WAITS, MSG, STAYS},
    [COMMAND_GET_PARAMETER] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_HELLO] = {hellos_take, hellos_take_reply, PASSES, QUERY, CHANGES, .awaitable = true},
    [COMMAND_INSERT] = {write_take, STREAM, WAITS, MSG, STAYS},
    [COMMAND_IS_MASTER] = {hellos_take, hellos_take_reply, PASSES, QUERY, CHANGES,
                           .awaitable = true},
    [COMMAND_ISMASTER] = {hellos_take, hellos_take_reply, PASSES, QUERY, CHANGES,
                          .awaitable = true},
    [COMMAND_KILL_ALL_SESSIONS] = {FORWARD, session_ends_take_all_reply, WAITS, MSG, STAYS},
    [COMMAND_KILL_ALL_SESSIONS_BY_PATTERN] = {FORWARD, session_ends_take_all_reply, WAITS, MSG,
                                              STAYS},
    [COMMAND_KILL_CURSORS] = {FORWARD, bulk_results_take_kill, WAITS, MSG, STAYS,
                              .reply_if = bulk_results_are_kept},
    [COMMAND_KILL_SESSIONS] = {session_ends_take, session_ends_take_reply, WAITS, MSG, STAYS,
                               .reply_if = bulk_results_are_kept},
    [COMMAND_LIST_COLLECTIONS] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_LIST_DATABASES] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_LIST_INDEXES] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_LOGOUT] = {logins_take, logins_take_reply, PASSES, QUERY, CHANGES},
    [COMMAND_MONGOSLUICE] = {proxy_status_take, STREAM, PASSES, MSG, STAYS},
    [COMMAND_PING] = {FORWARD, STREAM, WAITS, QUERY, STAYS},
    [COMMAND_REFRESH_SESSIONS] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_RENAME_COLLECTION] = {write_take, collection_changes_take_reply, WAITS, MSG, STAYS},
    [COMMAND_SASL_CONTINUE] = {logins_take, logins_take_reply, PASSES, QUERY, CHANGES},
    [COMMAND_SASL_START] = {logins_take, logins_take_reply, PASSES, QUERY, CHANGES},
    [COMMAND_SERVER_STATUS] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_UPDATE] = {write_take, STREAM, WAITS, MSG, STAYS},
    [COMMAND_UPDATE_USER] = {write_take, logins_take_users_reply, WAITS, MSG, IDENTITY_MAY_CHANGE,
                             .reply_if = logins_follow_users},
    [COMMAND_USERS_INFO] = {FORWARD, STREAM, WAITS, MSG, STAYS},
    [COMMAND_VALIDATE] = {FORWARD, STREAM, WAITS, MSG, STAYS},
};

bool route_keeps_identity(enum command_name command)
{
    if (command == COMMAND_UNKNOWN || route_rows[command].pause != ROUTE_NO_ROW)
        return false;
    return command != COMMAND_GETNONCE;
}
