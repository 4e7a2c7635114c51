/* The server's side: the way of the replies. */
#ifndef SLUICE_SESSION_REPLIES_H
#define SLUICE_SESSION_REPLIES_H

#include "net/link.h"

/* Of upstream connections. */
extern const struct link_handler replies_handler;

#endif
