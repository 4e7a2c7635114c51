#include "upstream/servers.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/host_port.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/listener.h"
#include "upstream/address_map.h"

/* If no port was free, further hello replies do not try again before this time. */
enum { NO_PORT_RETRY_MS = 5000 };

/* The time between two tries to find a port for a server of the topology, and between two reports
 * of failed tries. */
enum { RECONCILE_RETRY_MS = 5000, RECONCILE_REPORT_MS = 60000 };

/* Longer than every path that can be bound. */
enum { UNIX_PATH_BYTES = 512 };

enum { DOOR_PORT, DOOR_UNIX, DOORS };

/* One listening socket of a slot. */
struct door {
    struct listener *listener; /* owned by the control thread */
    int fd;                    /* bound, not accepting yet; -1 otherwise */
};

struct slot {
    struct servers *servers;
    struct door doors[DOORS];
    struct listener_file file; /* of DOOR_UNIX */
    uint16_t port;             /* 0: never bound */
    bool open;                 /* bound or accepting */
    bool confirmed;            /* our own topology has named the server */
    int64_t since_ms;
    char server[TOPOLOGY_ADDRESS_BYTES]; /* "": free */
};

struct servers {
    struct servers_settings settings;
    struct address_map *map;
    pthread_mutex_t lock; /* guards the slots except listeners, and the fields below */
    struct slot *slots;
    size_t count;
    int64_t retry_ms;     /* no port was free: a hello reply tries again only after this time */
    int64_t reconcile_ms; /* some server of the topology has no port: try again then; 0: all have */
    int64_t report_ms;    /* reconciling does not report a missing port before this time */
    bool had_all_ports;
    bool single; /* only the server of the URI is allowed */
    bool closed;
};

/* "" without one. */
static void unix_path_of(const struct slot *slot, char out[UNIX_PATH_BYTES])
{
    config_unix_socket_path(slot->servers->settings.config, slot->port, out, UNIX_PATH_BYTES);
}

static void log_listening_at(const struct slot *slot, const char *address)
{
    LOG_I(LOG_NETWORK, 1000, "listener", "Listening", LOG_STR("address", address),
          LOG_STR("server", slot->server));
}

static void log_listening(const struct slot *slot)
{
    const struct config *config = slot->servers->settings.config;
    char address[HOST_PORT_BYTES];
    char path[UNIX_PATH_BYTES];
    host_port_write(config->listen.host, slot->port, address, sizeof address);
    log_listening_at(slot, address);
    unix_path_of(slot, path);
    if (path[0] != 0)
        log_listening_at(slot, path);
}

/* With the lock held. Closes the sockets that do not accept yet; the control thread owns the
 * listeners. */
static void slot_close(struct slot *slot)
{
    char path[UNIX_PATH_BYTES];
    unix_path_of(slot, path);
    if (slot->open && path[0] != 0)
        listener_remove_file(path, &slot->file);
    for (size_t i = 0; i < DOORS; i++) {
        if (slot->doors[i].fd >= 0)
            close(slot->doors[i].fd);
        slot->doors[i].fd = -1;
    }
    slot->open = false;
}

static bool open_unix(struct slot *slot, struct error *err)
{
    const struct config *config = slot->servers->settings.config;
    char path[UNIX_PATH_BYTES];
    unix_path_of(slot, path);
    if (path[0] == 0)
        return true;
    slot->doors[DOOR_UNIX].fd =
        listener_bind_unix(path, config_unix_socket_mode(config), (int)config->listen_backlog,
                           "unix_domain_socket.path_prefix", &slot->file, err);
    return slot->doors[DOOR_UNIX].fd >= 0;
}

/* With the lock held. Binds the slot's port and socket; the control thread then accepts on them. */
static bool slot_open(struct slot *slot, struct error *err)
{
    const struct config *config = slot->servers->settings.config;
    size_t index = (size_t)(slot - slot->servers->slots);
    uint32_t port = slot->port;
    if (port == 0 && config->listen.port != 0)
        port = config->listen.port + (uint32_t)index;
    if (port > UINT16_MAX)
        return error_set(err, ERROR_BAD_VALUE, "port %u is over 65535 (option listen)", port);
    slot->doors[DOOR_PORT].fd =
        listener_bind(config->listen.host, (uint16_t)port, (int)config->listen_backlog, "listen",
                      &slot->port, err);
    if (slot->doors[DOOR_PORT].fd >= 0 && open_unix(slot, err))
        slot->open = true;
    else
        slot_close(slot);
    return slot->open;
}

