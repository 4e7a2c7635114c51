/* The settings of sessions: the configuration, and objects made from it once. An immutable
 * snapshot, shared by reference; a reload posts the next one to each worker. */
#ifndef SLUICE_SESSION_SESSION_SETTINGS_H
#define SLUICE_SESSION_SESSION_SETTINGS_H

#include <stdatomic.h>
#include <stdint.h>

#include "config/config.h"
#include "net/tls.h"

struct session_settings {
    atomic_uint references;
    uint64_t number;                  /* no other settings of the process have it */
    struct config *config;            /* one reference */
    struct tls_context *server_tls;   /* for clients; NULL if tls.mode is off */
    struct tls_context *upstream_tls; /* for servers; NULL for plain */
};

/* Takes over the three references (also on failure). Returns one reference, or NULL without memory.
 */
struct session_settings *session_settings_new(struct config *config, struct tls_context *server_tls,
                                              struct tls_context *upstream_tls);
struct session_settings *session_settings_retain(struct session_settings *settings);
void session_settings_release(struct session_settings *settings);

#endif
