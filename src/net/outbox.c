#include "net/outbox.h"

#include <string.h>

bool outbox_put(struct outbox *outbox, struct link *link, const void *data, size_t len)
{
    if (len > OUTBOX_BYTES - outbox->used)
        return false;
    struct outbox_entry *last = outbox->count > 0 ? &outbox->entries[outbox->count - 1] : NULL;
    if (last != NULL && last->link == link) {
        last->len += (uint32_t)len;
    } else {
        if (outbox->count == OUTBOX_ENTRIES)
            return false;
        outbox->entries[outbox->count++] = (struct outbox_entry){link, outbox->used, (uint32_t)len};
    }
    memcpy(outbox->bytes + outbox->used, data, len);
    outbox->used += (uint32_t)len;
    return true;
}
