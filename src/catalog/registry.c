/* The set: namespaces sorted by name, for listings and edits, and a hash table, because every write
 * looks its namespace up. */
#include "catalog/registry.h"

#include "base/keyed_hash.h"
#include "base/memory.h"

#define ORIGINS 2

/* A namespace and its entries by origin, at least one. */
struct registry_place {
    struct registry_entry *entries[ORIGINS]; /* a reference each, or NULL */
};

/* The enforced entry, borrowed from its place. Open addressing; a slot without an entry is empty.
 */
struct registry_slot {
    uint64_t hash;
    const struct registry_entry *entry;
};

struct registry {
    atomic_uint references;
    struct registry_place *places; /* owned; sorted by namespace */
    size_t count;
    size_t room;
    struct registry_slot *slots; /* owned; at most half of them in use */
    size_t mask;                 /* their number (a power of two) minus one; 0 without slots */
    size_t bytes;                /* of all compiled schemas */
    struct left_out_list left_out;
};

static const struct registry_entry *in_force(const struct registry_place *place)
{
    return place->entries[REGISTRY_FILE] != NULL ? place->entries[REGISTRY_FILE]
                                                 : place->entries[REGISTRY_COLLECTION];
}

/* --- the table --- */

static bool is_named(const struct registry_entry *entry, const char *ns, size_t len)
{
    return entry->ns_len == len && memcmp(entry->file.ns, ns, len) == 0;
}

/* The slot of the namespace, or the empty slot for it. The table has slots. */
static struct registry_slot *find_slot(const struct registry *registry, const char *ns, size_t len,
                                       uint64_t hash)
{
    size_t at = (size_t)hash & registry->mask;
    while (registry->slots[at].entry != NULL &&
           (registry->slots[at].hash != hash || !is_named(registry->slots[at].entry, ns, len)))
        at = (at + 1) & registry->mask;
    return &registry->slots[at];
}

static void fill_slot(struct registry *registry, const struct registry_entry *entry)
{
    uint64_t hash = keyed_hash(entry->file.ns, entry->ns_len);
    struct registry_slot *slot = find_slot(registry, entry->file.ns, entry->ns_len, hash);
    *slot = (struct registry_slot){hash, entry};
}

/* Empties the slot and moves later slots back that were displaced by it. */
static void clear_slot(struct registry *registry, struct registry_slot *slot)
{
    size_t hole = (size_t)(slot - registry->slots);
    for (size_t at = (hole + 1) & registry->mask; registry->slots[at].entry != NULL;
         at = (at + 1) & registry->mask) {
        size_t home = (size_t)registry->slots[at].hash & registry->mask;
        if (((at - home) & registry->mask) < ((at - hole) & registry->mask))
            continue;
        registry->slots[hole] = registry->slots[at];
        hole = at;
    }
    registry->slots[hole].entry = NULL;
}

/* Makes room for this many namespaces in the table. On failure nothing changes. */
static bool make_slots(struct registry *registry, size_t count)
{
    size_t size = registry->mask == 0 ? 16 : registry->mask + 1;
    while (size < 2 * count)
        size *= 2;
    if (registry->slots != NULL && size == registry->mask + 1)
        return true;
    struct registry_slot *slots = memory_array(size, sizeof *slots);
    if (slots == NULL)
        return false;
    memory_free(registry->slots);
    registry->slots = slots;
    registry->mask = size - 1;
    for (size_t i = 0; i < registry->count; i++)
        fill_slot(registry, in_force(&registry->places[i]));
    return true;
}

/* --- the sorted places --- */

static int compare_name(const char *name, const char *ns, size_t len)
{
    size_t name_len = strlen(name);
    int order = memcmp(name, ns, name_len < len ? name_len : len);
    return order != 0 ? order : (name_len > len) - (name_len < len);
}

