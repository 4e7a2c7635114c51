/* The upstream's connection string, read by libmongoc: mongodb:// and mongodb+srv://. Immutable
 * once parsed, so any thread may read it. */
#ifndef SLUICE_UPSTREAM_URI_H
#define SLUICE_UPSTREAM_URI_H

#include "base/error.h"
#include "net/tls.h"

#include <stddef.h>

struct uri;

/* NULL and *err: what is wrong, without any part of a user name or password. No name is looked up.
 * Released with uri_free (NULL is allowed). */
struct uri *uri_parse(const char *text, struct error *err);
void uri_free(struct uri *uri);

/* For logs and error texts: user name, password, authMechanismProperties and the key's password are
 * left out. All strings here and below live as long as the uri. */
const char *uri_redacted(const struct uri *uri);

/* What libmongoc has to say about options that it does not know or take, or NULL. */
const char *uri_warning(const struct uri *uri);

/* The connection string as it was given, for our own reading of the upstream: never log it. */
const char *uri_with_credentials(const struct uri *uri);

/* NULL: TLS is off. The strings are the uri's own; crl_file is NULL (a connection string cannot
 * name one). */
const struct tls_client_options *uri_tls(const struct uri *uri);

/* The connection string to monitor with: no credentials, TLS kept, our application name, and
 * directConnection=false unless it is given (a single seed of a replica set then leads to all
 * members). May name the key's password: never log it. */
const char *uri_for_monitoring(const struct uri *uri);

#endif
