/* Resumes TLS sessions with servers: a resumed handshake needs no certificate and no signature. A
 * client context keeps the last session of each server, and resumes none that failed repeatedly.
 * Thread-safe. */
#ifndef SLUICE_NET_TLS_RESUME_H
#define SLUICE_NET_TLS_RESUME_H

#include <stdbool.h>

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;

/* The sessions live as long as the context. Without memory no session is kept. */
void tls_resume_enable(struct ssl_ctx_st *ctx);

/* Before the handshake: offers the last session with this host, if there is one. Does nothing if
 * the context is not enabled. Servers on one host at several ports take each other's sessions for
 * unknown ones, and then make a full handshake. */
void tls_resume_offer(struct ssl_st *ssl, const char *host);

/* After the handshake. */
void tls_resume_note_result(struct ssl_st *ssl, bool succeeded);

#endif