/* The position of the namespace, or the position for it. */
static size_t find_place(const struct registry *registry, const char *ns, size_t len, bool *there)
{
    size_t low = 0;
    size_t high = registry->count;
    *there = false;
    while (low < high && !*there) {
        size_t middle = low + (high - low) / 2;
        int order = compare_name(in_force(&registry->places[middle])->file.ns, ns, len);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
        if (order == 0) {
            low = middle;
            *there = true;
        }
    }
    return low;
}

static bool make_places(struct registry *registry, size_t count)
{
    if (count <= registry->room)
        return true;
    size_t room = registry->room < 8 ? 8 : registry->room * 2;
    if (room < count)
        room = count;
    struct registry_place *places = memory_resize(registry->places, room * sizeof *places);
    if (places == NULL)
        return false;
    registry->places = places;
    registry->room = room;
    return true;
}

/* --- sets --- */

struct registry *registry_new(void)
{
    struct registry *registry = memory_zalloc(sizeof *registry);
    if (registry != NULL)
        atomic_init(&registry->references, 1);
    return registry;
}

struct registry *registry_copy(const struct registry *from)
{
    struct registry *registry = registry_new();
    if (registry == NULL || from == NULL)
        return registry;
    if (!left_out_copy(&registry->left_out, &from->left_out) ||
        (from->count > 0 && !make_places(registry, from->count))) {
        registry_release(registry);
        return NULL;
    }
    for (size_t i = 0; i < from->count; i++) {
        registry->places[i] = from->places[i];
        for (size_t origin = 0; origin < ORIGINS; origin++)
            if (registry->places[i].entries[origin] != NULL)
                (void)registry_entry_retain(registry->places[i].entries[origin]);
    }
    registry->count = from->count;
    registry->bytes = from->bytes;
    if (from->count > 0 && !make_slots(registry, registry->count)) {
        registry_release(registry);
        return NULL;
    }
    return registry;
}

struct registry *registry_retain(struct registry *registry)
{
    if (registry != NULL)
        (void)atomic_fetch_add(&registry->references, 1);
    return registry;
}

void registry_release(struct registry *registry)
{
    if (registry == NULL || atomic_fetch_sub(&registry->references, 1) > 1)
        return;
    for (size_t i = 0; i < registry->count; i++)
        for (size_t origin = 0; origin < ORIGINS; origin++)
            registry_entry_release(registry->places[i].entries[origin]);
    left_out_release(&registry->left_out);
    memory_free(registry->places);
    memory_free(registry->slots);
    memory_free(registry);
}

/* --- edits --- */

bool registry_put(struct registry *registry, struct registry_entry *entry)
{
    const char *ns = entry->file.ns;
    bool there = false;
    size_t at = find_place(registry, ns, strlen(ns), &there);
    if (!there) {
        if (!make_places(registry, registry->count + 1) ||
            !make_slots(registry, registry->count + 1)) {
            registry_entry_release(entry);
            return false;
        }
        memmove(&registry->places[at + 1], &registry->places[at],
                (registry->count - at) * sizeof *registry->places);
        registry->places[at] = (struct registry_place){{NULL}};
        registry->count++;
    }
    struct registry_place *place = &registry->places[at];
    struct registry_entry *older = place->entries[entry->origin];
    if (older != NULL)
        registry_entry_adopt_stats(entry, older);
    place->entries[entry->origin] = entry;
    registry->bytes += schema_file_bytes(&entry->file);
    if (older != NULL)
        registry->bytes -= schema_file_bytes(&older->file);
    fill_slot(registry, in_force(place)); /* the table still compares with the older entry's name */
    registry_entry_release(older);
    return true;
}

bool registry_remove(struct registry *registry, const char *ns, size_t len,
                     enum registry_origin origin)
{
    bool there = false;
    size_t at = find_place(registry, ns, len, &there);
    if (!there || registry->places[at].entries[origin] == NULL)
        return false;
    struct registry_place *place = &registry->places[at];
    struct registry_entry *older = place->entries[origin];
    struct registry_slot *slot = find_slot(registry, ns, len, keyed_hash(ns, len));
    place->entries[origin] = NULL;
    registry->bytes -= schema_file_bytes(&older->file);
    if (in_force(place) != NULL) {
        slot->entry = in_force(place);
    } else {
        clear_slot(registry, slot);
        registry->count--;
        memmove(place, place + 1, (registry->count - at) * sizeof *place);
    }
    registry_entry_release(older);
    return true;
}

