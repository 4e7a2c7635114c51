/* Finds an upstream that is the proxy's own listener. */
#ifndef SLUICE_MAIN_OWN_UPSTREAM_H
#define SLUICE_MAIN_OWN_UPSTREAM_H

#include "config/config.h"
#include "upstream/uri.h"

/* False with the reason if the connection string names the first listener: by a numeric address of
 * this machine, localhost, the machine's name, or the Unix socket. Asks no name server: the proxy
 * notices other ways back to itself when its own monitoring arrives (session_shared.own_id). */
bool own_upstream_check(const struct config *config, const struct uri *uri, struct error *err);

#endif
