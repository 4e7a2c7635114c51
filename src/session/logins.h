/* Logins: the clients' claims, and the server's answers to them. */
#ifndef SLUICE_SESSION_LOGINS_H
#define SLUICE_SESSION_LOGINS_H

#include "session/client.h"

/* The maximal number of authentication commands without a login; then the connection is closed.
 * SCRAM needs three, and a shell may try some passwords. Servers have no limit for an endless
 * conversation, and each step costs them and the proxy more than a ping. */
enum { LOGIN_STEPS = 32 };

/* Notes a command that claims an identity or may do so. True if its reply must be compared with the
 * claim. */
bool logins_watch(struct client *client, const struct wire_command *request);
/* Handles the reply to such a command. */
void logins_note_reply(struct client *client, struct bytes document);

/* Counts a command of a login. STEP_PASS: it may go on; otherwise it waits, or the client was
 * refused. */
enum request_step logins_count(struct client *client, const struct message *message,
                               const struct wire_command *request);

/* Handler for saslStart, saslContinue, authenticate and logout. */
enum request_step logins_take(struct client *client, const struct message *message,
                              struct wire_command *request);
bool logins_take_reply(struct client *client, struct reply *reply);

/* Handler for the replies to commands that change users: the known verifiers are read again. Only
 * needed if the proxy knows some. */
bool logins_follow_users(const struct client *client, const struct wire_command *request);
bool logins_take_users_reply(struct client *client, struct reply *reply);

#endif
