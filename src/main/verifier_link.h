/* Connects the options of group auth with the source of verifiers. */
#ifndef SLUICE_MAIN_VERIFIER_LINK_H
#define SLUICE_MAIN_VERIFIER_LINK_H

#include "config/config.h"
#include "credentials/verifier_source.h"
#include "upstream/uri.h"

/* *out is NULL if auth.verifiers is none. `answered` is called on the source's thread. False with
 * *err: the proxy must not start. */
bool verifier_link_start(const struct config *config, const struct uri *upstream,
                         void (*answered)(void *arg), void *arg, struct verifier_source **out,
                         struct error *err);
/* For --check-config: reads the file, or asks the upstream. *away: it does not answer (*err says
 * why); this is not an error of the configuration. */
bool verifier_link_check(const struct config *config, const struct uri *upstream, bool *away,
                         struct error *err);

#endif
