/* The growing vectors of the program, and the block that they become. */
#include "schema/lowering.h"

#include "base/memory.h"
#include "schema/quick.h"

/* The index of `count` new zeroed entries. */
uint32_t lower_push_many(struct lower *l, struct vector *v, size_t count)
{
    if (v->count + count > v->room || v->data == NULL) {
        size_t room = v->room < 16 ? 16 : v->room;
        while (room < v->count + count)
            room *= 2;
        void *data = l->no_memory ? NULL : memory_resize(v->data, room * v->size);
        if (data == NULL) {
            l->no_memory = true;
            return NO_INDEX;
        }
        v->data = data;
        v->room = room;
    }
    memset((char *)v->data + v->count * v->size, 0, count * v->size);
    v->count += count;
    return (uint32_t)(v->count - count);
}

void *lower_entry(struct lower *l, enum lower_vector id, size_t index)
{
    struct vector *v = &l->vectors[id];
    return (char *)v->data + index * v->size;
}

uint32_t lower_push(struct lower *l, enum lower_vector id, const void *value)
{
    uint32_t index = lower_push_many(l, &l->vectors[id], 1);
    if (index != NO_INDEX)
        memcpy(lower_entry(l, id, index), value, l->vectors[id].size);
    return index;
}

void lower_set_link(struct lower *l, uint32_t index, uint32_t value)
{
    if (!l->no_memory)
        *(uint32_t *)lower_entry(l, LOWER_LINKS, index) = value;
}

uint32_t lower_push_text(struct lower *l, const char *text, size_t len)
{
    uint32_t at = lower_push_many(l, &l->vectors[LOWER_TEXT], len + 1);
    if (at != NO_INDEX)
        memcpy(lower_entry(l, LOWER_TEXT, at), text, len);
    return at;
}

uint32_t lower_slots_for(size_t count)
{
    uint32_t size = 4;
    while (size < count * 2)
        size *= 2;
    return size;
}

uint32_t lower_push_slots(struct lower *l, uint32_t size)
{
    uint32_t first = lower_push_many(l, &l->vectors[LOWER_LINKS], size);
    for (uint32_t i = 0; first != NO_INDEX && i < size; i++)
        lower_set_link(l, first + i, NO_INDEX);
    return first;
}

void lower_fill_slot(struct lower *l, uint32_t first, uint32_t mask, uint64_t hash, uint32_t value)
{
    uint32_t slot = (uint32_t)hash & mask;
    if (l->no_memory)
        return;
    while (*(uint32_t *)lower_entry(l, LOWER_LINKS, first + slot) != NO_INDEX)
        slot = (slot + 1) & mask;
    lower_set_link(l, first + slot, value);
}

bool lower_assemble(struct lower *l, struct program *program, uint32_t document_node)
{
    size_t offsets[LOWER_VECTORS];
    size_t total = 0;
    for (size_t i = 0; i < LOWER_VECTORS; i++) {
        total = (total + 63) / 64 * 64;
        offsets[i] = total;
        total += l->vectors[i].count * l->vectors[i].size;
    }
    char *block = memory_zalloc(total);
    if (block == NULL)
        return false;
    for (size_t i = 0; i < LOWER_VECTORS; i++)
        if (l->vectors[i].count > 0)
            memcpy(block + offsets[i], l->vectors[i].data,
                   l->vectors[i].count * l->vectors[i].size);
    *program = (struct program){
        .block = block,
        .bytes = total,
        .nodes = (const void *)(block + offsets[LOWER_NODES]),
        .objects = (const void *)(block + offsets[LOWER_OBJECTS]),
        .properties = (const void *)(block + offsets[LOWER_PROPERTIES]),
        .arrays = (const void *)(block + offsets[LOWER_ARRAYS]),
        .numbers = (const void *)(block + offsets[LOWER_NUMBERS]),
        .bounds = (const void *)(block + offsets[LOWER_BOUNDS]),
        .strings = (const void *)(block + offsets[LOWER_STRINGS]),
        .combinations = (const void *)(block + offsets[LOWER_COMBINATIONS]),
        .enums = (const void *)(block + offsets[LOWER_ENUMS]),
        .values = (const void *)(block + offsets[LOWER_VALUES]),
        .tags = (const void *)(block + offsets[LOWER_TAGS]),
        .patterns = (const void *)(block + offsets[LOWER_PATTERNS]),
        .dependencies = (const void *)(block + offsets[LOWER_DEPENDENCIES]),
        .bits = (const void *)(block + offsets[LOWER_BITS]),
        .links = (const void *)(block + offsets[LOWER_LINKS]),
        .text = block + offsets[LOWER_TEXT],
    };
    quick_fill(program, document_node, (void *)(block + offsets[LOWER_PROPERTIES]),
               (void *)(block + offsets[LOWER_ARRAYS]), l->vectors[LOWER_OBJECTS].count,
               l->vectors[LOWER_ARRAYS].count);
    return true;
}

void lower_begin(struct lower *l)
{
    static const size_t sizes[LOWER_VECTORS] = {
        [LOWER_NODES] = sizeof(struct node),
        [LOWER_OBJECTS] = sizeof(struct object_rule),
        [LOWER_PROPERTIES] = sizeof(struct property),
        [LOWER_ARRAYS] = sizeof(struct array_rule),
        [LOWER_NUMBERS] = sizeof(struct number_rule),
        [LOWER_BOUNDS] = sizeof(struct number_bound),
        [LOWER_STRINGS] = sizeof(struct string_rule),
        [LOWER_COMBINATIONS] = sizeof(struct combination),
        [LOWER_ENUMS] = sizeof(struct enum_rule),
        [LOWER_VALUES] = sizeof(struct enum_value),
        [LOWER_TAGS] = sizeof(struct tag_rule),
        [LOWER_PATTERNS] = sizeof(struct pattern_property),
        [LOWER_DEPENDENCIES] = sizeof(struct dependency),
        [LOWER_BITS] = sizeof(uint64_t),
        [LOWER_LINKS] = sizeof(uint32_t),
        [LOWER_TEXT] = 1,
    };
    for (size_t i = 0; i < LOWER_VECTORS; i++)
        l->vectors[i].size = sizes[i];
}
