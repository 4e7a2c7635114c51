#include "upstream/topology.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "upstream/uri.h"

#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { RETRY_SECONDS = 5 };

struct topology {
    pthread_mutex_t lock; /* guards the fields below up to the blank line */
    pthread_cond_t wake;  /* signals `stopping` */
    bool stopping;
    enum topology_kind kind;
    char set_name[TOPOLOGY_NAME_BYTES];
    char open_error[512];            /* the reason why monitoring could not start (SRV lookup) */
    char dropped[512];               /* the reason why the last server left */
    struct topology_server *servers; /* owned */
    size_t server_count;
    size_t server_capacity;

    pthread_t thread;  /* owns the libmongoc pool */
    mongoc_uri_t *uri; /* owned, without credentials */
    char *redacted;    /* owned */
    void (*changed)(void *arg);
    void *arg;
};

/* Cut to fit. */
static void append_text(char *out, size_t cap, const char *text)
{
    size_t used = strlen(out);
    size_t len = strnlen(text, cap - used - 1);
    memcpy(out + used, text, len);
    out[used + len] = '\0';
}

static void copy_text(char *out, size_t cap, const char *text)
{
    out[0] = '\0';
    append_text(out, cap, text);
}

static enum topology_server_type type_of(const char *name)
{
    for (size_t i = 0; i < TOPOLOGY_SERVER_TYPES; i++)
        if (strcmp(topology_server_type_name((enum topology_server_type)i), name) == 0)
            return (enum topology_server_type)i;
    return TOPOLOGY_SERVER_UNKNOWN;
}

static bool is_known(const struct topology_server *server)
{
    return server->type != TOPOLOGY_SERVER_UNKNOWN;
}

static struct topology_server *find_server(struct topology *t, const char *address)
{
    for (size_t i = 0; i < t->server_count; i++)
        if (strcmp(t->servers[i].address, address) == 0)
            return &t->servers[i];
    return NULL;
}

/* NULL without memory: the next event about this server tries again. */
static struct topology_server *add_server(struct topology *t, const mongoc_host_list_t *host)
{
    struct topology_server *server = find_server(t, host->host_and_port);
    if (server != NULL)
        return server;
    if (t->server_count == t->server_capacity) {
        size_t capacity = t->server_capacity == 0 ? 4 : t->server_capacity * 2;
        struct topology_server *grown = memory_resize(t->servers, capacity * sizeof *grown);
        if (grown == NULL) {
            LOG_E(LOG_TOPOLOGY, 5002, "topology", "No memory to follow a server",
                  LOG_STR("server", host->host_and_port));
            return NULL;
        }
        t->servers = grown;
        t->server_capacity = capacity;
    }
    server = &t->servers[t->server_count++];
    *server =
        (struct topology_server){.port = host->port, .is_unix_socket = host->family == AF_UNIX};
    copy_text(server->address, sizeof server->address, host->host_and_port);
    copy_text(server->host, sizeof server->host, host->host);
    return server;
}

static const char *hello_set_name(const mongoc_server_description_t *description)
{
    bson_iter_t iter;
    const bson_t *hello = mongoc_server_description_hello_response(description);
    if (hello != NULL && bson_iter_init_find(&iter, hello, "setName") &&
        BSON_ITER_HOLDS_UTF8(&iter))
        return bson_iter_utf8(&iter, NULL);
    return "";
}

/* The callbacks. libmongoc calls them with its own lock held, so they only copy. It ends each round
 * of opened, closed and changed servers with "topology changed". Only then is the state consistent,
 * and we announce it. */

static void on_server_opening(const mongoc_apm_server_opening_t *event)
{
    struct topology *t = mongoc_apm_server_opening_get_context(event);
    (void)pthread_mutex_lock(&t->lock);
    (void)add_server(t, mongoc_apm_server_opening_get_host(event));
    (void)pthread_mutex_unlock(&t->lock);
}

