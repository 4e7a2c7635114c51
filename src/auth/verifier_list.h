/* Reads SCRAM verifiers from the reply to usersInfo with showCredentials, and from a file of the
 * same form:
 *
 *   {"users": [{"user": "ann", "db": "admin", "credentials": {
 *       "SCRAM-SHA-256": {"iterationCount": 15000, "salt": "…", "storedKey": "…", "serverKey": "…"}
 *   }}], "secret": "…"}
 *
 * Salt and keys are base64. Other fields of a user are ignored, and so are other mechanisms. A file
 * may have a `secret`, for the salts of users that do not exist. Pure. Source: MongoDB's manual,
 * "usersInfo". */
#ifndef SLUICE_AUTH_VERIFIER_LIST_H
#define SLUICE_AUTH_VERIFIER_LIST_H

#include "auth/scram.h"

/* The caller wipes it after use. */
struct verifier_user {
    struct bytes user; /* this and below: into the document */
    struct bytes database;
    struct bytes id; /* userId, as in the document; empty without one */
    bool has[SCRAM_HASHES];
    struct scram_keys keys[SCRAM_HASHES];
};

/* Takes one user. False ends the reading; *err is then set. */
typedef bool verifier_found(void *arg, const struct verifier_user *user, struct error *err);

/* Errors name the position in the list and never show a value. A user without credentials for SCRAM
 * has none in `has`. */
bool verifier_list_read(struct bytes document, verifier_found *found, void *arg, struct error *err);

enum { VERIFIER_SECRET_BYTES_MIN = 16, VERIFIER_SECRET_BYTES_MAX = 256 };

/* Does the same with the text of a file. Every user must have credentials, and none may occur
 * twice. *secret: empty without one; the caller owns `space`. */
bool verifier_file_read(const char *text, size_t len, verifier_found *found, void *arg,
                        uint8_t space[VERIFIER_SECRET_BYTES_MAX], struct bytes *secret,
                        struct error *err);

#endif
