/* Accepts clients: counts them, and refuses them above max_client_conn (session.h declares the
 * function). */
#ifndef SLUICE_SESSION_ACCEPT_H
#define SLUICE_SESSION_ACCEPT_H

/* Above max_client_conn, this many more are accepted only to get an error. */
enum { ACCEPT_REFUSALS_MAX = 64 };

#endif
