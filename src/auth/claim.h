/* What a client says of itself in its authentication commands: for the log and for counting, never
 * for deciding. A claim proves nothing: it may be followed by no proof, or by that of another. Who
 * a connection is, the server says (identity.h). Pure: BSON bodies in, events out. It keeps names
 * only, never a password or a proof.
 *
 * A connection starts with a NULL claim; the first authentication command allocates one. The
 * session feeds it each hello and each authentication command, and the reply to each command for
 * which claim_command answered true. Without memory nothing is claimed. */
#ifndef SLUICE_AUTH_CLAIM_H
#define SLUICE_AUTH_CLAIM_H

#include "base/bytes.h"

#define CLAIM_NAME_MAX 1024 /* bytes of a user name that are kept */

struct claim;

enum claim_event {
    CLAIM_UNCHANGED,
    CLAIM_ACCEPTED, /* the server says that a login is done */
    CLAIM_REFUSED,
    CLAIM_LOGGED_OUT
};

/* A command on its way to the server. *claim may be NULL and is allocated where that is needed.
 * body: the command document; db: its database, NULL: the body's own $db. */
bool claim_command(struct claim **claim, struct bytes body, const char *db, size_t db_len);

/* The reply to the last command that answered true, on its way to the client. */
enum claim_event claim_reply(struct claim *claim, struct bytes body);

/* NULL is allowed. */
void claim_free(struct claim *claim);

/* The claim that the server accepted last, borrowed until the next call. A name or database that
 * did not cross the wire, or that is not clear, is "?". NULL is allowed. */
void claim_accepted(const struct claim *claim, const char **name, const char **db,
                    const char **mechanism);

/* "alice@admin (SCRAM-SHA-256, claimed)", "" where no login was accepted; cut to fit cap. NULL is
 * allowed. Returns out. */
char *claim_describe(const struct claim *claim, char *out, size_t cap);

#endif
