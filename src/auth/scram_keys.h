/* The functions of SCRAM on keys, for scram.c and scram_client.c only. */
#ifndef SLUICE_AUTH_SCRAM_KEYS_H
#define SLUICE_AUTH_SCRAM_KEYS_H

#include "auth/scram.h"

/* H(key). False if OpenSSL fails. */
bool scram_hash_key(enum scram_hash hash, const uint8_t key[SCRAM_KEY_BYTES],
                    uint8_t out[SCRAM_KEY_BYTES]);
/* HMAC(key, message). */
bool scram_sign(enum scram_hash hash, const uint8_t key[SCRAM_KEY_BYTES], struct bytes message,
                uint8_t out[SCRAM_KEY_BYTES]);

#endif
