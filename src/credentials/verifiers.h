/* The verifiers of users (auth/verifier.h) that the proxy knows, with their age. A source
 * (verifier_source.h) reads them: the upstream, where they expire and are read again when somebody
 * logs in, or a file, whose verifiers are all that there are.
 *
 * Any thread; a lock guards each call. Time is a parameter, on the monotonic clock. */
#ifndef SLUICE_CREDENTIALS_VERIFIERS_H
#define SLUICE_CREDENTIALS_VERIFIERS_H

#include "auth/verifier.h"
#include "auth/verifier_list.h"

struct verifiers;

struct verifiers_settings {
    bool complete;       /* all users are known: there is nothing to ask for (a file) */
    int64_t max_age_us;  /* an older verifier is read again before a login uses it */
    int64_t away_use_us; /* while the source is away, an older one is used until this age */
    void (*ask)(void *); /* any thread: a user is wanted (verifiers_take_wanted) */
    void *arg;
};

/* NULL without memory. */
struct verifiers *verifiers_new(const struct verifiers_settings *settings);
/* NULL is allowed. */
void verifiers_free(struct verifiers *verifiers);

/* --- for logins --- */

enum verifiers_result {
    VERIFIERS_FOUND,
    VERIFIERS_NO_USER,
    VERIFIERS_WAIT, /* the source was asked: ask again after its next answer */
    VERIFIERS_AWAY  /* the source gives no answer, and the known one is too old */
};

struct verifiers_question {
    struct bytes user;
    struct bytes database;
    int64_t now_us;
    int64_t since_us; /* the first time that this login asked; 0: it asks for the first time */
};

/* Found: `of` holds a reference for each mechanism of the user, otherwise NULL. A user may have
 * none. */
enum verifiers_result verifiers_find(struct verifiers *verifiers,
                                     const struct verifiers_question *question,
                                     struct verifier *of[SCRAM_HASHES]);
/* The keys of a user that does not exist. False only if OpenSSL fails. */
bool verifiers_invent(struct verifiers *verifiers, enum scram_hash hash, struct bytes user,
                      struct bytes database, struct scram_keys *out);
/* Whether an invented user has the mechanism. */
bool verifiers_invents(struct verifiers *verifiers, enum scram_hash hash);
/* This user has changed: it is read again before its next login. */
void verifiers_forget(struct verifiers *verifiers, struct bytes user, struct bytes database);
/* A proof was wrong for this verifier: the password may have changed. While the source is away, the
 * verifier serves no other login, unless a later reading confirms it. */
void verifiers_doubt(struct verifiers *verifiers, const struct verifier *verifier, int64_t now_us);
/* Any user may have changed: what was read before now_us is read again. */
void verifiers_expire(struct verifiers *verifiers, int64_t now_us);

/* --- for the source --- */

struct verifiers_name {
    char user[SCRAM_NAME_BYTES + 1];
    char database[SCRAM_NAME_BYTES + 1];
};

/* Takes at most `cap` wanted users, oldest wish first. Returns their number. */
size_t verifiers_take_wanted(struct verifiers *verifiers, struct verifiers_name *names, size_t cap);
/* The source has answered: `user` exists, or (NULL) does not. read_us: a time before the reading
 * began. False: without memory the user stays as it was, or is forgotten. */
bool verifiers_store(struct verifiers *verifiers, struct bytes user, struct bytes database,
                     const struct verifier_user *found, int64_t read_us);
/* The source gave no answer for this user. */
void verifiers_fail(struct verifiers *verifiers, struct bytes user, struct bytes database,
                    int64_t read_us);
/* For a complete source: drops all users that were not stored at or after read_us. */
void verifiers_drop_before(struct verifiers *verifiers, int64_t read_us);
/* What invented users look like: the salts come from the secret. */
void verifiers_set_secret(struct verifiers *verifiers, struct bytes secret);
/* iterations 0: they do not have this mechanism. */
void verifiers_set_shape(struct verifiers *verifiers, enum scram_hash hash,
                         struct scram_shape shape);

#endif
