/* Timeouts of clients, checked at each tick. */
#ifndef SLUICE_SESSION_TIMEOUTS_H
#define SLUICE_SESSION_TIMEOUTS_H

#include "session/client.h"

/* May end the client. */
void timeouts_check(struct client *client, int64_t now_ms);

#endif
