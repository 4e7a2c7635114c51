/* libmongoc's client for the threads that read from the upstream. */
#ifndef SLUICE_UPSTREAM_READING_CLIENT_H
#define SLUICE_UPSTREAM_READING_CLIENT_H

#include <mongoc/mongoc.h>

#include "base/error.h"

struct uri;

/* The time limits for the selection of a server and for each answer. */
enum { READING_SELECTION_MS = 3000, READING_ANSWER_MS = 5000 };

/* Uses the credentials of the connection string; for one thread. `purpose` is for the error: "the
 * collections' validators". The caller must call mongoc_client_destroy. */
mongoc_client_t *reading_client_new(const struct uri *uri, const char *purpose, struct error *err);
/* Puts a new client in the place of one that lost its connection, or could not open one. The old
 * one would not try that server for some time (5 s after a failed handshake). Without memory the
 * old one stays. */
void reading_client_renew(mongoc_client_t **client);

#endif
