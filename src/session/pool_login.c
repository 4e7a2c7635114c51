#include "session/pool_login.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/memory.h"
#include "session/pool.h"
#include "session/pool_login_state.h"
#include "session/question.h"
#include "session/saved_hello.h"
#include "session/session_worker.h"
#include "wire/reply.h"

static enum pool_login_step fail_without_memory(struct error *err)
{
    (void)error_no_memory(err, "a login of the proxy");
    return POOL_LOGIN_FAILED;
}

/* Takes over the message. */
static enum pool_login_step send_message(struct upstream_connection *connection, uint8_t *message,
                                         size_t len, struct error *err)
{
    counters_add(&connection->worker->counters, COUNTER_UPSTREAM_REQUESTS, 1);
    connection->may_be_logged_in = true;
    bool sent = link_send(&connection->link, message, len, err);
    explicit_bzero(message, len);
    memory_free(message);
    return sent ? POOL_LOGIN_MORE : POOL_LOGIN_FAILED;
}

static enum pool_login_step send_command(struct upstream_connection *connection,
                                         struct bytes command, struct error *err)
{
    uint8_t *message = NULL;
    size_t len = 0;
    if (!wire_reply_frame((struct wire_reply_to){0}, ++connection->login->request_id, 0, command,
                          &message, &len))
        return fail_without_memory(err);
    return send_message(connection, message, len, err);
}

enum pool_login_step pool_login_begin(struct upstream_connection *connection,
                                      struct verifier *verifier, struct error *err)
{
    uint8_t random[SCRAM_RANDOM_BYTES];
    struct bytes command;
    struct pool_login *login = memory_zalloc(sizeof *login);
    if (login == NULL || RAND_bytes(random, sizeof random) != 1) {
        memory_free(login);
        return fail_without_memory(err);
    }
    connection->login = login;
    login->verifier = verifier_retain(verifier);
    login->request_id = 1; /* after the hello */
    login->as = login_as_begin(verifier, random, &command);
    return login->as == NULL ? fail_without_memory(err) : send_command(connection, command, err);
}

/* Does not take the server's word for the login alone. */
static enum pool_login_step ask(struct upstream_connection *connection, struct error *err)
{
    struct scan_element version;
    uint8_t *question = NULL;
    size_t len = 0;
    bool versioned = saved_hello_api_version(*pool_data(connection->entry.pool), &version);
    if (!question_build(versioned ? &version : NULL, &question, &len))
        return fail_without_memory(err);
    connection->login->asked = true;
    counters_add(&connection->worker->counters, COUNTER_IDENTITY_QUESTIONS, 1);
    return send_message(connection, question, len, err);
}

static enum pool_login_step check_identity(struct upstream_connection *connection,
                                           struct bytes document, struct error *err)
{
    struct identity identity;
    struct verifier *verifier = connection->login->verifier;
    bool clear = identity_read(document, &identity);
    if ((clear && identity.nobody) ||
        identity_is_doubted(document)) { /* the user was dropped since the login */
        verifier_note_stale(verifier);
        (void)error_set(err, ERROR_AUTHENTICATION_FAILED, "the user lost its login at once");
        return POOL_LOGIN_STALE;
    }
    if (!clear || !verifier_is_of(verifier, &identity)) {
        (void)error_set(err, ERROR_PROTOCOL,
                        "mongosluice logged in at the upstream server %s, and it does not name "
                        "the user",
                        connection->server);
        return POOL_LOGIN_FAILED;
    }
    connection->verifier = verifier_retain(verifier);
    pool_login_free(connection->login);
    connection->login = NULL;
    return POOL_LOGIN_DONE;
}

enum pool_login_step pool_login_take(struct upstream_connection *connection, struct bytes document,
                                     struct error *err)
{
    struct bytes command;
    if (connection->login->asked)
        return check_identity(connection, document, err);
    switch (login_as_take(connection->login->as, document, &command, err)) {
    case LOGIN_AS_SEND:
        return send_command(connection, command, err);
    case LOGIN_AS_DONE:
        return ask(connection, err);
    case LOGIN_AS_STALE:
        verifier_note_stale(connection->login->verifier);
        return POOL_LOGIN_STALE;
    case LOGIN_AS_FAILED:
        break;
    }
    return POOL_LOGIN_FAILED;
}
