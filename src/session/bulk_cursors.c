#include "session/bulk_cursors.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <utlist.h>

#include "base/memory.h"
#include "base/table.h"
#include "bson/scan.h"
#include "enforce/enforce.h"

/* The memory limit of all cursors, and the number of remembered ones; most of them hold no memory.
 */
enum { BULK_CURSORS_MAX = 4096, BULK_CURSORS_BYTES = 64 * 1024 * 1024 };

enum { CURSOR_NOT_FOUND = 43 };

struct cursor_key {
    uint64_t server; /* its hash */
    int64_t id;
};

/* A logical session with such cursors. */
struct cursor_session {
    UT_hash_handle hh;
    bool unhashed; /* there was no memory to insert it */
    struct bulk_cursor *cursors;
    uint8_t lsid[LSID_BYTES];
};

struct bulk_cursor {
    UT_hash_handle hh;
    struct bulk_cursor *prev, *next;                 /* least recently used first */
    struct bulk_cursor *session_prev, *session_next; /* of its session */
    struct cursor_session *session;                  /* NULL: none */
    struct bulk_cursors *of;
    struct cursor_key key;
    bool unhashed;          /* there was no memory to insert it */
    bool lost;              /* no further use is possible */
    unsigned references;    /* the table's, and one for each getMore under way */
    uint64_t connection;    /* that used it last; 0: it is gone */
    uint64_t ending;        /* the connection with a command that ends its session; 0: none */
    int64_t until_ms;       /* kept unused until this time */
    size_t bytes;           /* of the splice */
    pthread_mutex_t in_use; /* of the splice */
    struct enforce_splice *splice;
    size_t ns_len;
    char ns[];
};

struct bulk_cursors {
    struct budget *budget;
    pthread_mutex_t lock; /* guards the rest */
    struct bulk_cursor *table;
    struct bulk_cursor *used;
    struct cursor_session *sessions;
    atomic_size_t count; /* also read without the lock */
    size_t bytes;
};

/* --- their memory (with the lock held) -----------------------------------------------------------
 *  */

static void free_splice(struct bulk_cursor *cursor)
{
    struct bulk_cursors *cursors = cursor->of;
    enforce_splice_free(cursor->splice);
    budget_give_back(cursors->budget, cursor->bytes);
    cursors->bytes -= cursor->bytes;
    cursor->splice = NULL;
    cursor->bytes = 0;
}

static void release(struct bulk_cursor *cursor)
{
    /* only the table has it; after forget() the last reference is a reader's */
    if (--cursor->references == 1 && cursor->lost && !cursor->unhashed)
        free_splice(cursor);
    if (cursor->references > 0)
        return;
    free_splice(cursor);
    pthread_mutex_destroy(&cursor->in_use);
    memory_free(cursor);
}

/* --- sessions (lock held) -----------------------------------------------------------------------
 */

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static struct cursor_session *find_session(const struct bulk_cursors *cursors, const uint8_t *lsid)
{
    struct cursor_session *session = NULL;
    HASH_FIND(hh, cursors->sessions, lsid, LSID_BYTES, session);
    return session;
}

/* NULL without memory. */
// NOLINTNEXTLINE(readability-function-size)
static struct cursor_session *add_session(struct bulk_cursors *cursors, const uint8_t *lsid)
{
    struct cursor_session *session = memory_zalloc(sizeof *session);
    if (session == NULL)
        return NULL;
    memcpy(session->lsid, lsid, LSID_BYTES);
    HASH_ADD(hh, cursors->sessions, lsid, LSID_BYTES, session);
    if (!session->unhashed)
        return session;
    memory_free(session);
    return NULL;
}

static void join_session(struct bulk_cursor *cursor, const uint8_t *lsid)
{
    struct cursor_session *session = find_session(cursor->of, lsid);
    if (session == NULL)
        session = add_session(cursor->of, lsid);
    if (session == NULL)
        return; /* the end of its session then does not end it */
    cursor->session = session;
    DL_APPEND2(session->cursors, cursor, session_prev, session_next);
}

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static void leave_session(struct bulk_cursor *cursor)
{
    struct cursor_session *session = cursor->session;
    if (session == NULL)
        return;
    cursor->session = NULL;
    DL_DELETE2(session->cursors, cursor, session_prev, session_next);
    if (session->cursors != NULL)
        return;
    HASH_DEL(cursor->of->sessions, session);
    memory_free(session);
}

