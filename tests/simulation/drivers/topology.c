#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

static struct server *find_server(struct client *client, const char *address)
{
    for (unsigned i = 0; i < client->server_count; i++) {
        if (strcmp(client->servers[i].address, address) == 0) {
            return &client->servers[i];
        }
    }
    return NULL;
}

static void add_server(struct client *client, const char *address)
{
    if (find_server(client, address) != NULL || client->server_count == CLIENT_SERVERS_MAX) {
        return;
    }
    struct server *server = &client->servers[client->server_count++];
    memset(server, 0, sizeof *server);
    server->client = client;
    snprintf(server->address, sizeof server->address, "%s", address);
    monitor_start(server);
}

/* As users write them in the URI: one for each server. */
void topology_begin(struct client *client)
{
    const struct plan *plan = client->plan;
    client->server_count = 0;
    client->has_election = false;
    if (plan->topology == PLAN_MONGOS && plan->direct) {
        add_server(client, "s:27017");
        return;
    }
    unsigned seeds = plan->topology == PLAN_REPLICA_SET ? plan->members : 1;
    for (unsigned i = 0; i < seeds; i++) {
        char address[32];
        if (plan->direct) {
            snprintf(address, sizeof address, "%c:27017", 'a' + (char)i);
        } else {
            snprintf(address, sizeof address, "p:%u", 27017 + i);
        }
        add_server(client, address);
    }
}

static bool read_version(const bson_t *reply, struct server_version *out)
{
    bson_iter_t iter, found;
    if (!bson_iter_init(&iter, reply) ||
        !bson_iter_find_descendant(&iter, "topologyVersion.processId", &found) ||
        !BSON_ITER_HOLDS_OID(&found)) {
        return false;
    }
    bson_oid_copy(bson_iter_oid(&found), &out->process);
    out->counter = reply_integer(reply, "topologyVersion.counter", 0);
    out->known = true;
    return true;
}

static bool is_true(const bson_t *reply, const char *name)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, reply, name) && bson_iter_as_bool(&iter);
}

enum server_type topology_read_type(const bson_t *reply)
{
    bson_iter_t iter;
    if (!reply_is_ok(reply)) {
        return SERVER_UNKNOWN;
    }
    if (bson_iter_init_find(&iter, reply, "msg") && BSON_ITER_HOLDS_UTF8(&iter) &&
        strcmp(bson_iter_utf8(&iter, NULL), "isdbgrid") == 0) {
        return SERVER_MONGOS;
    }
    if (!bson_iter_init_find(&iter, reply, "setName")) {
        return SERVER_STANDALONE;
    }
    if (is_true(reply, "isWritablePrimary") || is_true(reply, "ismaster")) {
        return SERVER_PRIMARY;
    }
    return is_true(reply, "secondary") ? SERVER_SECONDARY : SERVER_OTHER;
}

/* Hosts in a hello are those that the client may dial: never a server behind the proxy. */
static void take_hosts(struct client *client, const bson_t *reply)
{
    bson_iter_t iter, item;
    if (!bson_iter_init_find(&iter, reply, "hosts") || !BSON_ITER_HOLDS_ARRAY(&iter) ||
        !bson_iter_recurse(&iter, &item)) {
        return;
    }
    while (bson_iter_next(&item)) {
        const char *address = BSON_ITER_HOLDS_UTF8(&item) ? bson_iter_utf8(&item, NULL) : "";
        bool known = client->plan->direct ? strstr(address, ":27017") == address + 1
                                          : strncmp(address, "p:", 2) == 0;
        if (!known) {
            world_fail(client->world, "hello addresses", "%s is told to dial \"%s\"", client->actor,
                       address);
            return;
        }
        add_server(client, address);
    }
}

static int compare_elections(int64_t set_a, const bson_oid_t *id_a, int64_t set_b,
                             const bson_oid_t *id_b)
{
    int order = bson_oid_compare(id_a, id_b);
    return order != 0 ? order : (set_a > set_b) - (set_a < set_b);
}

