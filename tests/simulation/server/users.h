/* The users of the model server and their keys. */
#ifndef SIMULATION_SERVER_USERS_H
#define SIMULATION_SERVER_USERS_H

#include "server/server.h"

struct user_keys {
    uint8_t salt[28];
    size_t salt_len;
    uint8_t stored_key[32];
    uint8_t server_key[32];
    size_t key_len;
};

/* The keys of a user that was created for the n-th time. They are computed once in the process. */
const struct user_keys *user_keys(unsigned user, unsigned incarnation, bool is_sha256);

void user_hmac(bool is_sha256, const uint8_t *key, size_t key_len, const char *text,
               uint8_t out[32]);
void user_hash(bool is_sha256, const uint8_t *data, size_t len, uint8_t out[32]);
void encode_base64(const uint8_t *data, size_t len, char *out);
/* The decoded length; 0 if it is malformed or too long. */
size_t decode_base64(const char *text, uint8_t *out, size_t bytes);

#endif
