/* What a worker knows of who its upstream connections are, from what the server has answered on
 * them (identity.h), and of which of them are the same for certain. Pure: time is a
 * parameter. One thread.
 *
 * A name is not enough. A user can be dropped and made anew, with other rights: the server then
 * takes the login of the old connections away without a word to anybody, and a new connection that
 * logs in has the same name. But a login that a connection has lost does not come back by itself.
 * So each answer says that the connection was logged in from the first time that it answered so
 * until this time; and two connections of one name that were logged in at the same time are of the
 * same user. Those whose times meet, one with another, are of one incarnation; who logs in later
 * than the last answer of that incarnation begins another, and the others are certain again as soon
 * as one that came before them has answered anew (then its time meets both).
 *
 * What a server may take from one connection alone (a token that expires), is noticed when the
 * answer is STANDING_AGE_US old. Nobody does not age: only a login changes that. */
#ifndef SLUICE_AUTH_STANDING_H
#define SLUICE_AUTH_STANDING_H

#include "auth/identity.h"

#define STANDING_AGE_US ((int64_t)5 * 1000 * 1000)

struct standings;
struct principal;

/* Of one connection. Zeroed: it was not asked. */
struct standing {
    struct principal *principal; /* counted; NULL: not known */
    int64_t since_us;            /* when the question was sent that was first answered so */
    int64_t asked_us;            /* when the last one was; 0: not since it may have changed */
    bool in_doubt;               /* for good: it is not known when its login ended */
};

/* NULL when memory is out. */
struct standings *standings_create(void);
/* No standing may be known any more. NULL is allowed. */
void standings_destroy(struct standings *standings);

/* A command goes by that may change who the connection is, or its end. */
void standing_forget(struct standings *standings, struct standing *standing);

/* The answer to a question that was sent at asked_us (not 0), when no such command was under way.
 * NULL: the server did not say. `server` is where the connection leads. False when memory is out;
 * then it is not known. */
bool standing_learn(struct standings *standings, struct standing *standing,
                    const struct identity *identity, const char *server, int64_t asked_us);

/* Whether it is known. */
bool standing_is_known(const struct standing *standing);
/* Whether it is known, recently, and certain to be of the incarnation below. */
bool standing_is_certain(const struct standing *standing, int64_t now_us);
/* Whether asking now could make it so: it may have changed since it was asked, or time went by. */
bool standing_may_ask(const struct standing *standing, int64_t now_us);

/* Of one that is known. The number is unique in `standings`, for users, roles, server and
 * incarnation. */
const uint8_t *standing_users(const struct standing *standing);
uint64_t standing_incarnation(const struct standing *standing);
/* "" for nobody. */
const char *standing_text(const struct standing *standing);

#endif
