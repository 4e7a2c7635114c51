/* The cursors of bulkWrite commands whose refused operations the proxy took out: the server numbers
 * what is left, so each batch of results has to be numbered as the client does. A driver may fetch
 * the next batch on any of its connections. One for the whole proxy; thread-safe. */
#ifndef SLUICE_SESSION_BULK_CURSORS_H
#define SLUICE_SESSION_BULK_CURSORS_H

#include <stdbool.h>
#include <stdint.h>

struct bulk_cursors;
struct enforce_splice;

struct bulk_cursors *bulk_cursors_create(void);
void bulk_cursors_destroy(struct bulk_cursors *cursors);

/* Takes over the splice of a cursor that goes on. When many do, the oldest is forgotten: its
 * results then keep the server's numbers. */
void bulk_cursors_put(struct bulk_cursors *cursors, const char *server, int64_t id,
                      struct enforce_splice *splice);
/* The caller owns what it gets; NULL where the cursor is not one of these. Cheap when there are
 * none. */
struct enforce_splice *bulk_cursors_take(struct bulk_cursors *cursors, const char *server,
                                         int64_t id);

#endif
