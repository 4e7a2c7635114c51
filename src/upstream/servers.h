/* Assigns ports of the proxy to upstream servers: one slot for each server, with consecutive ports
 * from the option `listen`. The first slot always listens, so that clients get an answer even if no
 * server is known. */
#ifndef SLUICE_UPSTREAM_SERVERS_H
#define SLUICE_UPSTREAM_SERVERS_H

#include "config/config.h"
#include "net/worker.h"
#include "upstream/topology.h"

struct servers;

struct servers_settings {
    struct config *config;  /* the listen… options, which do not reload; a reference is taken */
    struct worker *control; /* its thread accepts */
    /* On the control thread: a new client of `server` ("" if the slot has none). The callee owns
     * fd. */
    void (*accepted)(void *arg, int client_fd, const char *server);
    void *arg;
};

/* Binds the first port, so that a port in use is found before anything else starts. */
struct servers *servers_create(const struct servers_settings *settings, struct error *err);
/* Call it after the end of the control thread. */
void servers_destroy(struct servers *servers);

/* The time that a member keeps its slot if only a hello reply named it and our monitoring does not
 * see it. */
enum { SERVERS_UNCONFIRMED_MS = 60000 };

/* Control thread: makes the slots follow the topology. A server that left loses its slot. If no
 * slot is free, a new server takes the slot of a member that only a hello reply named. */
void servers_reconcile(struct servers *servers, const struct topology_snapshot *topology);

/* Control thread, from time to time: true if a server of the topology has no port and another try
 * is due; the caller then calls servers_reconcile. */
bool servers_retry_is_due(struct servers *servers, int64_t now_ms);

/* Control thread, from time to time: clears the slots of members that only hello replies named and
 * that our monitoring has not seen for SERVERS_UNCONFIRMED_MS. */
void servers_drop_unconfirmed(struct servers *servers, int64_t now_ms);

/* Any thread: the port of a member in a hello reply. An unknown member gets a slot, because a
 * client may learn of it before our monitoring. 0: the proxy must hide the member, because
 * directConnection=true excludes it or no port is free. */
uint16_t servers_port_of_member(struct servers *servers, const char *member, size_t len);

/* Any thread: the port of a server of the topology; 0 if it has none. Assigns no port. */
uint16_t servers_port_of_server(struct servers *servers, const char *server);

/* Any thread: true if there was a time at which a server was known and every server of the topology
 * had a port. */
bool servers_had_all_ports(struct servers *servers);

/* Control thread: accepts no new connections from now on. */
void servers_close(struct servers *servers);

#endif
