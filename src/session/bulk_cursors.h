/* The cursors of bulkWrite commands whose refused operations the proxy took out: the server numbers
 * what is left, so each batch of results has to be numbered as the client does. A driver may fetch
 * the next batch on any of its connections. One for the whole proxy; thread-safe.
 *
 * What a cursor holds is freed when its results end, when it is killed, with its session, when its
 * connection ended and no other has fetched from it for a while, when nobody has for as long as
 * servers keep a cursor, and, the oldest first, when memory_max needs the room. Whoever fetches
 * from it then gets an error: wrong numbers would be worse. */
#ifndef SLUICE_SESSION_BULK_CURSORS_H
#define SLUICE_SESSION_BULK_CURSORS_H

#include "base/error.h"
#include "bson/build.h"
#include "net/budget.h"
#include "wire/lsid.h"

struct bulk_cursors;
struct bulk_cursor;
struct enforce_splice;

/* Servers end a cursor that nobody has used for ten minutes (cursorTimeoutMillis). */
enum { BULK_CURSOR_ORPHAN_MS = 5 * 1000, BULK_CURSOR_IDLE_MS = 11 * 60 * 1000 };

enum bulk_cursor_state {
    BULK_CURSOR_UNKNOWN, /* none of these, or not of that namespace */
    BULK_CURSOR_KEPT,
    BULK_CURSOR_LOST /* what it held is freed: nobody can number its results any more */
};

/* Where and by whom a cursor is used. */
struct bulk_cursor_use {
    const char *server;
    uint64_t connection;
    int64_t now_ms;
};

/* NULL when memory is out. The budget outlives it, and takes from it what it needs. */
struct bulk_cursors *bulk_cursors_create(struct budget *budget);
void bulk_cursors_destroy(struct bulk_cursors *cursors);
/* How many there are, roughly: 0 is cheap to know. */
size_t bulk_cursors_count(const struct bulk_cursors *cursors);

/* Takes over the splice of a cursor that goes on, with its enforce_splice_bytes of the budget.
 * document: the server's reply that opened it. lsid: LSID_BYTES, or NULL. */
void bulk_cursors_put(struct bulk_cursors *cursors, const struct bulk_cursor_use *use,
                      struct bytes document, const uint8_t *lsid, struct enforce_splice *splice);

/* ns: "database.collection" of a getMore. KEPT: *cursor is to be given back, and stays while others
 * use it as well: until the server has answered, nobody knows who may. */
enum bulk_cursor_state bulk_cursors_find(struct bulk_cursors *cursors,
                                         const struct bulk_cursor_use *use, int64_t id,
                                         struct bytes ns, struct bulk_cursor **cursor);
/* The server's reply to that getMore, as enforce_splice_reply; only one that carries results tells
 * anything about the cursor, or that there is none. */
bool bulk_cursor_reply(struct bulk_cursor *cursor, const struct bulk_cursor_use *use,
                       struct bytes document, struct build *out, struct bytes *reply,
                       struct error *err);
void bulk_cursor_release(struct bulk_cursor *cursor); /* NULL is allowed */

/* The server's reply to killCursors. */
void bulk_cursors_killed(struct bulk_cursors *cursors, const char *server, struct bytes document);
/* A command that ends the logical session goes upstream on that connection; whether it may, its
 * reply tells. */
void bulk_cursors_end_session(struct bulk_cursors *cursors, uint64_t connection,
                              const uint8_t *lsid);
void bulk_cursors_session_ended(struct bulk_cursors *cursors, uint64_t connection);
/* All sessions that the asking user may end were ended; nobody knows which. */
void bulk_cursors_all_ended(struct bulk_cursors *cursors, int64_t now_ms);
/* The connection is gone. */
void bulk_cursors_forget_connection(struct bulk_cursors *cursors, uint64_t connection,
                                    int64_t now_ms);
/* From time to time. */
void bulk_cursors_expire(struct bulk_cursors *cursors, int64_t now_ms);

#endif