/* With the lock held. */
static void describe_drop(struct topology *t, const struct topology_server *server)
{
    const char *wanted = mongoc_uri_get_replica_set(t->uri);
    const char *wanted_by = "the connection string (replicaSet)";
    if (wanted == NULL && strcmp(t->set_name, server->set_name) != 0) {
        wanted = t->set_name;
        wanted_by = "the other servers";
    }
    if (wanted == NULL || wanted[0] == '\0' || strcmp(wanted, server->set_name) == 0)
        (void)snprintf(t->dropped, sizeof t->dropped,
                       "%s was left out: it answered as %s, which does not match the other servers "
                       "or the replicaSet of the connection string",
                       server->address, topology_server_type_name(server->type));
    else if (server->set_name[0] == '\0')
        (void)snprintf(t->dropped, sizeof t->dropped,
                       "%.150s was left out: it answered as %s, a member of no replica set, and "
                       "%s names the set \"%.100s\"",
                       server->address, topology_server_type_name(server->type), wanted_by, wanted);
    else
        (void)snprintf(t->dropped, sizeof t->dropped,
                       "%.150s was left out: it belongs to the replica set \"%.100s\", and %s "
                       "names \"%.100s\"; correct the name, or the address",
                       server->address, server->set_name, wanted_by, wanted);
}

static void on_server_closed(const mongoc_apm_server_closed_t *event)
{
    struct topology *t = mongoc_apm_server_closed_get_context(event);
    const char *address = mongoc_apm_server_closed_get_host(event)->host_and_port;
    (void)pthread_mutex_lock(&t->lock);
    struct topology_server *server = find_server(t, address);
    if (server != NULL) {
        describe_drop(t, server);
        *server = t->servers[--t->server_count];
    }
    (void)pthread_mutex_unlock(&t->lock);
    LOG_I(LOG_TOPOLOGY, 5003, "topology", "Server left the topology", LOG_STR("server", address));
}

static void on_server_changed(const mongoc_apm_server_changed_t *event)
{
    struct topology *t = mongoc_apm_server_changed_get_context(event);
    const mongoc_host_list_t *host = mongoc_apm_server_changed_get_host(event);
    const mongoc_server_description_t *now = mongoc_apm_server_changed_get_new_description(event);
    enum topology_server_type type = type_of(mongoc_server_description_type(now));
    const char *set_name = hello_set_name(now);
    if (type == TOPOLOGY_SERVER_POSSIBLE_PRIMARY)
        type = TOPOLOGY_SERVER_UNKNOWN;
    (void)pthread_mutex_lock(&t->lock);
    struct topology_server *server = add_server(t, host);
    if (server != NULL) {
        server->type = type;
        copy_text(server->set_name, sizeof server->set_name, set_name);
        if (is_known(server))
            server->last_error[0] = '\0';
    }
    const char *wanted = mongoc_uri_get_replica_set(t->uri);
    if (set_name[0] != '\0' && (wanted == NULL || strcmp(wanted, set_name) == 0) &&
        (wanted != NULL || t->set_name[0] == '\0'))
        copy_text(t->set_name, sizeof t->set_name, set_name);
    (void)pthread_mutex_unlock(&t->lock);
    LOG_I(LOG_TOPOLOGY, 5004, "topology", "Server description changed",
          LOG_STR("server", host->host_and_port), LOG_STR("type", topology_server_type_name(type)));
}

static void on_heartbeat_failed(const mongoc_apm_server_heartbeat_failed_t *event)
{
    struct topology *t = mongoc_apm_server_heartbeat_failed_get_context(event);
    const mongoc_host_list_t *host = mongoc_apm_server_heartbeat_failed_get_host(event);
    bson_error_t reason = {0};
    bool is_new = false;
    mongoc_apm_server_heartbeat_failed_get_error(event, &reason);
    (void)pthread_mutex_lock(&t->lock);
    struct topology_server *server = find_server(t, host->host_and_port);
    if (server != NULL && strcmp(server->last_error, reason.message) != 0) {
        copy_text(server->last_error, sizeof server->last_error, reason.message);
        is_new = true;
    }
    (void)pthread_mutex_unlock(&t->lock);
    if (!is_new)
        return;
    LOG_W(LOG_TOPOLOGY, 5005, "topology", "Upstream server does not answer; the proxy tries again",
          LOG_STR("server", host->host_and_port), LOG_STR("error", reason.message));
    t->changed(t->arg);
}

