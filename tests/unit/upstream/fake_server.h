/* A server that answers hello with a given reply, on a free port of the loopback. Only its thread
 * touches its sockets. */
#ifndef TESTS_UNIT_UPSTREAM_FAKE_SERVER_H
#define TESTS_UNIT_UPSTREAM_FAKE_SERVER_H

#include <bson/bson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { FAKE_CONNECTIONS_MAX = 16 };

struct fake_server {
    pthread_mutex_t lock;
    bson_t *hello;     /* owned; guarded by lock */
    bool saw_auth;     /* a command asked for authentication; guarded by lock */
    char app_name[64]; /* that the first hello gave; guarded by lock */
    char address[32];  /* "127.0.0.1:port" */
    uint16_t port;
    int listener;
    int wake[2]; /* closed to end the thread */
    int connections[FAKE_CONNECTIONS_MAX];
    pthread_t thread;
};

/* Ends the test program on failure. Until fake_server_hello it answers as a standalone. */
void fake_server_start(struct fake_server *fake);
/* Takes the document over. */
void fake_server_hello(struct fake_server *fake, bson_t *hello);
void fake_server_stop(struct fake_server *fake);

/* hello of a replica set member: hosts end with NULL. */
bson_t *fake_member_hello(const char *set_name, const char *const *hosts, const char *me,
                          const char *primary);
bson_t *fake_standalone_hello(void);
bson_t *fake_mongos_hello(void);

#endif
