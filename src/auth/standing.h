/* Tracks the identities of a worker's upstream connections, from the server's answers (identity.h),
 * and tells which of them certainly belong to the same user. Pure: time is a parameter. One thread.
 *
 * A name is not enough. An administrator can drop a user and create another of the same name with
 * other rights. The server then removes the login of the old connections without notice, and a new
 * connection logs in with the same name. But a connection never regains a lost login by itself. An
 * answer therefore proves that the connection was logged in from its first such answer until now.
 * Two connections of one name that were logged in at the same time belong to the same user.
 * Connections whose times overlap, directly or through others, belong to one incarnation. A
 * connection that logs in after the last answer of that incarnation starts another one. The older
 * connections become certain again as soon as one of them answers anew, because its time then
 * overlaps both.
 *
 * A server may also take rights from one connection alone (an expired token). The proxy notices
 * this when the answer is STANDING_AGE_US old. The answer "no user" does not expire: only a login
 * changes it. */
#ifndef SLUICE_AUTH_STANDING_H
#define SLUICE_AUTH_STANDING_H

#include "auth/identity.h"

#define STANDING_AGE_US ((int64_t)5 * 1000 * 1000)

struct standings;
struct principal;

/* Of one connection. All zeros: the server was not asked. */
struct standing {
    struct principal *principal; /* counted; NULL: unknown */
    int64_t since_us;            /* the send time of the first question with this answer */
    int64_t asked_us; /* the send time of the last question; 0: none since a possible change */
    bool in_doubt;    /* permanent: the end of its login is unknown */
};

/* Returns NULL without memory. */
struct standings *standings_create(void);
/* No standing may be known any more. NULL is allowed. */
void standings_destroy(struct standings *standings);

/* Notes a command that may change the identity, or the end of the connection. */
void standing_forget(struct standings *standings, struct standing *standing);

/* Notes the answer to a question sent at asked_us (not 0), if no such command was under way. NULL
 * means that the server gave no clear answer. `server` is the connection's server. False without
 * memory; the identity is then unknown. */
bool standing_learn(struct standings *standings, struct standing *standing,
                    const struct identity *identity, const char *server, int64_t asked_us);

/* True if the identity is known. */
bool standing_is_known(const struct standing *standing);
/* True if the identity is known, recent, and certainly of the incarnation below. */
bool standing_is_certain(const struct standing *standing, int64_t now_us);
/* True if a question now could make it so: it may have changed since the last question, or it is
 * old. */
bool standing_may_ask(const struct standing *standing, int64_t now_us);

/* True if both are known, and certainly of the same incarnation of the same user. */
bool standing_are_one(const struct standing *one, const struct standing *other);
/* The send time of the last question that proved this identity for a connection; 0: there is none.
 * A login after that time begins another incarnation, unless an older connection is asked before
 * standing_learn is called for it. */
int64_t standings_proved_us(struct standings *standings, const struct identity *identity,
                            const char *server);

/* For a known identity. The number is unique in `standings` for users, roles, server and
 * incarnation. */
const uint8_t *standing_users(const struct standing *standing);
uint64_t standing_incarnation(const struct standing *standing);
/* "" without a user. */
const char *standing_text(const struct standing *standing);

#endif
