/* The upstream's connection string, parsed by libmongoc: mongodb:// and mongodb+srv://. Immutable,
 * so any thread may read it. */
#ifndef SLUICE_UPSTREAM_URI_H
#define SLUICE_UPSTREAM_URI_H

#include "base/error.h"
#include "net/tls.h"

#include <stddef.h>
#include <stdint.h>

struct uri;

/* NULL with *err: the fault, without any part of a user name or password. Makes no lookup. Release
 * it with uri_free (NULL is allowed). */
struct uri *uri_parse(const char *text, struct error *err);
void uri_free(struct uri *uri);

/* For logs and errors: without user name, password, authMechanismProperties and the key's password.
 * All strings here and below live as long as the uri. */
const char *uri_redacted(const struct uri *uri);

/* libmongoc's warning about options that it does not know or accept, or NULL. */
const char *uri_warning(const struct uri *uri);

/* The original connection string, for our own reading of the upstream: never log it. */
const char *uri_with_credentials(const struct uri *uri);

/* Calls `each` for each host of the string; a Unix socket has port 0 and its path as host. For
 * mongodb+srv:// there is none. */
void uri_each_host(const struct uri *uri, void (*each)(void *arg, const char *host, uint16_t port),
                   void *arg);

/* True if it names a user, or a mechanism that needs no name (a certificate). */
bool uri_has_account(const struct uri *uri);

/* NULL: TLS is off. The uri owns the strings; crl_file is NULL (a connection string cannot name
 * one). */
const struct tls_client_options *uri_tls(const struct uri *uri);

/* The connection string for monitoring: without credentials, with TLS, with our application name,
 * and with directConnection=false unless the option is set (a single seed of a replica set then
 * leads to all members). It may contain the key's password: never log it. */
const char *uri_for_monitoring(const struct uri *uri);

#endif
