/* Which port of the proxy leads to which upstream server: one slot for each, ports counted up from
 * the option `listen`. The first slot listens from the start to the end, so that clients get an
 * answer also while no server is known. */
#ifndef SLUICE_UPSTREAM_SERVERS_H
#define SLUICE_UPSTREAM_SERVERS_H

#include "config/config.h"
#include "net/worker.h"
#include "upstream/topology.h"

struct servers;

struct servers_settings {
    struct config *config;  /* listen…, which do not reload; a reference is taken */
    struct worker *control; /* its thread accepts */
    /* On the control thread: a client of `server` ("" when the slot has none). fd changes hands. */
    void (*accepted)(void *arg, int client_fd, const char *server);
    void *arg;
};

/* Binds the first port, so that a port in use is known before anything else starts. */
struct servers *servers_create(const struct servers_settings *settings, struct error *err);
/* After the control thread ended. */
void servers_destroy(struct servers *servers);

/* How long a member that only a hello reply named keeps its slot while the proxy's own monitoring
 * does not see it. */
enum { SERVERS_UNCONFIRMED_MS = 60000 };

/* Control thread: slots follow the topology. A server that is gone loses its slot. Where no slot is
 * free, a new server takes that of a member that only a hello reply named. */
void servers_reconcile(struct servers *servers, const struct topology_snapshot *topology);

/* Control thread, from time to time: members that only hello replies named, and that the proxy's
 * own monitoring has not seen for SERVERS_UNCONFIRMED_MS, lose their slots. */
void servers_drop_unconfirmed(struct servers *servers, int64_t now_ms);

/* Any thread: the port that leads to a member named in a hello reply; it gets a slot if it has none
 * (the proxy's own monitoring may learn of a new member later than a client). 0: clients must not
 * be told of it, since it was left out on purpose (directConnection=true) or no port is free. */
uint16_t servers_port_of_member(struct servers *servers, const char *member, size_t len);

/* Control thread: no new connections from now on. */
void servers_close(struct servers *servers);

#endif