struct servers *servers_create(const struct servers_settings *settings, struct error *err)
{
    struct servers *servers = memory_zalloc(sizeof *servers);
    size_t count = (size_t)settings->config->listen_port_count;
    if (servers == NULL) {
        (void)error_no_memory(err, "the listeners");
        return NULL;
    }
    servers->settings = *settings;
    (void)config_retain(settings->config);
    pthread_mutex_init(&servers->lock, NULL);
    servers->map = address_map_new();
    servers->slots = memory_array(count, sizeof *servers->slots);
    if (servers->map == NULL || servers->slots == NULL) {
        (void)error_no_memory(err, "the listeners");
        servers_destroy(servers);
        return NULL;
    }
    servers->count = count;
    for (size_t i = 0; i < count; i++) {
        servers->slots[i].servers = servers;
        servers->slots[i].doors[DOOR_PORT].fd = -1;
        servers->slots[i].doors[DOOR_UNIX].fd = -1;
    }
    if (slot_open(&servers->slots[0], err))
        return servers;
    servers_destroy(servers);
    return NULL;
}

void servers_destroy(struct servers *servers)
{
    if (servers == NULL)
        return;
    for (size_t i = 0; servers->slots != NULL && i < servers->count; i++)
        slot_close(&servers->slots[i]);
    address_map_free(servers->map);
    memory_free(servers->slots);
    config_release(servers->settings.config);
    pthread_mutex_destroy(&servers->lock);
    memory_free(servers);
}

/* --- accepting (control thread) -----------------------------------------------------------------
 */

static void on_accepted(void *arg, int client_fd)
{
    struct slot *slot = arg;
    struct servers *servers = slot->servers;
    char server[TOPOLOGY_ADDRESS_BYTES];
    pthread_mutex_lock(&servers->lock);
    memcpy(server, slot->server, sizeof server);
    pthread_mutex_unlock(&servers->lock);
    servers->settings.accepted(servers->settings.arg, client_fd, server);
}

static void apply_door(struct slot *slot, struct door *door)
{
    struct servers *servers = slot->servers;
    struct error err;
    pthread_mutex_lock(&servers->lock);
    int fd = door->fd;
    bool open = slot->open;
    door->fd = -1;
    pthread_mutex_unlock(&servers->lock);
    if ((!open || fd >= 0) &&
        door->listener != NULL) { /* fd: closed and reopened in the meantime */
        listener_stop(door->listener);
        door->listener = NULL;
    }
    if (fd < 0)
        return;
    door->listener =
        listener_start(worker_base(servers->settings.control), fd, on_accepted, slot, &err);
    if (door->listener == NULL)
        LOG_E(LOG_NETWORK, 1011, "listener", "Cannot listen", LOG_STR("error", err.message));
}

/* Starts and stops listeners until they match the slots. */
static void apply_slots(struct servers *servers)
{
    for (size_t i = 0; i < servers->count; i++)
        for (size_t door = 0; door < DOORS; door++)
            apply_door(&servers->slots[i], &servers->slots[i].doors[door]);
}

static void apply_slots_job(void *context, void *arg)
{
    (void)context;
    apply_slots(arg);
}

void servers_close(struct servers *servers)
{
    pthread_mutex_lock(&servers->lock);
    servers->closed = true;
    for (size_t i = 0; i < servers->count; i++)
        slot_close(&servers->slots[i]);
    pthread_mutex_unlock(&servers->lock);
    apply_slots(servers);
}

/* --- slots (lock held) --------------------------------------------------------------------------
 */

static struct slot *find_slot(struct servers *servers, const char *server)
{
    for (size_t i = 0; i < servers->count; i++)
        if (strcmp(servers->slots[i].server, server) == 0)
            return &servers->slots[i];
    return NULL;
}

