/* The source of verifiers, on its own thread: reads wanted users from the upstream, or follows a
 * file. Many logins at once cost one command: while it is under way, further users gather for the
 * next one. */
#ifndef SLUICE_CREDENTIALS_VERIFIER_SOURCE_H
#define SLUICE_CREDENTIALS_VERIFIER_SOURCE_H

#include "credentials/verifiers.h"

struct uri;
struct verifier_source;

struct verifier_source_settings {
    const struct uri *upstream; /* borrowed during the call; its account reads the users */
    const char *file;           /* or this file; NULL: the upstream */
    int64_t max_age_ms;         /* as struct verifiers_settings */
    int64_t away_use_ms;
    void (*answered)(void *arg); /* on its thread: waiting logins may ask again */
    void *arg;
};

/* Reads the file, or asks the upstream whether the account may read users. An upstream that is away
 * is only logged. NULL with *err: the account may not, or the file has an error. */
struct verifier_source *verifier_source_start(const struct verifier_source_settings *settings,
                                              struct error *err);
/* Lives as long as the source. */
struct verifiers *verifier_source_verifiers(const struct verifier_source *source);
/* No callback comes after it. NULL is allowed here and below. */
void verifier_source_stop(struct verifier_source *source);
/* Call it after verifier_source_stop, when nobody uses the verifiers any more. */
void verifier_source_free(struct verifier_source *source);

/* The same check without a thread. *away: the upstream does not answer (*err says how), and nothing
 * is known. */
bool verifier_source_check(const struct verifier_source_settings *settings, bool *away,
                           struct error *err);

#endif
