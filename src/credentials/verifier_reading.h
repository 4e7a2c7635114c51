/* Readings of verifiers: from the upstream by usersInfo, and from a file. One thread at a time. */
#ifndef SLUICE_CREDENTIALS_VERIFIER_READING_H
#define SLUICE_CREDENTIALS_VERIFIER_READING_H

#include <mongoc/mongoc.h>

#include "credentials/verifiers.h"

enum { VERIFIER_READING_MAX = 100 }; /* users in one command */

enum reading_result {
    READING_DONE,
    READING_DENIED, /* the account may not read (some of) the users, or one cannot be understood */
    READING_NO_LOGIN, /* the server refuses the account */
    READING_AWAY      /* no server answers */
};

/* Checks that the account may read users of the database admin, and finds the look of invented
 * users. The salts of these come from the account's userId: a random number of the server that only
 * the proxies and administrators can read. All proxies with this account therefore invent the same
 * salts, also after a restart. *has_secret: false if the server gives the account no userId.
 *
 * Here and below: another client stands in *client if no server answered this one. */
enum reading_result verifier_reading_probe(mongoc_client_t **client, struct verifiers *verifiers,
                                           bool *has_secret, struct error *err);
/* Reads at most VERIFIER_READING_MAX users. The first failure is in *err; users without an answer
 * are noted in `verifiers`. */
enum reading_result verifier_reading_users(mongoc_client_t **client, struct verifiers *verifiers,
                                           const struct verifiers_name *names, size_t count,
                                           struct error *err);
/* Reads a whole file. On an error `verifiers` stays as it was, unless memory is out. */
bool verifier_reading_file(const char *path, struct verifiers *verifiers, bool *has_secret,
                           struct error *err);

#endif