/* A primary of an older election is none. */
static bool is_stale_primary(struct client *client, const bson_t *reply)
{
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, reply, "electionId") || !BSON_ITER_HOLDS_OID(&iter)) {
        return false;
    }
    const bson_oid_t *id = bson_iter_oid(&iter);
    int64_t set_version = reply_integer(reply, "setVersion", 0);
    if (client->has_election && compare_elections(set_version, id, client->election_set_version,
                                                  &client->election_id) < 0) {
        return true;
    }
    client->has_election = true;
    client->election_set_version = set_version;
    bson_oid_copy(id, &client->election_id);
    return false;
}

static void become_only_primary(struct server *primary)
{
    struct client *client = primary->client;
    for (unsigned i = 0; i < client->server_count; i++) {
        struct server *other = &client->servers[i];
        if (other != primary && other->type == SERVER_PRIMARY) {
            topology_lose(other, "another server is primary");
        }
    }
}

static const char *type_name(enum server_type type)
{
    static const char *const names[] = {"unknown",   "standalone", "primary",
                                        "secondary", "mongos",     "other"};
    return names[type];
}

static bool is_older(const struct server *server, const struct server_version *version)
{
    return server->version.known && version->known &&
           bson_oid_equal(&server->version.process, &version->process) &&
           version->counter < server->version.counter;
}

void topology_take_hello(struct server *server, const bson_t *reply)
{
    struct client *client = server->client;
    struct server_version version = {0};
    read_version(reply, &version);
    if (is_older(server, &version)) {
        return;
    }
    enum server_type type = topology_read_type(reply);
    if (is_true(reply, "helloOk")) {
        server->says_hello = true;
    }
    if (type == SERVER_PRIMARY) {
        if (is_stale_primary(client, reply)) {
            topology_lose(server, "it is the primary of an older election");
            return;
        }
        become_only_primary(server);
    }
    if (type == SERVER_UNKNOWN) {
        topology_lose(server, "its hello is an error");
        return;
    }
    if (server->type != type) {
        client_trace(client, "%s is %s", server->address, type_name(type));
    }
    server->type = type;
    server->version = version;
    server->ready = true;
    take_hosts(client, reply);
    client_changed(client);
}

void topology_lose(struct server *server, const char *why)
{
    if (server->type != SERVER_UNKNOWN) {
        client_trace(server->client, "%s is unknown: %s", server->address, why);
    }
    server->type = SERVER_UNKNOWN;
    memset(&server->version, 0, sizeof server->version);
    client_changed(server->client);
}

static bool is_shutdown(int code)
{
    return code == 91 || code == 11600;
}

bool topology_is_state_change(int code)
{
    static const int codes[] = {91, 189, 10058, 10107, 11600, 11602, 13435, 13436};
    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

void topology_take_error(struct server *server, unsigned generation, const bson_t *reply, int code)
{
    struct server_version version = {0};
    if (generation < server->generation || !topology_is_state_change(code)) {
        return;
    }
    read_version(reply, &version);
    if (server->version.known && version.known &&
        bson_oid_equal(&server->version.process, &version.process) &&
        version.counter <= server->version.counter) {
        return;
    }
    topology_lose(server, "it says that it is no primary");
    server->version = version;
    if (is_shutdown(code)) {
        pool_clear(server);
    }
    monitor_want(server);
}

void topology_take_loss(struct server *server, unsigned generation, bool handshake)
{
    if (generation < server->generation) {
        return;
    }
    /* A driver with backpressure takes a failed handshake for a busy server, not for a lost one. */
    if (handshake && server->client->what->backpressure) {
        return;
    }
    topology_lose(server, "a connection broke");
    pool_clear(server);
    monitor_want(server);
}

struct server *topology_select(struct client *client)
{
    int64_t until = world_now_us(client->world) + client_selection_timeout_us;
    for (;;) {
        for (unsigned i = 0; i < client->server_count; i++) {
            struct server *server = &client->servers[i];
            if (server->type == SERVER_PRIMARY || server->type == SERVER_STANDALONE ||
                server->type == SERVER_MONGOS) {
                return server;
            }
            monitor_want(server);
        }
        bool late = false;
        if (!client_wait(client, until, &late)) {
            return NULL;
        }
    }
}
