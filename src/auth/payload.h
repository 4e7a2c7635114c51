/* Reads the user name from the first message of a SASL conversation. For src/auth only. */
#ifndef SLUICE_AUTH_PAYLOAD_H
#define SLUICE_AUTH_PAYLOAD_H

#include "bson/scan.h"

#define CLAIM_NAME_MAX 1024 /* the maximal length of a user name; longer names are not kept */

enum auth_mechanism {
    AUTH_OTHER,
    AUTH_SCRAM_SHA_1,
    AUTH_SCRAM_SHA_256,
    AUTH_PLAIN,
    AUTH_X509,
    AUTH_OIDC,
    AUTH_AWS,
    AUTH_GSSAPI,
    AUTH_CR
};

enum auth_mechanism auth_mechanism_of(const char *text, size_t len);
const char *auth_mechanism_name(enum auth_mechanism mechanism);

/* The claimed name in the payload (binary, or base64 in a string), decoded. False if the mechanism
 * sends no name, the payload is malformed, or the name is longer than CLAIM_NAME_MAX. */
bool payload_user(enum auth_mechanism mechanism, const struct scan_element *payload,
                  char name[CLAIM_NAME_MAX], size_t *name_len);

#endif
