/* The cursors that await data: of a find with tailable and awaitData, and of a change stream. The
 * server may hold the answer to their getMore back until there is data, so its time is no latency,
 * and it may take long on purpose. A driver may send it on any of its connections, so the whole
 * proxy has one table; thread-safe.
 *
 * The table has a fixed size: a new cursor takes the place of the one that was used least recently.
 * Numbers of closed cursors stay until then and harm nothing, because servers choose them at
 * random.
 *
 * Sources: MongoDB's manual, "find" (tailable, awaitData), "getMore" and "Change Streams". */
#ifndef SLUICE_SESSION_AWAITED_CURSORS_H
#define SLUICE_SESSION_AWAITED_CURSORS_H

#include <stdbool.h>
#include <stdint.h>

struct awaited_cursors;

/* NULL without memory. */
struct awaited_cursors *awaited_cursors_create(void);
void awaited_cursors_destroy(struct awaited_cursors *cursors);

/* Notes a cursor of this server; 0 stands for a closed one, which is not noted. */
void awaited_cursors_put(struct awaited_cursors *cursors, const char *server, int64_t id);
/* A cheap test: false if no cursor was ever noted. */
bool awaited_cursors_any(const struct awaited_cursors *cursors);
/* True for a noted cursor, which counts as a use. */
bool awaited_cursors_find(struct awaited_cursors *cursors, const char *server, int64_t id);

#endif
