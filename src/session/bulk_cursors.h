/* The cursors of bulkWrite commands whose refused operations the proxy took out: the server numbers
 * what is left, so each batch of results has to be numbered as the client does. A driver may fetch
 * the next batch on any of its connections. One for the whole proxy; thread-safe. */
#ifndef SLUICE_SESSION_BULK_CURSORS_H
#define SLUICE_SESSION_BULK_CURSORS_H

#include <stdint.h>

#include "net/budget.h"

struct bulk_cursors;
struct enforce_splice;

enum bulk_cursor_state {
    BULK_CURSOR_UNKNOWN, /* none of these */
    BULK_CURSOR_KEPT,
    BULK_CURSOR_LOST /* too many came after it: nobody can number its results any more */
};

/* NULL when memory is out. The budget outlives it. */
struct bulk_cursors *bulk_cursors_create(struct budget *budget);
void bulk_cursors_destroy(struct bulk_cursors *cursors);

/* Takes over the splice of a cursor that goes on, with its enforce_splice_bytes of the budget. */
void bulk_cursors_put(struct bulk_cursors *cursors, const char *server, int64_t id,
                      struct enforce_splice *splice);
/* Where it is kept, the caller owns *splice, and its bytes of the budget; it is unknown afterwards.
 * Cheap when there are none. */
enum bulk_cursor_state bulk_cursors_take(struct bulk_cursors *cursors, const char *server,
                                         int64_t id, struct enforce_splice **splice);

#endif
