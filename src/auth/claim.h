/* The user that a client claims in its authentication commands. Claims are for the log and for
 * counters, never for decisions: no proof may follow, or the proof of another user. identity.h
 * holds the server's answer about the user. Pure: BSON bodies in, events out. Keeps only names,
 * never passwords or proofs.
 *
 * A connection starts with a NULL claim; the first authentication command allocates one. The
 * session passes each hello and each authentication command, and the reply to each command for
 * which claim_command returned true. If memory is out, nothing is claimed. */
#ifndef SLUICE_AUTH_CLAIM_H
#define SLUICE_AUTH_CLAIM_H

#include "auth/payload.h"
#include "base/bytes.h"

struct claim;

enum claim_event {
    CLAIM_UNCHANGED,
    CLAIM_ACCEPTED, /* the server confirms a login */
    CLAIM_REFUSED,
    CLAIM_LOGGED_OUT
};

/* Notes a command on its way to the server. *claim may be NULL; the function allocates it if
 * needed. `body` is the command document; `db` is its database, and NULL means the body's $db. */
bool claim_command(struct claim **claim, struct bytes body, const char *db, size_t db_len);

/* Notes the reply to the last command for which claim_command returned true. */
enum claim_event claim_reply(struct claim *claim, struct bytes body);

/* NULL is allowed. */
void claim_free(struct claim *claim);

/* The last claim that the server accepted, borrowed until the next call. A name or database that
 * the proxy did not see or that is ambiguous is "?". NULL is allowed. */
void claim_accepted(const struct claim *claim, const char **name, const char **db,
                    const char **mechanism);

/* Writes "alice@admin (SCRAM-SHA-256, claimed)", cut to fit cap, or "" before an accepted login.
 * NULL is allowed. Returns out. */
char *claim_describe(const struct claim *claim, char *out, size_t cap);

#endif
