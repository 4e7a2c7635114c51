#include "session/accept.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log_sample.h"
#include "base/memory.h"
#include "base/server_limits.h"
#include "config/networks.h"
#include "session/life.h"
#include "session/requests.h"
#include "session/session.h"

struct accepted {
    int fd;
    char server[];
};

static struct client *client_new(struct session_worker *worker, int fd, const char *server)
{
    size_t server_bytes = strlen(server) + 1;
    struct client *client = memory_zalloc(sizeof *client + server_bytes);
    if (client == NULL)
        return NULL;
    memcpy(client->server, server, server_bytes);
    client->worker = worker;
    client->id = atomic_fetch_add(&worker->shared->last_id, 1) + 1;
    client->limits =
        (struct client_limits){SERVER_DOCUMENT_BYTES, SERVER_BATCH_DOCUMENTS, SERVER_MESSAGE_BYTES};
    client->since_ms = clock_now_ms();
    client->accepted_ms = client->since_ms;
    client->peer = address_peer_of(fd);
    (void)snprintf(client->context, sizeof client->context, "conn%llu",
                   (unsigned long long)client->id);
    struct turn *turn = worker_turn(worker->worker);
    link_init(&client->link, &worker->shared->budget, turn, &requests_handler, client);
    client->next_turn = (struct turn_waiter){.run = requests_go_on, .arg = client};
    return client;
}

static void log_accepted(struct client *client, unsigned clients)
{
    char peer[ADDRESS_TEXT_BYTES];
    address_describe_peer(&client->peer, peer);
    LOG_I(LOG_NETWORK, 1001, client->context, "Connection accepted", LOG_STR("remote", peer),
          LOG_INT("connectionId", (int64_t)client->id), LOG_INT("connectionCount", clients),
          LOG_STR("server", client->server));
}

static void start_link(struct client *client)
{
    struct event_base *base = worker_base(client->worker->worker);
    struct tls_context *tls = client->worker->settings->server_tls;
    struct error err;
    int fd = client->link.transport.fd;
    if (tls != NULL && client_config(client)->tls.mode == CONFIG_TLS_ALLOW) {
        link_start_peeking(&client->link, base, tls);
        return;
    }
    if (tls != NULL && !transport_init_tls_server(&client->link.transport, fd, tls, &err)) {
        client_end(client, err.message);
        return;
    }
    link_start(&client->link, base);
}

static void introduced(void *arg, const struct proxy_header *header)
{
    struct client *client = arg;
    char via[ADDRESS_TEXT_BYTES];
    char peer[ADDRESS_TEXT_BYTES];
    address_describe_peer(&client->peer, via);
    if (header->names_client)
        client->peer = header->peer;
    address_describe_peer(&client->peer, peer);
    LOG_I(LOG_NETWORK, 1120, client->context, "A PROXY protocol header names the client",
          LOG_STR("remote", peer), LOG_STR("via", via));
    client->link.handler = &requests_handler;
    start_link(client);
}

/* A load balancer without the protocol, or a client without a load balancer: one of the two is set
 * up wrongly. */
static void not_introduced(void *arg, const char *cause)
{
    struct client *client = arg;
    char peer[ADDRESS_TEXT_BYTES];
    address_describe_peer(&client->peer, peer);
    LOG_SAMPLED(LOG_WARNING, LOG_NETWORK, 1121, peer, client->context,
                "A connection has no PROXY protocol header; closed it", LOG_STR("remote", peer),
                LOG_STR("reason", cause));
    client_end(client, cause);
}

/* Until the header of the PROXY protocol is there. */
static const struct link_handler header_handler = {.failed = not_introduced,
                                                   .introduced = introduced};

static void start_client(struct client *client, int fd)
{
    transport_init_plain(&client->link.transport, fd);
    if (networks_contain(client_config(client)->listen_proxy_protocol, client->peer.family,
                         client->peer.host)) {
        client->link.handler = &header_handler;
        link_start_header(&client->link, worker_base(client->worker->worker));
    } else {
        start_link(client);
    }
}

/* Counts one more client or one more refused client, which takes no client's place. False if there
 * is no room even for the error. */
static bool enter(struct session_worker *worker, bool *refused)
{
    struct session_shared *shared = worker->shared;
    *refused = atomic_fetch_add(&shared->clients_now, 1) >=
               (uint64_t)worker->settings->config->max_client_conn;
    if (!*refused)
        return true;
    client_count_out(worker, false);
    if (atomic_fetch_add(&shared->refused_now, 1) < ACCEPT_REFUSALS_MAX)
        return true;
    client_count_out(worker, true);
    return false;
}

static void accept_client(void *context, void *arg)
{
    struct session_worker *worker = context;
    struct accepted *accepted = arg;
    bool refused = false;
    struct client *client = NULL;
    if (enter(worker, &refused)) {
        client = client_new(worker, accepted->fd, accepted->server);
        if (client == NULL)
            client_count_out(worker, refused);
    }
    if (client == NULL) {
        atomic_fetch_sub(&worker->clients, 1);
        counters_add(&worker->counters, COUNTER_CLIENTS_REFUSED, 1);
        close(accepted->fd);
        memory_free(accepted);
        return;
    }
    client->refused = refused;
    counters_add(&worker->counters,
                 client->refused ? COUNTER_CLIENTS_REFUSED : COUNTER_CLIENTS_ACCEPTED, 1);
    counters_add(&worker->counters, COUNTER_CLIENTS_NOW, 1);
    DL_APPEND(worker->client_list, client);
    client->link.transport.fd = accepted->fd;
    log_accepted(client, atomic_load(&worker->shared->clients_now));
    start_client(client, accepted->fd);
    memory_free(accepted);
}

void session_worker_accept(struct session_worker *worker, int client_fd, const char *server)
{
    size_t len = strlen(server) + 1;
    struct accepted *accepted = memory_alloc(sizeof *accepted + len);
    if (accepted != NULL) {
        accepted->fd = client_fd;
        memcpy(accepted->server, server, len);
        atomic_fetch_add(&worker->clients, 1);
        if (worker_post(worker->worker, accept_client, accepted))
            return;
        atomic_fetch_sub(&worker->clients, 1);
        memory_free(accepted);
    }
    LOG_E(LOG_NETWORK, 1002, "listener", "Out of memory for a connection; closed it");
    close(client_fd);
}
