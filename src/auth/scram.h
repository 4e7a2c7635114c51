/* SCRAM-SHA-1 and SCRAM-SHA-256: the server's side with a user's verifier, and the client's side
 * with the ClientKey in place of a password. Pure: random bytes are parameters. Channel binding
 * does not exist in MongoDB, and SASLprep is the client's task: it makes the password's bytes.
 *
 *   client-first  n,,n=NAME,r=NONCE
 *   server-first  r=NONCE+MORE,s=SALT,i=ITERATIONS
 *   client-final  c=biws,r=NONCE+MORE,p=PROOF      PROOF = ClientKey XOR HMAC(StoredKey,
 * AuthMessage) server-final  v=HMAC(ServerKey, AuthMessage)   StoredKey = H(ClientKey)
 *
 * A proof that is right therefore tells the ClientKey. It is as good as the password for logins at
 * servers with the same verifier, so its owner keeps it in locked memory and wipes it.
 *
 * Sources: RFC 5802, RFC 7677; MongoDB's driver specification "Authentication". */
#ifndef SLUICE_AUTH_SCRAM_H
#define SLUICE_AUTH_SCRAM_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    SCRAM_NAME_BYTES = 1024, /* the maximal length of a user name */
    SCRAM_KEY_BYTES = 32,    /* of the longer hash */
    SCRAM_SALT_BYTES = 64,
    SCRAM_NONCE_BYTES = 256, /* of one side */
    SCRAM_RANDOM_BYTES = 24, /* for a nonce of ours */
    SCRAM_OUR_NONCE_BYTES = 32,
    SCRAM_FIRST_BYTES = 4096, /* a client-first-message */
    SCRAM_FINAL_BYTES = 1024, /* a client-final-message */
    SCRAM_TEXT_BYTES = 512,   /* a server's message */
    SCRAM_ITERATIONS_MAX = 10000000
};

enum scram_hash { SCRAM_SHA_1, SCRAM_SHA_256, SCRAM_HASHES };

/* "SCRAM-SHA-1", "SCRAM-SHA-256". */
extern const char *const scram_mechanism_names[SCRAM_HASHES];
/* 20, 32. */
size_t scram_key_bytes(enum scram_hash hash);

/* A verifier: all that a server knows of a password. Keep it in locked memory. */
struct scram_keys {
    enum scram_hash hash;
    int32_t iterations;
    uint8_t salt_bytes;
    uint8_t salt[SCRAM_SALT_BYTES];
    uint8_t stored_key[SCRAM_KEY_BYTES];
    uint8_t server_key[SCRAM_KEY_BYTES];
};

bool scram_keys_equal(const struct scram_keys *a, const struct scram_keys *b);

/* Makes the keys of a user that does not exist: the same for the same secret, name and database,
 * and as plausible as those of another user. No proof is right for them. */
struct scram_shape {
    int32_t iterations;
    uint8_t salt_bytes;
};
/* The defaults of MongoDB's servers. */
struct scram_shape scram_default_shape(enum scram_hash hash);
bool scram_invent_keys(enum scram_hash hash, struct scram_shape shape, struct bytes secret,
                       struct bytes name, struct bytes database, struct scram_keys *out);

/* A client-first-message. */
struct scram_first {
    char name[SCRAM_NAME_BYTES]; /* decoded; without a NUL, and none is in it */
    size_t name_len;
    struct bytes header; /* of channel binding: "n,,". This and below point into the message */
    struct bytes bare;   /* the rest */
    struct bytes nonce;
};

/* False: the message breaks the grammar, asks for channel binding, acts for another user (authzid),
 * has an extension that must be understood, or is longer than the limits above. */
bool scram_first_read(struct bytes payload, struct scram_first *out, struct error *err);

/* Writes a nonce of SCRAM_OUR_NONCE_BYTES, made of these bytes of a random source. */
void scram_write_nonce(const uint8_t random[SCRAM_RANDOM_BYTES], char out[SCRAM_OUR_NONCE_BYTES]);

/* --- the server's side --- */

struct scram_server;

/* Begins a conversation with a new nonce of at most SCRAM_OUR_NONCE_BYTES. *challenge is the
 * server-first-message, valid as long as the result. NULL without memory. */
struct scram_server *scram_server_new(const struct scram_first *first,
                                      const struct scram_keys *keys, struct bytes nonce,
                                      struct bytes *challenge);
/* Checks the client-final-message; takes the same time for each wrong proof. On true, client_key
 * holds scram_key_bytes (the caller wipes it) and `out` the server-final-message. `keys` are those
 * of the beginning. */
bool scram_server_finish(struct scram_server *server, const struct scram_keys *keys,
                         struct bytes payload, uint8_t client_key[SCRAM_KEY_BYTES],
                         char out[SCRAM_TEXT_BYTES], size_t *len, struct error *err);
/* NULL is allowed. */
void scram_server_free(struct scram_server *server);

/* --- the client's side --- */

struct scram_client;

/* Begins a login as `name` with a new nonce of at most SCRAM_OUR_NONCE_BYTES. *first is the
 * client-first-message, valid as long as the result. NULL without memory, or if the name is too
 * long. */
struct scram_client *scram_client_new(struct bytes name, struct bytes nonce, struct bytes *first);
/* Answers the server-first-message. False: the server does not follow the protocol, or (err->code
 * is ERROR_AUTHENTICATION_FAILED) its salt or iteration count is not the verifier's any more. */
bool scram_client_prove(struct scram_client *client, const struct scram_keys *keys,
                        const uint8_t client_key[SCRAM_KEY_BYTES], struct bytes challenge,
                        char out[SCRAM_FINAL_BYTES], size_t *len, struct error *err);
/* Checks the server-final-message: a server that does not know the verifier is refused. */
bool scram_client_check(struct scram_client *client, const struct scram_keys *keys,
                        struct bytes payload, struct error *err);
/* NULL is allowed. */
void scram_client_free(struct scram_client *client);

#endif
