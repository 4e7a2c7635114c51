/* From the options to what the proxy runs on, and the check that all of it can be used. */
#ifndef SLUICE_MAIN_PREPARE_H
#define SLUICE_MAIN_PREPARE_H

#include "session/session.h"
#include "upstream/uri.h"

/* The upstream's connection string; the error says where it was given. uri_free is due. */
struct uri *prepare_uri(const struct config *config, struct error *err);

/* Reads the certificates. Takes the reference of config, also on failure. */
struct session_settings *prepare_settings(struct config *config, const struct uri *uri,
                                          struct error *err);

/* Reads everything that a start would read: certificates, token, every schema file. Nothing is
 * written, nothing listens. Each problem is a line on standard error; true when there is none. */
bool prepare_check(struct config *config);

#endif
