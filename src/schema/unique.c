#include "schema/unique.h"

#include "base/memory.h"

/* Items that are compared with all earlier ones, by their hashes on the stack. */
#define FEW 32

static struct compare_value value_of(const struct scan_element *element)
{
    return (struct compare_value){element->kind, element->value};
}

static enum unique_result check_few(struct bytes array, uint64_t *work,
                                    struct scan_element *repeated)
{
    struct scan scan;
    struct scan_element items[FEW];
    uint64_t hashes[FEW];
    size_t count = 0;
    (void)scan_open(&scan, array);
    while (count < FEW && scan_next(&scan, &items[count])) {
        struct compare_value one = value_of(&items[count]);
        hashes[count] = compare_hash(&one);
        for (size_t i = 0; i < count; i++) {
            struct compare_value other = value_of(&items[i]);
            if (hashes[i] == hashes[count] && compare_equal(&one, &other, work)) {
                if (repeated != NULL)
                    *repeated = items[count];
                return UNIQUE_REPEATED;
            }
        }
        count++;
    }
    return *work > 0 ? UNIQUE_YES : UNIQUE_CUT_OFF;
}

/* A table slot: the upper half of the hash, and the position of the item in the array, which is
 * never 0. */
static uint64_t slot_value(uint64_t hash, size_t offset)
{
    return (hash >> 32 << 32) | (uint32_t)offset;
}

static struct compare_value item_at(struct bytes array, uint32_t offset)
{
    struct scan scan = {.rest = {array.pos + offset, array.end}};
    struct scan_element element;
    (void)scan_next(&scan, &element);
    return value_of(&element);
}

static bool reserve(struct schema_scratch *scratch, size_t size)
{
    if (scratch->hash_room < size) {
        uint64_t *bigger = memory_resize(scratch->hashes, size * sizeof *bigger);
        if (bigger == NULL)
            return false;
        scratch->hashes = bigger;
        scratch->hash_room = size;
    }
    memset(scratch->hashes, 0, size * sizeof *scratch->hashes);
    return true;
}

enum unique_result unique_check(struct bytes array, uint32_t count, struct schema_scratch *scratch,
                                uint64_t *work, struct scan_element *repeated)
{
    struct scan scan;
    struct scan_element item;
    size_t size = 64;
    if (count <= FEW)
        return check_few(array, work, repeated);
    while (size < (size_t)count * 2)
        size *= 2;
    if (!reserve(scratch, size))
        return UNIQUE_NO_MEMORY;
    uint64_t *table = scratch->hashes;
    (void)scan_open(&scan, array);
    for (;;) {
        size_t offset = (size_t)(scan.rest.pos - array.pos);
        if (!scan_next(&scan, &item))
            break;
        struct compare_value one = value_of(&item);
        uint64_t hash = compare_hash(&one);
        size_t slot = (size_t)hash & (size - 1);
        for (; table[slot] != 0; slot = (slot + 1) & (size - 1)) {
            struct compare_value other = item_at(array, (uint32_t)table[slot]);
            if (*work == 0)
                return UNIQUE_CUT_OFF;
            --*work;
            if (table[slot] >> 32 == hash >> 32 && compare_equal(&one, &other, work)) {
                if (repeated != NULL)
                    *repeated = item;
                return UNIQUE_REPEATED;
            }
        }
        table[slot] = slot_value(hash, offset);
    }
    return *work > 0 ? UNIQUE_YES : UNIQUE_CUT_OFF;
}
