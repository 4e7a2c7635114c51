/* Turns options into the objects that the proxy runs on, and checks them. */
#ifndef SLUICE_MAIN_PREPARE_H
#define SLUICE_MAIN_PREPARE_H

#include "session/session.h"
#include "upstream/uri.h"

/* The upstream's connection string; the error names its place. Release it with uri_free. */
struct uri *prepare_uri(const struct config *config, struct error *err);

/* Reads the certificates. Takes over the reference of config, also on failure. */
struct session_settings *prepare_settings(struct config *config, const struct uri *uri,
                                          struct error *err);

/* Reads all files that a start reads: certificates, token, and every schema file. Writes nothing
 * and opens no socket. Prints a line for each error on standard error; true if there is none. */
bool prepare_check(struct config *config);

#endif
