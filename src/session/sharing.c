#include "session/sharing.h"

#include <string.h>
#include <utlist.h>

#include "auth/verifier.h"
#include "base/assert.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "session/hello_facts.h"
#include "session/lease.h"
#include "session/pool_rest.h"
#include "session/saved_hello.h"
#include "session/verified_state.h"

/* The answer for a login that waits for the confirmation of an older connection. */
struct joining {
    struct identity identity;
    int64_t asked_us;
};

static const char *application_of(const struct client *client)
{
    return client->writer.application != NULL ? client->writer.application : "";
}

void sharing_begin(struct client *client, const struct wire_command *request)
{
    const struct config *config = client_config(client);
    if (config->pool.mode == CONFIG_SESSION && config->pool.rules[0] == '\0')
        return;
    hello_facts_note(client, request);
    const char *application = application_of(client);
    bool shares = config_pool_mode_of(config, application, "") == CONFIG_SHARED;
    /* a rule for users counts after the login */
    client->sharing = shares || config_pool_may_share(config, application);
    client->keeps_own = client->sharing && !shares;
}

static void stop_joining(struct client *client)
{
    if (client->joining == NULL)
        return;
    LL_DELETE2(client->worker->joining, client, next_joining);
    memory_free(client->joining);
    client->joining = NULL;
}

void sharing_stop(struct client *client)
{
    stop_joining(client);
    pool_leave(&client->waiting);
}

void sharing_end(struct client *client)
{
    sharing_stop(client);
    sharing_leave_pool(client);
    if (standing_is_known(&client->shared_as))
        standing_forget(client->worker->share_standings, &client->shared_as);
    saved_hello_release(client->hello);
    client->hello = NULL;
}

void sharing_leave_pool(struct client *client)
{
    pool_release(client->pool);
    client->pool = NULL;
}

/* The pool and its clients have one hello in common: that of the first client. */
static void share_hello(struct client *client)
{
    void **data = pool_data(client->pool);
    struct saved_hello *hello = *data;
    if (hello == client->hello)
        return;
    if (hello == NULL) {
        *data = saved_hello_retain(client->hello);
        return;
    }
    saved_hello_release(client->hello);
    client->hello = saved_hello_retain(hello);
}

/* The proxy can open connections for a credential that the server accepts. */
static void share_credential(struct pool *pool, struct verifier *verifier)
{
    void **credential = pool_credential(pool);
    if (*credential != NULL && !verifier_is_stale(*credential))
        return;
    verifier_release(*credential);
    *credential = verifier_retain(verifier);
    pool_set_refillable(pool, !verifier_is_stale(verifier));
}

struct pool *sharing_enter_pool(struct client *client)
{
    bool known = standing_is_known(&client->shared_as);
    struct verifier *verifier = verified_as(client);
    sluice_assert(known || verifier != NULL || !client->may_be_logged_in);
    const struct pool_key key = {.server = client->server,
                                 .identity = verifier != NULL ? verifier_key(verifier)
                                             : known          ? standing_users(&client->shared_as)
                                                              : NULL,
                                 .application = application_of(client),
                                 .compressors = client->compressors,
                                 .backpressure = client->accepts_overload};
    sharing_leave_pool(client);
    client->pool = pool_hold(client->worker->pools, &key);
    if (client->pool == NULL)
        return NULL;
    share_hello(client);
    if (verifier != NULL)
        share_credential(client->pool, verifier);
    return client->pool;
}

void sharing_forget_identity(struct client *client)
{
    struct session_worker *worker = client->worker;
    sluice_assert(client->leased->entry.place == POOL_OWN);
    stop_joining(client);
    standing_forget(worker->share_standings, &client->shared_as);
    standing_forget(worker->share_standings, &client->leased->shared_as);
    verified_end(client); /* the server knows the identity from now on */
    verifier_release(client->leased->verifier);
    client->leased->verifier = NULL;
    sharing_leave_pool(client);
}

static void log_mode(const struct client *client, const char *users)
{
    LOG_SAMPLED(LOG_INFO, LOG_ACCESS, 2005, client->context, client->context,
                "The client shares the upstream connections of its users", LOG_STR("users", users));
}

