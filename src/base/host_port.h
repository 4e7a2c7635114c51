/* "HOST:PORT" as text, an IPv6 address in brackets. */
#ifndef SLUICE_BASE_HOST_PORT_H
#define SLUICE_BASE_HOST_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A DNS name has at most 253 characters. HOST_PORT_BYTES: "[HOST]:PORT" and a NUL. */
enum { HOST_BYTES = 256, HOST_PORT_BYTES = HOST_BYTES + 8 };

struct host_port {
    char host[HOST_BYTES]; /* without brackets */
    uint16_t port;
    bool has_port;
    bool bracketed;
};

/* Reads HOST[:PORT] from all `len` bytes. Returns false if the host is empty, is longer than 255
 * bytes or lacks its closing bracket, if the port is no number up to 65535, or if no digits follow
 * the colon. The caller checks the characters of the host. */
bool host_port_read(const char *text, size_t len, struct host_port *out);

/* Writes HOST:PORT, cut at `size`. Adds brackets to a host that contains a colon and has none. */
void host_port_write(const char *host, uint16_t port, char *out, size_t size);

#endif
