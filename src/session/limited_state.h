/* The limits of a client (limited.h). */
#ifndef SLUICE_SESSION_LIMITED_STATE_H
#define SLUICE_SESSION_LIMITED_STATE_H

#include "session/client.h"
#include "session/limits.h"

struct limited {
    uint64_t settings; /* the number of the settings with these rules; 0: look again */
    bool taken;        /* the present request was counted */
    struct limits_held held;
    char users[SESSION_IDENTITY_BYTES]; /* as at the last look */
};

/* Gives the client's counts back. */
void limited_release(struct client *client);
/* The request was decided on: the next one counts anew. */
void limited_decided(struct client *client);
/* The client ends. */
void limited_end(struct client *client);

#endif