/* The login is proved: client and connection have this identity from now on. */
static void become(struct client *client, const struct identity *identity, int64_t asked_us)
{
    struct standings *standings = client->worker->share_standings;
    struct upstream_connection *connection = client->leased;
    bool shares = config_pool_mode_of(client_config(client), application_of(client),
                                      identity->text) == CONFIG_SHARED;
    client->keeps_own = !shares;
    if (!shares)
        return;
    bool learned =
        standing_learn(standings, &connection->shared_as, identity, client->server, asked_us) &&
        standing_learn(standings, &client->shared_as, identity, client->server, asked_us) &&
        standing_are_one(&client->shared_as, &connection->shared_as);
    if (!learned)
        client->keeps_own = true; /* as in session mode */
    else
        log_mode(client, identity->text);
}

/* Nobody is logged in on the client's own connection. */
static void become_nobody(struct client *client)
{
    client->may_be_logged_in = false;
    client->leased->may_be_logged_in = false;
    client->keeps_own =
        config_pool_mode_of(client_config(client), application_of(client), "") == CONFIG_SESSION;
}

/* True if `connection` belongs to a user of that name, as far as the proxy knows. */
static bool has_users(const struct upstream_connection *connection, const struct identity *identity,
                      const char *server)
{
    return standing_is_known(&connection->shared_as) && !connection->lost &&
           memcmp(standing_users(&connection->shared_as), identity->users, IDENTITY_KEY_BYTES) ==
               0 &&
           strcmp(connection->server, server) == 0;
}

/* Asks an older connection, or finds one that will be asked. False: there is none. */
static bool ask_older(struct session_worker *worker, const struct client *client)
{
    struct upstream_connection *connection = NULL;
    bool any = false;
    DL_FOREACH2(worker->shared_connections, connection, next_shared)
    {
        if (!has_users(connection, &client->joining->identity, client->server))
            continue;
        any = true;
        if (connection->rest == REST_ASKED && connection->asked_us >= client->joining->asked_us)
            return true;
        if (connection->rest == REST_IDLE) {
            struct pool_entry *entry = pool_take(connection->entry.pool, false);
            (void)pool_rest_ask(upstream_connection_of(entry));
            return true;
        }
    }
    return any;
}

struct client *sharing_next_joined(struct session_worker *worker)
{
    struct client *client = NULL;
    LL_FOREACH2(worker->joining, client, next_joining)
    {
        const struct joining *joining = client->joining;
        int64_t proved_us =
            standings_proved_us(worker->share_standings, &joining->identity, client->server);
        if (joining->asked_us > proved_us && ask_older(worker, client))
            continue;
        struct joining answer = *joining;
        stop_joining(client);
        become(client, &answer.identity, answer.asked_us);
        return client;
    }
    return NULL;
}

static void join_later(struct client *client, const struct identity *identity, int64_t asked_us)
{
    sluice_assert(client->joining == NULL);
    client->joining = memory_alloc(sizeof *client->joining);
    if (client->joining == NULL) {
        client->keeps_own = true;
        return;
    }
    *client->joining = (struct joining){*identity, asked_us};
    LL_PREPEND2(client->worker->joining, client, next_joining);
    pool_rest_wake(client->worker);
}

/* The answer for a connection of a pool. */
static void confirm(struct client *client, const struct identity *users, int64_t asked_us)
{
    struct upstream_connection *connection = client->leased;
    const struct principal *before = connection->shared_as.principal;
    if (!connection->may_be_logged_in)
        return;
    if (connection->verifier != NULL) {
        if (users != NULL && verifier_is_of(connection->verifier, users))
            connection->doubtful = false;
        else
            connection->lost = true;
        return;
    }
    (void)standing_learn(client->worker->share_standings, &connection->shared_as, users,
                         client->server, asked_us);
    if (connection->shared_as.principal == before)
        connection->doubtful = false;
    else
        connection->lost = true;
}

void sharing_learn(struct client *client, const struct identity *identity, int64_t asked_us)
{
    struct identity users;
    const struct upstream_connection *connection = client->leased;
    if (identity != NULL) {
        users = *identity;
        memcpy(users.rights, users.users, sizeof users.rights);
    }
    if (connection->entry.place != POOL_OWN || standing_is_known(&client->shared_as)) {
        confirm(client, identity != NULL ? &users : NULL, asked_us);
        return;
    }
    if (!client->may_be_logged_in)
        return;
    stop_joining(client); /* merging may have asked a second time */
    client->keeps_own = identity == NULL || connection->standing.in_doubt;
    if (client->keeps_own)
        return;
    if (identity->nobody)
        become_nobody(client);
    else
        join_later(client, &users, asked_us);
}
