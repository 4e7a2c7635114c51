/* Who a connection is, as the server says it: the reply to connectionStatus on that connection. It
 * is the only thing that merging goes by. Pure. Source: MongoDB's manual, "connectionStatus". */
#ifndef SLUICE_AUTH_IDENTITY_H
#define SLUICE_AUTH_IDENTITY_H

#include "base/bytes.h"

enum { IDENTITY_KEY_BYTES = 32, IDENTITY_USERS_MAX = 8, IDENTITY_TEXT_BYTES = 256 };

struct identity {
    bool nobody; /* no user is logged in, or the server has no access control */
    /* Equal <=> equal sets of users (name and database, by SHA-256); nobody's is all zeros. As
     * servers keep logical sessions apart. */
    uint8_t users[IDENTITY_KEY_BYTES];
    /* The same, and equal roles: with some mechanisms (MONGODB-X509, MONGODB-OIDC, LDAP) one name
     * may have other roles on another connection. */
    uint8_t rights[IDENTITY_KEY_BYTES];
    char text[IDENTITY_TEXT_BYTES]; /* "alice@admin, carol@shop", cut to fit; "" for nobody */
};

/* Reads the reply document. False when it does not say clearly who it is: it is an error, or not of
 * the form that servers answer; a field that counts stands there twice; there are more than
 * IDENTITY_USERS_MAX users. */
bool identity_read(struct bytes reply, struct identity *out);

#endif
