/* Clients are accepted: counted, and refused over max_client_conn (session.h has the function). */
#ifndef SLUICE_SESSION_ACCEPT_H
#define SLUICE_SESSION_ACCEPT_H

/* Over max_client_conn, this many more are let in, only to be told so. */
enum { ACCEPT_REFUSALS_MAX = 64 };

#endif
