/* Who a connection acts as, learned by watching its authentication go by. Pure: BSON bodies in,
 * events out. It keeps names only, never a password or a proof.
 *
 * A connection starts with a NULL identity, which is nobody; the first authentication command
 * allocates one. The session feeds it the commands that identity_watches names, and the reply of
 * each command for which identity_command answered IDENTITY_WATCH. A server allows one user for
 * each database (since 5.0 one in all), so an identity is a small set of users. */
#ifndef SLUICE_AUTH_IDENTITY_H
#define SLUICE_AUTH_IDENTITY_H

#include "base/bytes.h"

#define IDENTITY_NAME_MAX  1024 /* bytes of a user name that are kept */
#define IDENTITY_KEY_BYTES 32
#define IDENTITY_USERS_MAX 8 /* databases with a user on one connection */

struct identity;

enum identity_watch {
    IDENTITY_PASS,     /* this command has nothing to do with authentication */
    IDENTITY_WATCH,    /* hand the reply to identity_reply */
    IDENTITY_NO_MEMORY /* who the connection is cannot be known: close it */
};

enum identity_event {
    IDENTITY_UNCHANGED,
    IDENTITY_AUTHENTICATED,
    IDENTITY_FAILED,
    IDENTITY_LOGGED_OUT
};

/* Whether commands of that name (the first element of the body) must be fed. */
bool identity_watches(const char *name, size_t len);

/* A command on its way to the server. *identity may be NULL and is allocated where that is needed.
 * body: the command document; db: its database, NULL: the body's own $db. */
enum identity_watch identity_command(struct identity **identity, struct bytes body, const char *db,
                                     size_t db_len);

/* The reply to the last command that answered IDENTITY_WATCH, on its way to the client. */
enum identity_event identity_reply(struct identity *identity, struct bytes body);

/* NULL is allowed. */
void identity_free(struct identity *identity);

/* Users that are logged in. NULL: 0. */
size_t identity_user_count(const struct identity *identity);

/* Equal keys <=> equal sets of users (name and database, by SHA-256). Nobody's key is all zeros.
 * Users whose name does not cross the wire (MONGODB-AWS, MONGODB-OIDC, GSSAPI) or was longer than
 * IDENTITY_NAME_MAX equal nobody else: connection_id, unique in the process, makes their key. */
void identity_key(const struct identity *identity, uint64_t connection_id,
                  uint8_t key[IDENTITY_KEY_BYTES]);

/* "alice@admin (SCRAM-SHA-256)", several joined with ", ", "" for nobody; cut to fit cap. A
 * principal that is not known is written as "?". Returns out. */
char *identity_describe(const struct identity *identity, char *out, size_t cap);

/* The parts of one user, borrowed until the identity changes; index < identity_user_count, in the
 * order of their logins. A name or database that is not known is "?". */
void identity_user(const struct identity *identity, size_t index, const char **name,
                   const char **db, const char **mechanism);

#endif
