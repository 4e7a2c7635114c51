#include "upstream/address_map.h"

#include "base/host_port.h"
#include "base/memory.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* A deployment has at most some tens of servers. For so few, a linear search is fastest. */
struct entry {
    char address[ADDRESS_MAP_BYTES]; /* lower case, with a port */
    uint16_t proxy_port;
};

struct address_map {
    pthread_rwlock_t lock;
    struct entry *entries; /* owned */
    size_t count;
    size_t capacity;
};

struct address_map *address_map_new(void)
{
    struct address_map *map = memory_zalloc(sizeof *map);
    if (map == NULL)
        return NULL;
    if (pthread_rwlock_init(&map->lock, NULL) != 0) {
        memory_free(map);
        return NULL;
    }
    return map;
}

void address_map_free(struct address_map *map)
{
    if (map == NULL)
        return;
    (void)pthread_rwlock_destroy(&map->lock);
    memory_free(map->entries);
    memory_free(map);
}

/* A path needs no port, and nothing is added to text that is no address. */
static bool needs_port(const char *address, size_t len)
{
    struct host_port read;
    return address[0] != '/' && host_port_read(address, len, &read) && !read.has_port;
}

static bool normalize(const char *address, size_t len, char out[ADDRESS_MAP_BYTES])
{
    static const char default_port[] = ":27017";
    if (len == 0 || len >= ADDRESS_MAP_BYTES - sizeof default_port)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (address[i] == '\0')
            return false;
        out[i] = (char)tolower((unsigned char)address[i]);
    }
    out[len] = '\0';
    if (needs_port(address, len))
        memcpy(out + len, default_port, sizeof default_port);
    return true;
}

static struct entry *find_address(struct address_map *map, const char *normalized)
{
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->entries[i].address, normalized) == 0)
            return &map->entries[i];
    return NULL;
}

static struct entry *find_port(struct address_map *map, uint16_t proxy_port)
{
    for (size_t i = 0; i < map->count; i++)
        if (map->entries[i].proxy_port == proxy_port)
            return &map->entries[i];
    return NULL;
}

static struct entry *append(struct address_map *map)
{
    if (map->count == map->capacity) {
        size_t capacity = map->capacity == 0 ? 8 : map->capacity * 2;
        struct entry *grown = memory_resize(map->entries, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        map->entries = grown;
        map->capacity = capacity;
    }
    return &map->entries[map->count++];
}

static bool add_locked(struct address_map *map, const char *normalized, uint16_t proxy_port,
                       struct error *err)
{
    struct entry *entry = find_address(map, normalized);
    const struct entry *holder = find_port(map, proxy_port);
    if (holder != NULL && holder != entry)
        return error_set(err, ERROR_BAD_VALUE, "Port %u already leads to %s and cannot lead to %s",
                         proxy_port, holder->address, normalized);
    if (entry == NULL) {
        entry = append(map);
        if (entry == NULL)
            return error_no_memory(err, "the address of %s at port %u", normalized, proxy_port);
        memcpy(entry->address, normalized, ADDRESS_MAP_BYTES);
    }
    entry->proxy_port = proxy_port;
    return true;
}

bool address_map_add(struct address_map *map, const char *address, uint16_t proxy_port,
                     struct error *err)
{
    char normalized[ADDRESS_MAP_BYTES] = "";
    if (!normalize(address, strlen(address), normalized))
        return error_set(err, ERROR_BAD_VALUE, "'%.280s' is not a server address (host:port)",
                         address);
    (void)pthread_rwlock_wrlock(&map->lock);
    bool ok = add_locked(map, normalized, proxy_port, err);
    (void)pthread_rwlock_unlock(&map->lock);
    return ok;
}

bool address_map_remove(struct address_map *map, const char *address)
{
    char normalized[ADDRESS_MAP_BYTES];
    if (!normalize(address, strlen(address), normalized))
        return false;
    (void)pthread_rwlock_wrlock(&map->lock);
    struct entry *entry = find_address(map, normalized);
    if (entry != NULL)
        *entry = map->entries[--map->count];
    (void)pthread_rwlock_unlock(&map->lock);
    return entry != NULL;
}

bool address_map_port(struct address_map *map, const char *address, size_t len,
                      uint16_t *proxy_port)
{
    char normalized[ADDRESS_MAP_BYTES];
    if (!normalize(address, len, normalized))
        return false;
    (void)pthread_rwlock_rdlock(&map->lock);
    const struct entry *entry = find_address(map, normalized);
    if (entry != NULL)
        *proxy_port = entry->proxy_port;
    (void)pthread_rwlock_unlock(&map->lock);
    return entry != NULL;
}
