#include "net/spare.h"

#include <string.h>

#include "base/memory.h"

/* At the start of the block while it is kept. */
struct spare_head {
    size_t bytes;
    int64_t since_ms;
};

/* False if there is one already. */
static bool keep(struct spare *spare, uint8_t *block, const struct spare_head *head)
{
    uint8_t *none = NULL;
    memcpy(block, head, sizeof *head);
    atomic_fetch_add(&spare->bytes, head->bytes);
    if (atomic_compare_exchange_strong(&spare->block, &none, block))
        return true;
    atomic_fetch_sub(&spare->bytes, head->bytes);
    return false;
}

size_t spare_put(struct spare *spare, uint8_t *block, size_t bytes, int64_t now_ms)
{
    struct spare_head head = {.bytes = bytes, .since_ms = now_ms};
    if (bytes > SPARE_MAX_BYTES) {
        uint8_t *shorter = memory_resize(block, SPARE_MAX_BYTES);
        if (shorter != NULL) {
            block = shorter;
            head.bytes = SPARE_MAX_BYTES;
        }
    }
    if (keep(spare, block, &head))
        return bytes - head.bytes;
    memory_free(block);
    return bytes;
}

static uint8_t *take(struct spare *spare, struct spare_head *head)
{
    uint8_t *block = atomic_exchange(&spare->block, NULL);
    if (block == NULL)
        return NULL;
    memcpy(head, block, sizeof *head);
    atomic_fetch_sub(&spare->bytes, head->bytes);
    return block;
}

uint8_t *spare_take(struct spare *spare, size_t *bytes)
{
    struct spare_head head = {0};
    uint8_t *block = take(spare, &head);
    *bytes = head.bytes;
    return block;
}

size_t spare_drop(struct spare *spare)
{
    size_t bytes = 0;
    memory_free(spare_take(spare, &bytes));
    return bytes;
}

size_t spare_drop_old(struct spare *spare, int64_t now_ms)
{
    struct spare_head head = {0};
    uint8_t *block = take(spare, &head);
    if (block == NULL || (now_ms - head.since_ms < SPARE_KEPT_MS && keep(spare, block, &head)))
        return 0;
    memory_free(block);
    return head.bytes;
}