static void on_heartbeat_succeeded(const mongoc_apm_server_heartbeat_succeeded_t *event)
{
    struct topology *t = mongoc_apm_server_heartbeat_succeeded_get_context(event);
    const mongoc_host_list_t *host = mongoc_apm_server_heartbeat_succeeded_get_host(event);
    (void)pthread_mutex_lock(&t->lock);
    struct topology_server *server = find_server(t, host->host_and_port);
    bool had_error = server != NULL && server->last_error[0] != '\0';
    if (had_error)
        server->last_error[0] = '\0';
    (void)pthread_mutex_unlock(&t->lock);
    if (had_error)
        t->changed(t->arg);
}

static enum topology_kind kind_of(const char *type)
{
    static const struct {
        const char *type;
        enum topology_kind kind;
    } kinds[] = {
        {"Single", TOPOLOGY_SINGLE},
        {"RSNoPrimary", TOPOLOGY_REPLICA_SET},
        {"RSWithPrimary", TOPOLOGY_REPLICA_SET},
        {"ReplicaSetNoPrimary", TOPOLOGY_REPLICA_SET},
        {"ReplicaSetWithPrimary", TOPOLOGY_REPLICA_SET},
        {"Sharded", TOPOLOGY_SHARDED},
        {"LoadBalanced", TOPOLOGY_LOAD_BALANCED},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(type, kinds[i].type) == 0)
            return kinds[i].kind;
    return TOPOLOGY_UNKNOWN;
}

static void on_topology_changed(const mongoc_apm_topology_changed_t *event)
{
    struct topology *t = mongoc_apm_topology_changed_get_context(event);
    const mongoc_topology_description_t *now =
        mongoc_apm_topology_changed_get_new_description(event);
    (void)pthread_mutex_lock(&t->lock);
    t->kind = kind_of(mongoc_topology_description_type(now));
    (void)pthread_mutex_unlock(&t->lock);
    t->changed(t->arg);
}

/* The thread that owns the pool. */

static bool register_callbacks(struct topology *t, mongoc_client_pool_t *pool)
{
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_server_opening_cb(callbacks, on_server_opening);
    mongoc_apm_set_server_closed_cb(callbacks, on_server_closed);
    mongoc_apm_set_server_changed_cb(callbacks, on_server_changed);
    mongoc_apm_set_topology_changed_cb(callbacks, on_topology_changed);
    mongoc_apm_set_server_heartbeat_failed_cb(callbacks, on_heartbeat_failed);
    mongoc_apm_set_server_heartbeat_succeeded_cb(callbacks, on_heartbeat_succeeded);
    bool ok = mongoc_client_pool_set_apm_callbacks(pool, callbacks, t);
    mongoc_apm_callbacks_destroy(callbacks);
    return ok;
}

/* For mongodb+srv:// this is the lookup: it may block and fail. */
static mongoc_client_pool_t *open_pool(struct topology *t)
{
    bson_error_t reason = {0};
    mongoc_client_pool_t *pool = mongoc_client_pool_new_with_error(t->uri, &reason);
    if (pool != NULL && register_callbacks(t, pool))
        return pool;
    if (pool != NULL)
        mongoc_client_pool_destroy(pool);
    (void)pthread_mutex_lock(&t->lock);
    bool is_new = strcmp(t->open_error, reason.message) != 0;
    copy_text(t->open_error, sizeof t->open_error, reason.message);
    (void)pthread_mutex_unlock(&t->lock);
    if (is_new) {
        LOG_W(LOG_TOPOLOGY, 5006, "topology", "Monitoring cannot start; the proxy tries again",
              LOG_STR("upstream", t->redacted), LOG_STR("error", reason.message));
        t->changed(t->arg);
    }
    return NULL;
}

/* True if the topology stops. seconds 0: waits for that without a limit. */
static bool wait_for_stop(struct topology *t, int seconds)
{
    struct timespec until = clock_deadline(seconds * INT64_C(1000));
    int result = 0;
    (void)pthread_mutex_lock(&t->lock);
    while (!t->stopping && result == 0)
        result = seconds == 0 ? pthread_cond_wait(&t->wake, &t->lock)
                              : pthread_cond_timedwait(&t->wake, &t->lock, &until);
    bool stopping = t->stopping;
    (void)pthread_mutex_unlock(&t->lock);
    return stopping;
}

