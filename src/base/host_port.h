/* "HOST:PORT" as text, an IPv6 address in brackets. */
#ifndef SLUICE_BASE_HOST_PORT_H
#define SLUICE_BASE_HOST_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HOST_BYTES = 256 };

struct host_port {
    char host[HOST_BYTES]; /* without brackets */
    uint16_t port;
    bool has_port;
    bool bracketed;
};

/* Reads HOST[:PORT] from all `len` bytes. False when the host is empty, longer than 255 bytes or
 * lacks its second bracket, or when the port is no number up to 65535. A colon without digits after
 * it is an error, too. Which characters a host may hold is the caller's business. */
bool host_port_read(const char *text, size_t len, struct host_port *out);

/* Writes HOST:PORT, cut at `size`; a host with a colon that has no brackets gets them. */
void host_port_write(const char *host, uint16_t port, char *out, size_t size);

#endif
