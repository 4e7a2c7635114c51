/* The cursors of bulkWrite commands with refused operations. The server numbers only the remaining
 * operations, so the proxy must renumber each batch of results for the client. A driver may fetch
 * the next batch on any of its connections. The whole proxy has one table; thread-safe.
 *
 * The memory of a cursor is freed in the following cases: its results end; it is killed; its
 * session ends; its connection ended and no other connection fetches for a while; nobody fetches
 * for as long as servers keep a cursor; or memory_max needs the room, the oldest first. A later
 * fetch gets an error, because wrong numbers would be worse. */
#ifndef SLUICE_SESSION_BULK_CURSORS_H
#define SLUICE_SESSION_BULK_CURSORS_H

#include "base/error.h"
#include "bson/build.h"
#include "net/budget.h"
#include "wire/lsid.h"

struct bulk_cursors;
struct bulk_cursor;
struct enforce_splice;

/* Servers end a cursor after ten minutes without use (cursorTimeoutMillis). */
enum { BULK_CURSOR_ORPHAN_MS = 5 * 1000, BULK_CURSOR_IDLE_MS = 11 * 60 * 1000 };

enum bulk_cursor_state {
    BULK_CURSOR_UNKNOWN, /* not such a cursor, or of another namespace */
    BULK_CURSOR_KEPT,
    BULK_CURSOR_LOST /* its memory is freed: its results cannot be numbered any more */
};

/* The server, the connection and the time of a cursor's use. */
struct bulk_cursor_use {
    const char *server;
    uint64_t connection;
    int64_t now_ms;
};

/* NULL without memory. The budget outlives the table, and the table takes its memory from it. */
struct bulk_cursors *bulk_cursors_create(struct budget *budget);
void bulk_cursors_destroy(struct bulk_cursors *cursors);
/* The approximate number of cursors: a cheap test for 0. */
size_t bulk_cursors_count(const struct bulk_cursors *cursors);

/* Takes over the splice of an open cursor, with its enforce_splice_bytes of the budget. `document`
 * is the server's reply that opened the cursor. `lsid` is LSID_BYTES or NULL. */
void bulk_cursors_put(struct bulk_cursors *cursors, const struct bulk_cursor_use *use,
                      struct bytes document, const uint8_t *lsid, struct enforce_splice *splice);

/* `ns` is the "database.collection" of a getMore. KEPT: the caller must release *cursor. It stays
 * while others use it too: before the server's answer, the proxy cannot know the rightful user. */
enum bulk_cursor_state bulk_cursors_find(struct bulk_cursors *cursors,
                                         const struct bulk_cursor_use *use, int64_t id,
                                         struct bytes ns, struct bulk_cursor **cursor);
/* Renumbers the server's reply to this getMore, like enforce_splice_reply. Only a reply with
 * results changes the state of the cursor or proves that it is gone. */
bool bulk_cursor_reply(struct bulk_cursor *cursor, const struct bulk_cursor_use *use,
                       struct bytes document, struct build *out, struct bytes *reply,
                       struct error *err);
void bulk_cursor_release(struct bulk_cursor *cursor); /* NULL is allowed */

/* Handles the server's reply to killCursors. */
void bulk_cursors_killed(struct bulk_cursors *cursors, const char *server, struct bytes document);
/* Notes a command on this connection that ends the logical session; its reply tells whether the
 * server allowed it. */
void bulk_cursors_end_session(struct bulk_cursors *cursors, uint64_t connection,
                              const uint8_t *lsid);
void bulk_cursors_session_ended(struct bulk_cursors *cursors, uint64_t connection);
/* Notes that the server ended all sessions of some user. */
void bulk_cursors_all_ended(struct bulk_cursors *cursors, int64_t now_ms);
/* The connection is gone. */
void bulk_cursors_forget_connection(struct bulk_cursors *cursors, uint64_t connection,
                                    int64_t now_ms);
/* From time to time. */
void bulk_cursors_expire(struct bulk_cursors *cursors, int64_t now_ms);

#endif
