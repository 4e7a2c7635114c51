/* Upstream server <-> port of the proxy that leads to it. One map for the process: the main thread
 * adds and removes, every worker looks up (a read lock, results copied out). */
#ifndef SLUICE_UPSTREAM_ADDRESS_MAP_H
#define SLUICE_UPSTREAM_ADDRESS_MAP_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define ADDRESS_MAP_BYTES 264 /* a host of 255, ':', a port of 5, NUL, rounded up */

struct address_map;

/* NULL when memory is out. */
struct address_map *address_map_new(void);
void address_map_free(struct address_map *map); /* NULL is allowed */

/* address: "host:port"; without a port 27017 is meant; letters compare without case. An address
 * that is there gets the new port. False and *err: memory, an address that is too long, or a port
 * that another address has. */
bool address_map_add(struct address_map *map, const char *address, uint16_t proxy_port,
                     struct error *err);
/* False if it was not there. */
bool address_map_remove(struct address_map *map, const char *address);

/* address need not end with NUL (a string inside a BSON reply). */
bool address_map_port(struct address_map *map, const char *address, size_t len,
                      uint16_t *proxy_port);

#endif