static void slot_clear(struct slot *slot)
{
    struct servers *servers = slot->servers;
    servers->retry_ms = 0;
    LOG_I(LOG_TOPOLOGY, 1012, "topology", "Server left; its port is free",
          LOG_STR("server", slot->server), LOG_INT("port", slot->port));
    (void)address_map_remove(servers->map, slot->server);
    slot->server[0] = 0;
    slot->confirmed = false;
    if (slot != &servers->slots[0])
        slot_close(slot);
}

/* Takes the first free slot with a usable port. */
static struct slot *slot_take(struct servers *servers, const char *server)
{
    struct error err = {0};
    for (size_t i = 0; i < servers->count; i++) {
        struct slot *slot = &servers->slots[i];
        if (slot->server[0] != 0 || (slot->open && i != 0))
            continue;
        if (!slot->open && !slot_open(slot, &err)) {
            if (clock_now_ms() >= servers->report_ms)
                LOG_W(LOG_NETWORK, 1013, "listener",
                      "Cannot use a port of the range; trying the next",
                      LOG_STR("error", err.message));
            continue;
        }
        if (!address_map_add(servers->map, server, slot->port, &err)) {
            LOG_E(LOG_NETWORK, 1014, "listener", "Cannot assign a port to a server",
                  LOG_STR("server", server), LOG_STR("error", err.message));
            return NULL;
        }
        (void)snprintf(slot->server, sizeof slot->server, "%s", server);
        slot->since_ms = clock_now_ms();
        slot->confirmed = false;
        log_listening(slot);
        return slot;
    }
    return NULL;
}

static void note_no_port(struct servers *servers, const char *server)
{
    servers->retry_ms = clock_now_ms() + NO_PORT_RETRY_MS;
    if (clock_now_ms() < servers->report_ms)
        return;
    LOG_E(LOG_NETWORK, 1015, "listener",
          "No port is left for an upstream server; raise listen_port_count, or see the warnings "
          "before",
          LOG_STR("server", server), LOG_INT("listenPortCount", (int64_t)servers->count));
}

static bool is_listed(const struct topology_snapshot *topology, const char *server)
{
    for (size_t i = 0; i < topology->server_count; i++)
        if (strcmp(topology->servers[i].address, server) == 0)
            return true;
    return false;
}

static void drop_gone(struct servers *servers, const struct topology_snapshot *topology)
{
    for (size_t i = 0; i < servers->count; i++) {
        struct slot *slot = &servers->slots[i];
        if (slot->confirmed && !is_listed(topology, slot->server))
            slot_clear(slot);
    }
}

/* Clears the oldest slot of a member that only hello replies named. False if no such slot is
 * min_age_ms old. */
static bool drop_unconfirmed(struct servers *servers, int64_t now_ms, int64_t min_age_ms)
{
    struct slot *oldest = NULL;
    for (size_t i = 0; i < servers->count; i++) {
        struct slot *slot = &servers->slots[i];
        if (slot->server[0] != 0 && !slot->confirmed && now_ms - slot->since_ms >= min_age_ms &&
            (oldest == NULL || slot->since_ms < oldest->since_ms))
            oldest = slot;
    }
    if (oldest != NULL)
        slot_clear(oldest);
    return oldest != NULL;
}

/* With the lock held, and released meanwhile: the listeners of cleared slots release their ports.
 */
static void free_ports(struct servers *servers)
{
    pthread_mutex_unlock(&servers->lock);
    apply_slots(servers);
    pthread_mutex_lock(&servers->lock);
}

/* A server that our monitoring knows displaces members that only hello replies named. */
static void take_confirmed(struct servers *servers, const char *server)
{
    struct slot *slot = find_slot(servers, server);
    if (slot == NULL)
        slot = slot_take(servers, server);
    while (slot == NULL && drop_unconfirmed(servers, clock_now_ms(), 0)) {
        free_ports(servers);
        slot = slot_take(servers, server);
    }
    if (slot != NULL)
        slot->confirmed = true;
    else
        note_no_port(servers, server);
}

