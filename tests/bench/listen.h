/* The listening socket of the null upstream. */
#ifndef SLUICE_BENCH_LISTEN_H
#define SLUICE_BENCH_LISTEN_H

#include <stdint.h>

#define LISTEN_ADDRESS_BYTES 64

/* Returns a listening socket that does not block, and writes its host:port; -1 after saying on
 * stderr why it cannot. Port 0 takes a free one. */
int listen_open(const char *host, uint16_t port, char address[LISTEN_ADDRESS_BYTES]);

#endif
