/* Short messages that the worker keeps to the end of its turn, and then sends one after the other.
 * A receiver then finds several messages at once, and goes to sleep and wakes up less often. Pure.
 */
#ifndef SLUICE_NET_OUTBOX_H
#define SLUICE_NET_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer message costs more to copy than the receiver's wake-up. */
enum { OUTBOX_MESSAGE_BYTES = 4096, OUTBOX_BYTES = 32 * 1024, OUTBOX_ENTRIES = 256 };

/* A message waits no longer than this and the work for one connection. Wake-ups fall by a third
 * with 100 µs, and hardly further with more. */
enum { OUTBOX_HOLD_US = 100 };

struct link;

struct outbox_entry {
    struct link *link; /* borrowed; NULL: sent */
    uint32_t at;       /* in `bytes` */
    uint32_t len;
};

/* Zeroed before use. */
struct outbox {
    unsigned count;
    uint32_t used;    /* of `bytes` */
    int64_t since_us; /* the start of the callback that sent the first entry */
    struct outbox_entry entries[OUTBOX_ENTRIES];
    uint8_t bytes[OUTBOX_BYTES];
};

static inline bool outbox_is_empty(const struct outbox *outbox)
{
    return outbox->count == 0;
}

/* Copies the message. Successive messages of one link become one. False if there is no room. */
bool outbox_put(struct outbox *outbox, struct link *link, const void *data, size_t len);

#endif
