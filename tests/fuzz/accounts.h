/* A server with two users that knows the logged-in user of each connection, for the fuzz targets
 * `crossing` and `crossing_shared`. It answers requests, and compares each document to store with
 * the connection that its client would have had without a proxy. In shared mode it plays this
 * connection beside the real ones, and compares each command. */
#ifndef SLUICE_FUZZ_ACCOUNTS_H
#define SLUICE_FUZZ_ACCOUNTS_H

#include "session_rig.h"

enum { ACCOUNTS_USERS = 2, ACCOUNTS_LIVES_MAX = 64 };

/* Readings of points that MongoDB's documentation leaves open; flags. */
enum accounts_manner {
    ACCOUNTS_LAST_FIELD = 1,   /* of a field that stands there twice; else the first */
    ACCOUNTS_EMPTY_STEP = 2,   /* a proof is answered done: false, and the next step done: true */
    ACCOUNTS_ADDS_LOGINS = 4,  /* a second user is logged in besides the first */
    ACCOUNTS_DOES_NOT_SAY = 8, /* connectionStatus is an error on some connections */
};

struct accounts;

/* A client's connection, from its beginning to its end. Its documents carry its number. */
typedef uint32_t accounts_life;

struct accounts *accounts_open(struct rig *rig, enum rig_mode mode);
/* Forgets all earlier state; the manner of a new play. */
void accounts_reset(struct accounts *accounts, unsigned manner);

/* The number that accounts_begin returns next, and the tag of its client (rig_watch). */
accounts_life accounts_next(const struct accounts *accounts);
unsigned accounts_tag(accounts_life life);

/* The client has sent its first message. In session mode: waits for the connection that the proxy
 * makes for it. */
accounts_life accounts_begin(struct accounts *accounts);

/* A document that names its life in two ways, so that one that was changed on its way is known. */
size_t accounts_document(accounts_life life, uint32_t number, uint8_t *out);

enum accounts_answer {
    ACCOUNTS_RIGHT,
    ACCOUNTS_ERROR, /* inserts: ok: 0, to be retried */
    ACCOUNTS_HANGUP /* carries inserts out, and closes instead of answering */
};
/* Takes the whole messages that have come: of all connections, or of one life's (in shared mode: of
 * a part of them). */
void accounts_serve(struct accounts *accounts, enum accounts_answer how);
void accounts_serve_one(struct accounts *accounts, accounts_life life, enum accounts_answer how);

/* How often a logged-in client's command ran on a connection after another client's. */
uint64_t accounts_handed_over(const struct accounts *accounts);

/* Drops the user and makes it anew: no connection is logged in as it any more. */
void accounts_renew(struct accounts *accounts, unsigned user);

#endif