/* With the lock held. */
static void note_shortage(struct servers *servers, const struct topology_snapshot *topology)
{
    bool known = false;
    bool missing = false;
    for (size_t i = 0; i < topology->server_count; i++) {
        known = known || topology->servers[i].type != TOPOLOGY_SERVER_UNKNOWN;
        missing = missing || find_slot(servers, topology->servers[i].address) == NULL;
    }
    int64_t now_ms = clock_now_ms();
    servers->reconcile_ms = missing ? now_ms + RECONCILE_RETRY_MS : 0;
    if (!missing || now_ms >= servers->report_ms)
        servers->report_ms = missing ? now_ms + RECONCILE_REPORT_MS : 0;
    servers->had_all_ports = servers->had_all_ports || (known && !missing);
}

void servers_reconcile(struct servers *servers, const struct topology_snapshot *topology)
{
    pthread_mutex_lock(&servers->lock);
    servers->single = topology->kind == TOPOLOGY_SINGLE;
    if (!servers->closed) {
        drop_gone(servers, topology);
        free_ports(servers);
        for (size_t i = 0; i < topology->server_count; i++)
            take_confirmed(servers, topology->servers[i].address);
        note_shortage(servers, topology);
    }
    pthread_mutex_unlock(&servers->lock);
    apply_slots(servers);
}

bool servers_retry_is_due(struct servers *servers, int64_t now_ms)
{
    pthread_mutex_lock(&servers->lock);
    bool due = !servers->closed && servers->reconcile_ms != 0 && now_ms >= servers->reconcile_ms;
    pthread_mutex_unlock(&servers->lock);
    return due;
}

uint16_t servers_port_of_server(struct servers *servers, const char *server)
{
    pthread_mutex_lock(&servers->lock);
    const struct slot *slot = find_slot(servers, server);
    uint16_t port = slot != NULL ? slot->port : 0;
    pthread_mutex_unlock(&servers->lock);
    return port;
}

bool servers_had_all_ports(struct servers *servers)
{
    pthread_mutex_lock(&servers->lock);
    bool had = servers->had_all_ports;
    pthread_mutex_unlock(&servers->lock);
    return had;
}

void servers_drop_unconfirmed(struct servers *servers, int64_t now_ms)
{
    bool dropped = false;
    pthread_mutex_lock(&servers->lock);
    while (drop_unconfirmed(servers, now_ms, SERVERS_UNCONFIRMED_MS))
        dropped = true;
    pthread_mutex_unlock(&servers->lock);
    if (dropped)
        apply_slots(servers);
}

/* Converts to lower case, as libmongoc does. False if the name is too long for an address. */
static bool normalize(const char *member, size_t len, char out[TOPOLOGY_ADDRESS_BYTES])
{
    if (len == 0 || len >= TOPOLOGY_ADDRESS_BYTES)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)tolower((unsigned char)member[i]);
    out[len] = 0;
    return true;
}

uint16_t servers_port_of_member(struct servers *servers, const char *member, size_t len)
{
    uint16_t port = 0;
    char server[TOPOLOGY_ADDRESS_BYTES];
    if (address_map_port(servers->map, member, len, &port))
        return port;
    if (!normalize(member, len, server))
        return 0;
    pthread_mutex_lock(&servers->lock);
    struct slot *slot = find_slot(servers, server);
    bool is_new =
        slot == NULL && !servers->single && !servers->closed && clock_now_ms() >= servers->retry_ms;
    if (is_new)
        slot = slot_take(servers, server);
    if (slot != NULL)
        port = slot->port;
    else if (is_new && !drop_unconfirmed(servers, clock_now_ms(), NO_PORT_RETRY_MS))
        note_no_port(servers, server);
    /* with the lock held: the control thread lives until it has closed the servers */
    if (is_new && !worker_post(servers->settings.control, apply_slots_job, servers))
        LOG_E(LOG_NETWORK, 1016, "listener", "Out of memory: the listeners are not up to date");
    pthread_mutex_unlock(&servers->lock);
    return port;
}