static void *run(void *arg)
{
    struct topology *t = arg;
    mongoc_client_pool_t *pool = open_pool(t);
    while (pool == NULL && !wait_for_stop(t, RETRY_SECONDS))
        pool = open_pool(t);
    if (pool == NULL)
        return NULL;
    (void)pthread_mutex_lock(&t->lock);
    t->open_error[0] = '\0';
    (void)pthread_mutex_unlock(&t->lock);
    /* The pool starts to monitor when its first client is taken. */
    mongoc_client_t *client = mongoc_client_pool_pop(pool);
    (void)wait_for_stop(t, 0);
    mongoc_client_pool_push(pool, client);
    mongoc_client_pool_destroy(pool);
    return NULL;
}

static void topology_free(struct topology *t)
{
    mongoc_uri_destroy(t->uri);
    memory_free(t->redacted);
    memory_free(t->servers);
    memory_free(t);
}

static void init_locks(struct topology *t)
{
    (void)pthread_mutex_init(&t->lock, NULL);
    clock_init_condition(&t->wake);
}

static void free_with_locks(struct topology *t)
{
    (void)pthread_cond_destroy(&t->wake);
    (void)pthread_mutex_destroy(&t->lock);
    topology_free(t);
}

struct topology *topology_start(const struct uri *uri, void (*changed)(void *arg), void *arg,
                                struct error *err)
{
    struct topology *t = memory_zalloc(sizeof *t);
    if (t == NULL) {
        error_no_memory(err, "the monitoring of the upstream");
        return NULL;
    }
    t->changed = changed;
    t->arg = arg;
    t->uri = mongoc_uri_new(uri_for_monitoring(uri));
    t->redacted = memory_copy_string(uri_redacted(uri));
    if (t->uri == NULL || t->redacted == NULL) {
        error_set(err, ERROR_INTERNAL, "Cannot set up monitoring of %.300s", uri_redacted(uri));
        topology_free(t);
        return NULL;
    }
    init_locks(t);
    int failure = pthread_create(&t->thread, NULL, run, t);
    if (failure == 0)
        return t;
    error_set(err, ERROR_INTERNAL, "Cannot start a thread to monitor the upstream: %s",
              strerror(failure));
    free_with_locks(t);
    return NULL;
}

void topology_stop(struct topology *t)
{
    if (t == NULL)
        return;
    (void)pthread_mutex_lock(&t->lock);
    t->stopping = true;
    (void)pthread_cond_signal(&t->wake);
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_join(t->thread, NULL);
    free_with_locks(t);
}

/* Writes the reason why no server is known, as one sentence. */
static void write_cause(const struct topology *t, struct topology_snapshot *out)
{
    out->cause[0] = '\0';
    for (size_t i = 0; i < t->server_count; i++)
        if (is_known(&t->servers[i]))
            return;
    if (t->open_error[0] != '\0') {
        copy_text(out->cause, sizeof out->cause, t->open_error);
        return;
    }
    for (size_t i = 0; i < t->server_count; i++) {
        const struct topology_server *server = &t->servers[i];
        if (server->last_error[0] == '\0')
            continue;
        if (out->cause[0] != '\0')
            append_text(out->cause, sizeof out->cause, "; ");
        if (strstr(server->last_error, server->address) == NULL) {
            append_text(out->cause, sizeof out->cause, server->address);
            append_text(out->cause, sizeof out->cause, ": ");
        }
        append_text(out->cause, sizeof out->cause, server->last_error);
    }
    if (out->cause[0] == '\0' && t->server_count == 0 && t->dropped[0] != '\0')
        copy_text(out->cause, sizeof out->cause, t->dropped);
    if (out->cause[0] == '\0')
        copy_text(out->cause, sizeof out->cause, TOPOLOGY_NO_ANSWER_YET);
}

bool topology_read(struct topology *t, struct topology_snapshot *out, struct error *err)
{
    bool ok = true;
    *out = (struct topology_snapshot){.kind = TOPOLOGY_UNKNOWN};
    (void)pthread_mutex_lock(&t->lock);
    out->servers = memory_array(t->server_count, sizeof *out->servers);
    if (out->servers == NULL) {
        ok = error_no_memory(err, "the topology");
    } else {
        if (t->server_count > 0)
            memcpy(out->servers, t->servers, t->server_count * sizeof *out->servers);
        out->server_count = t->server_count;
        out->kind = t->kind;
        if (t->kind == TOPOLOGY_REPLICA_SET)
            copy_text(out->set_name, sizeof out->set_name, t->set_name);
        write_cause(t, out);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return ok;
}
