/* Asks all workers at once for rows about their data, for an operator's page. Each worker fills its
 * rows on its own thread, so the data needs no locks. */
#ifndef SLUICE_SESSION_GATHER_H
#define SLUICE_SESSION_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session_worker;

/* Fills at most `limit` rows, zeroed before, and returns their number. `after` is the question's.
 */
typedef size_t gather_fill(struct session_worker *worker, uint64_t after, void *rows, size_t limit);

struct gather_question {
    struct session_worker *const *workers;
    unsigned worker_count;
    unsigned timeout_ms; /* for the workers' answers */
    gather_fill *fill;
    size_t row_bytes;
    size_t limit; /* rows of a worker */
    uint64_t after;
};

struct gathered {
    void *rows; /* from memory_alloc; those of the first worker first */
    size_t count;
    bool complete; /* all workers answered in time */
};

/* False without memory. For any thread except a worker's. */
bool gather(const struct gather_question *question, struct gathered *out);

#endif