bool registry_leave_out(struct registry *registry, const char *ns, const char *reason)
{
    if (reason != NULL)
        return left_out_put(&registry->left_out, ns, reason);
    left_out_remove(&registry->left_out, ns);
    return true;
}

/* --- reading --- */

const struct registry_left_out *registry_find_left_out(const struct registry *registry,
                                                       const char *ns)
{
    return registry == NULL ? NULL : left_out_find(&registry->left_out, ns);
}

const struct registry_left_out *registry_left_out(const struct registry *registry, size_t *count)
{
    *count = registry == NULL ? 0 : registry->left_out.count;
    return registry == NULL ? NULL : registry->left_out.of;
}

size_t registry_bytes(const struct registry *registry)
{
    return registry == NULL ? 0 : registry->bytes;
}

struct registry_entry *registry_entry_of(const struct registry *registry, const char *ns,
                                         size_t len, enum registry_origin origin)
{
    bool there = false;
    size_t at = registry == NULL ? 0 : find_place(registry, ns, len, &there);
    return there ? registry->places[at].entries[origin] : NULL;
}

size_t registry_bytes_of(const struct registry *registry, const char *ns,
                         enum registry_origin origin)
{
    const struct registry_entry *entry = registry_entry_of(registry, ns, strlen(ns), origin);
    return entry == NULL ? 0 : schema_file_bytes(&entry->file);
}

const struct registry_entry *registry_find(const struct registry *registry, const char *ns,
                                           size_t len)
{
    if (registry == NULL || registry->count == 0)
        return NULL;
    return find_slot(registry, ns, len, keyed_hash(ns, len))->entry;
}

/* Compares the entry's namespace with those of the database: 0 for one of them. */
static int compare_database(const struct registry_entry *entry, struct bytes database)
{
    size_t len = bytes_left(&database);
    int order = memcmp(entry->file.ns, database.pos, entry->ns_len < len ? entry->ns_len : len);
    if (order != 0)
        return order;
    return entry->ns_len <= len ? -1 : (uint8_t)entry->file.ns[len] - '.';
}

/* The first position of the database, or the position for it. */
static size_t find_database(const struct registry *registry, struct bytes database)
{
    size_t low = 0;
    size_t high = registry->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_database(in_force(&registry->places[middle]), database) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool registry_guards(const struct registry *registry, struct bytes database)
{
    if (registry_size(registry) == 0 || bytes_left(&database) == 0)
        return false;
    for (size_t i = find_database(registry, database); i < registry->count; i++) {
        const struct registry_entry *entry = in_force(&registry->places[i]);
        if (compare_database(entry, database) != 0)
            return false;
        if (entry->file.level != SCHEMA_LEVEL_OFF)
            return true;
    }
    return false;
}

const struct registry_entry *registry_strictest(const struct registry *registry,
                                                struct bytes database)
{
    bool all = bytes_left(&database) == 0;
    if (registry_size(registry) == 0)
        return NULL;
    for (size_t i = all ? 0 : find_database(registry, database); i < registry->count; i++) {
        const struct registry_entry *entry = in_force(&registry->places[i]);
        if (!all && compare_database(entry, database) != 0)
            return NULL;
        if (entry->file.level != SCHEMA_LEVEL_OFF && entry->file.reject_unproved &&
            entry->file.action != SCHEMA_ACTION_WARN)
            return entry;
    }
    return NULL;
}

size_t registry_size(const struct registry *registry)
{
    return registry == NULL ? 0 : registry->count;
}

void registry_each(const struct registry *registry,
                   bool (*each)(void *arg, const struct registry_entry *entry), void *arg)
{
    for (size_t i = 0; i < registry_size(registry); i++)
        if (!each(arg, in_force(&registry->places[i])))
            return;
}
