#include "net/tls_resume.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>
#include <utlist.h>

#include "base/memory.h"

enum {
    SERVERS_MAX = 256, /* in a deployment; others are not resumed */
    FAILURES_MAX = 3   /* in a row, of resumed handshakes: the server's, and not a restart's */
};

struct resumed_server {
    struct resumed_server *next;
    SSL_SESSION *session; /* owned; NULL: none */
    unsigned failures;
    char name[];
};

struct resumptions {
    pthread_mutex_t lock; /* guards all but the names */
    struct resumed_server *servers;
    unsigned count;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int of_context;    /* struct resumptions */
static int of_connection; /* its struct resumed_server */
static int of_offer;      /* not NULL: a session was offered */

/* Called when the last connection of the context is gone, too. */
static void free_resumptions(void *parent, void *value, CRYPTO_EX_DATA *data, int index, long argl,
                             void *argp)
{
    struct resumptions *resumptions = value;
    struct resumed_server *server = NULL;
    struct resumed_server *next = NULL;
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    if (resumptions == NULL)
        return;
    LL_FOREACH_SAFE(resumptions->servers, server, next)
    {
        SSL_SESSION_free(server->session);
        memory_free(server);
    }
    pthread_mutex_destroy(&resumptions->lock);
    memory_free(resumptions);
}

static void make_indices(void)
{
    of_context = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_resumptions);
    of_connection = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    of_offer = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static struct resumptions *resumptions_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), of_context);
}

/* Called by OpenSSL. 1: the session is kept. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct resumptions *resumptions = resumptions_of(ssl);
    struct resumed_server *server = SSL_get_ex_data(ssl, of_connection);
    if (server == NULL)
        return 0;
    pthread_mutex_lock(&resumptions->lock);
    SSL_SESSION *old = server->session;
    server->session = session;
    pthread_mutex_unlock(&resumptions->lock);
    SSL_SESSION_free(old);
    return 1;
}

void tls_resume_enable(SSL_CTX *ctx)
{
    (void)pthread_once(&once, make_indices);
    struct resumptions *resumptions = memory_zalloc(sizeof *resumptions);
    if (resumptions == NULL)
        return;
    pthread_mutex_init(&resumptions->lock, NULL);
    if (SSL_CTX_set_ex_data(ctx, of_context, resumptions) != 1) {
        free_resumptions(NULL, resumptions, NULL, 0, 0, NULL);
        return;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
}

/* With the lock held. NULL: it is not resumed. */
static struct resumed_server *find(struct resumptions *resumptions, const char *name)
{
    struct resumed_server *server = NULL;
    size_t bytes = strlen(name) + 1;
    LL_FOREACH(resumptions->servers, server)
    if (strcmp(server->name, name) == 0)
        return server;
    if (resumptions->count == SERVERS_MAX)
        return NULL;
    server = memory_zalloc(sizeof *server + bytes);
    if (server == NULL)
        return NULL;
    memcpy(server->name, name, bytes);
    LL_PREPEND(resumptions->servers, server);
    resumptions->count++;
    return server;
}

void tls_resume_offer(SSL *ssl, const char *name)
{
    (void)pthread_once(&once, make_indices);
    struct resumptions *resumptions = resumptions_of(ssl);
    if (resumptions == NULL)
        return;
    pthread_mutex_lock(&resumptions->lock);
    struct resumed_server *server = find(resumptions, name);
    if (server != NULL && server->failures < FAILURES_MAX &&
        SSL_set_ex_data(ssl, of_connection, server) == 1 && server->session != NULL &&
        SSL_SESSION_is_resumable(server->session) == 1 &&
        SSL_set_session(ssl, server->session) == 1)
        (void)SSL_set_ex_data(ssl, of_offer, server);
    pthread_mutex_unlock(&resumptions->lock);
}

void tls_resume_note_result(SSL *ssl, bool succeeded)
{
    (void)pthread_once(&once, make_indices);
    struct resumed_server *server = SSL_get_ex_data(ssl, of_offer);
    SSL_SESSION *old = NULL;
    if (server == NULL || (succeeded && SSL_session_reused(ssl) != 1))
        return;
    struct resumptions *resumptions = resumptions_of(ssl);
    pthread_mutex_lock(&resumptions->lock);
    if (succeeded) {
        server->failures = 0;
    } else {
        server->failures++;
        old = server->session;
        server->session = NULL;
    }
    pthread_mutex_unlock(&resumptions->lock);
    SSL_SESSION_free(old);
}
