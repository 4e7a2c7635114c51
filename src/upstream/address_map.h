/* Maps upstream servers to ports of the proxy. The process has one map: the main thread adds and
 * removes entries, and every worker looks them up (with a read lock; results are copied). */
#ifndef SLUICE_UPSTREAM_ADDRESS_MAP_H
#define SLUICE_UPSTREAM_ADDRESS_MAP_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define ADDRESS_MAP_BYTES 264 /* a host of 255, ':', a port of 5, NUL, rounded up */

struct address_map;

/* NULL without memory. */
struct address_map *address_map_new(void);
void address_map_free(struct address_map *map); /* NULL is allowed */

/* `address` is "host:port"; the default port is 27017; case does not matter. A known address gets
 * the new port. False with *err: no memory, an address that is too long, or a port of another
 * address. */
bool address_map_add(struct address_map *map, const char *address, uint16_t proxy_port,
                     struct error *err);
/* False if the address is unknown. */
bool address_map_remove(struct address_map *map, const char *address);

/* `address` needs no final NUL (a string in a BSON reply). */
bool address_map_port(struct address_map *map, const char *address, size_t len,
                      uint16_t *proxy_port);

#endif