/* --- those that are lost (lock held) ------------------------------------------------------------
 */

/* A current user finishes this batch. The cursor is remembered as long as the server may have it.
 */
static void lose(struct bulk_cursor *cursor)
{
    cursor->lost = true;
    if (cursor->references == 1)
        free_splice(cursor);
}

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static void forget(struct bulk_cursor *cursor)
{
    struct bulk_cursors *cursors = cursor->of;
    HASH_DEL(cursors->table, cursor);
    DL_DELETE(cursors->used, cursor);
    leave_session(cursor);
    cursor->lost = true;
    cursor->unhashed = true;
    atomic_fetch_sub(&cursors->count, 1);
    release(cursor);
}

static void note_use(struct bulk_cursor *cursor, const struct bulk_cursor_use *use)
{
    struct bulk_cursors *cursors = cursor->of;
    cursor->connection = use->connection;
    cursor->ending = 0;
    cursor->until_ms = use->now_ms + BULK_CURSOR_IDLE_MS;
    if (cursor->next == NULL)
        return; /* it is already the last one */
    DL_DELETE(cursors->used, cursor);
    DL_APPEND(cursors->used, cursor);
}

/* Its client seems to be gone: another of its connections may prove the opposite. */
static void orphan(struct bulk_cursor *cursor, int64_t now_ms)
{
    cursor->connection = 0;
    if (cursor->until_ms > now_ms + BULK_CURSOR_ORPHAN_MS)
        cursor->until_ms = now_ms + BULK_CURSOR_ORPHAN_MS;
}

/* Frees at least this many bytes, if there are enough: cursors without a client first, then the
 * least recently used. Returns the number of freed bytes. */
static size_t make_room(struct bulk_cursors *cursors, size_t bytes)
{
    size_t before = cursors->bytes;
    struct bulk_cursor *cursor = NULL;
    for (int of_somebody = 0; of_somebody < 2; of_somebody++)
        DL_FOREACH(cursors->used, cursor)
        {
            if (before - cursors->bytes >= bytes)
                return before - cursors->bytes;
            if (!cursor->lost && (of_somebody || cursor->connection == 0))
                lose(cursor);
        }
    return before - cursors->bytes;
}

static size_t reclaim(void *arg, size_t bytes)
{
    struct bulk_cursors *cursors = arg;
    if (bulk_cursors_count(cursors) == 0)
        return 0;
    pthread_mutex_lock(&cursors->lock);
    size_t freed = make_room(cursors, bytes);
    pthread_mutex_unlock(&cursors->lock);
    return freed;
}

/* --- life ---------------------------------------------------------------------------------------
 */

struct bulk_cursors *bulk_cursors_create(struct budget *budget)
{
    struct bulk_cursors *cursors = memory_zalloc(sizeof *cursors);
    if (cursors == NULL)
        return NULL;
    cursors->budget = budget;
    pthread_mutex_init(&cursors->lock, NULL);
    budget->reclaim = reclaim;
    budget->reclaim_arg = cursors;
    return cursors;
}

void bulk_cursors_destroy(struct bulk_cursors *cursors)
{
    if (cursors == NULL)
        return;
    cursors->budget->reclaim = NULL;
    while (cursors->used != NULL)
        forget(cursors->used);
    pthread_mutex_destroy(&cursors->lock);
    memory_free(cursors);
}

size_t bulk_cursors_count(const struct bulk_cursors *cursors)
{
    return atomic_load_explicit(&cursors->count, memory_order_relaxed);
}

/* --- use ----------------------------------------------------------------------------------------
 */

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static struct bulk_cursor *find(const struct bulk_cursors *cursors, const char *server, int64_t id)
{
    struct cursor_key key = {keyed_hash(server, strlen(server)), id};
    struct bulk_cursor *cursor = NULL;
    HASH_FIND(hh, cursors->table, &key, sizeof key, cursor);
    return cursor;
}

