/* The SCRAM verifier of one user for one mechanism, and the ClientKey once a login has proved it.
 * A right proof for a verifier is a right proof for the password: clients with the same verifier
 * (the same object) have proved the same credential.
 *
 * Counted. The keys are in locked memory (base/locked_memory.h) and never change; the last release
 * wipes them. Any thread. */
#ifndef SLUICE_AUTH_VERIFIER_H
#define SLUICE_AUTH_VERIFIER_H

#include "auth/identity.h"
#include "auth/scram.h"

struct verifier;

/* Copies everything. NULL without memory. */
struct verifier *verifier_new(struct bytes user, struct bytes database,
                              const struct scram_keys *keys);
struct verifier *verifier_retain(struct verifier *verifier);
/* NULL is allowed. */
void verifier_release(struct verifier *verifier);

struct bytes verifier_user(const struct verifier *verifier);
struct bytes verifier_database(const struct verifier *verifier);
const struct scram_keys *verifier_keys(const struct verifier *verifier);

enum { VERIFIER_KEY_BYTES = 32 };
/* A hash of all that it consists of, without the ClientKey. */
const uint8_t *verifier_key(const struct verifier *verifier);
/* Its user, as `users` of an identity. */
const uint8_t *verifier_users(const struct verifier *verifier);
/* True if both have the same user, salt and keys, or if both are NULL. */
bool verifier_equal(const struct verifier *a, const struct verifier *b);

/* True if the identity consists of its user alone. */
bool verifier_is_of(const struct verifier *verifier, const struct identity *identity);

/* Notes the ClientKey of a right proof. Other keys are ignored. */
void verifier_note_client_key(struct verifier *verifier, const uint8_t client_key[SCRAM_KEY_BYTES]);
/* NULL: no login has proved it yet. */
const uint8_t *verifier_client_key(const struct verifier *verifier);

/* The server no longer accepts it: nobody can log in with it any more. */
void verifier_note_stale(struct verifier *verifier);
bool verifier_is_stale(const struct verifier *verifier);

#endif