/* NULL without memory. */
static struct bulk_cursor *make(struct bulk_cursors *cursors, const struct bulk_cursor_use *use,
                                struct bytes document)
{
    struct scan_element element;
    int64_t id = 0;
    const char *ns = "";
    size_t ns_len = 0;
    if (scan_find(document, "cursor", &element) && element.kind == BSON_KIND_OBJECT) {
        struct bytes description = element.value;
        if (scan_find(description, "id", &element))
            (void)scan_as_int64(&element, &id);
        if (scan_find(description, "ns", &element))
            (void)scan_as_string(&element, &ns, &ns_len);
    }
    struct bulk_cursor *cursor = memory_zalloc(sizeof *cursor + ns_len);
    if (cursor == NULL)
        return NULL;
    cursor->of = cursors;
    cursor->key = (struct cursor_key){keyed_hash(use->server, strlen(use->server)), id};
    cursor->references = 1;
    cursor->ns_len = ns_len;
    memcpy(cursor->ns, ns, ns_len);
    pthread_mutex_init(&cursor->in_use, NULL);
    return cursor;
}

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static bool enter(struct bulk_cursors *cursors, struct bulk_cursor *cursor,
                  const struct bulk_cursor_use *use)
{
    struct bulk_cursor *same = find(cursors, use->server, cursor->key.id);
    if (same != NULL)
        forget(same); /* the server reused its number */
    if (HASH_COUNT(cursors->table) >= BULK_CURSORS_MAX)
        forget(cursors->used);
    HASH_ADD(hh, cursors->table, key, sizeof cursor->key, cursor);
    if (cursor->unhashed)
        return false;
    DL_APPEND(cursors->used, cursor);
    atomic_fetch_add(&cursors->count, 1);
    note_use(cursor, use);
    return true;
}

void bulk_cursors_put(struct bulk_cursors *cursors, const struct bulk_cursor_use *use,
                      struct bytes document, const uint8_t *lsid, struct enforce_splice *splice)
{
    size_t bytes = enforce_splice_bytes(splice);
    struct bulk_cursor *cursor = make(cursors, use, document);
    pthread_mutex_lock(&cursors->lock);
    if (cursors->bytes + bytes > BULK_CURSORS_BYTES)
        (void)make_room(cursors, cursors->bytes + bytes - BULK_CURSORS_BYTES);
    cursors->bytes += bytes;
    if (cursor == NULL) {
        enforce_splice_free(splice);
        budget_give_back(cursors->budget, bytes);
        cursors->bytes -= bytes;
    } else {
        cursor->splice = splice;
        cursor->bytes = bytes;
        if (!enter(cursors, cursor, use))
            release(cursor);
        else if (lsid != NULL)
            join_session(cursor, lsid);
    }
    pthread_mutex_unlock(&cursors->lock);
}

enum bulk_cursor_state bulk_cursors_find(struct bulk_cursors *cursors,
                                         const struct bulk_cursor_use *use, int64_t id,
                                         struct bytes ns, struct bulk_cursor **cursor)
{
    enum bulk_cursor_state state = BULK_CURSOR_UNKNOWN;
    if (bulk_cursors_count(cursors) == 0)
        return state;
    pthread_mutex_lock(&cursors->lock);
    struct bulk_cursor *found = find(cursors, use->server, id);
    if (found != NULL && found->ns_len == bytes_left(&ns) &&
        memcmp(found->ns, ns.pos, found->ns_len) == 0)
        state = found->lost ? BULK_CURSOR_LOST : BULK_CURSOR_KEPT;
    if (state == BULK_CURSOR_KEPT) {
        found->references++;
        *cursor = found;
    }
    pthread_mutex_unlock(&cursors->lock);
    return state;
}

bool bulk_cursor_reply(struct bulk_cursor *cursor, const struct bulk_cursor_use *use,
                       struct bytes document, struct build *out, struct bytes *reply,
                       struct error *err)
{
    struct bulk_cursors *cursors = cursor->of;
    struct scan_element element;
    int64_t code = 0;
    bool carried_out = scan_find(document, "ok", &element) && scan_is_true(&element);
    bool unknown = !carried_out && scan_find(document, "code", &element) &&
                   scan_as_int64(&element, &code) && code == CURSOR_NOT_FOUND;
    pthread_mutex_lock(&cursor->in_use);
    bool ok = enforce_splice_reply(cursor->splice, document, out, reply, err);
    bool ended = carried_out && ok && enforce_splice_cursor(cursor->splice) == 0;
    pthread_mutex_unlock(&cursor->in_use);
    pthread_mutex_lock(&cursors->lock);
    if (!cursor->unhashed && (ended || unknown))
        forget(cursor);
    else if (!cursor->unhashed && carried_out)
        note_use(cursor, use);
    pthread_mutex_unlock(&cursors->lock);
    return ok;
}

void bulk_cursor_release(struct bulk_cursor *cursor)
{
    if (cursor == NULL)
        return;
    pthread_mutex_t *lock = &cursor->of->lock;
    pthread_mutex_lock(lock);
    release(cursor);
    pthread_mutex_unlock(lock);
}

/* --- ends ---------------------------------------------------------------------------------------
 */

void bulk_cursors_killed(struct bulk_cursors *cursors, const char *server, struct bytes document)
{
    struct scan scan;
    struct scan_element element;
    int64_t id = 0;
    if (!scan_find(document, "cursorsKilled", &element) || element.kind != BSON_KIND_ARRAY ||
        !scan_open(&scan, element.value))
        return;
    pthread_mutex_lock(&cursors->lock);
    while (scan_next(&scan, &element)) {
        struct bulk_cursor *cursor =
            scan_as_int64(&element, &id) ? find(cursors, server, id) : NULL;
        if (cursor != NULL)
            forget(cursor);
    }
    pthread_mutex_unlock(&cursors->lock);
}

void bulk_cursors_end_session(struct bulk_cursors *cursors, uint64_t connection,
                              const uint8_t *lsid)
{
    struct bulk_cursor *cursor = NULL;
    if (bulk_cursors_count(cursors) == 0)
        return;
    pthread_mutex_lock(&cursors->lock);
    const struct cursor_session *session = find_session(cursors, lsid);
    if (session != NULL)
        DL_FOREACH2(session->cursors, cursor, session_next)
    cursor->ending = connection;
    pthread_mutex_unlock(&cursors->lock);
}

void bulk_cursors_session_ended(struct bulk_cursors *cursors, uint64_t connection)
{
    struct bulk_cursor *cursor = NULL;
    pthread_mutex_lock(&cursors->lock);
    DL_FOREACH(cursors->used, cursor)
    if (cursor->ending == connection)
        lose(cursor);
    pthread_mutex_unlock(&cursors->lock);
}

void bulk_cursors_all_ended(struct bulk_cursors *cursors, int64_t now_ms)
{
    struct bulk_cursor *cursor = NULL;
    pthread_mutex_lock(&cursors->lock);
    DL_FOREACH(cursors->used, cursor)
    orphan(cursor, now_ms);
    pthread_mutex_unlock(&cursors->lock);
}

void bulk_cursors_forget_connection(struct bulk_cursors *cursors, uint64_t connection,
                                    int64_t now_ms)
{
    struct bulk_cursor *cursor = NULL;
    if (bulk_cursors_count(cursors) == 0)
        return;
    pthread_mutex_lock(&cursors->lock);
    DL_FOREACH(cursors->used, cursor)
    if (cursor->connection == connection)
        orphan(cursor, now_ms);
    pthread_mutex_unlock(&cursors->lock);
}

void bulk_cursors_expire(struct bulk_cursors *cursors, int64_t now_ms)
{
    struct bulk_cursor *cursor = NULL;
    struct bulk_cursor *next = NULL;
    if (bulk_cursors_count(cursors) == 0)
        return;
    pthread_mutex_lock(&cursors->lock);
    DL_FOREACH_SAFE(cursors->used, cursor, next)
    {
        if (now_ms < cursor->until_ms)
            continue;
        if (cursor->lost) {
            forget(cursor);
            continue;
        }
        lose(cursor);
        cursor->until_ms = now_ms + BULK_CURSOR_IDLE_MS;
    }
    pthread_mutex_unlock(&cursors->lock);
}
