/* The admin endpoint: HTTP on its own port and thread, so that slow HTTP clients never delay
 * MongoDB clients. docs/operations.md describes it for users.
 *
 * It asks the rest of the proxy through the hooks of parts.h, and reads counters. */
#ifndef SLUICE_ADMIN_ADMIN_H
#define SLUICE_ADMIN_ADMIN_H

#include "admin/parts.h"
#include "config/config.h"

struct admin;
/* The admin… options of a configuration with the contents of their files. */
struct admin_settings;

/* NULL with the reason if a token or certificate has an error. Takes a reference of config. */
struct admin_settings *admin_settings_new(struct config *config, struct error *err);
/* Of the endpoint's certificate; false without one. */
bool admin_settings_validity(const struct admin_settings *settings, struct tls_validity *out);
void admin_settings_free(struct admin_settings *settings); /* NULL is allowed */

/* Listens and serves from now on. Takes over the settings, also on failure. */
struct admin *admin_start(const struct admin_parts *parts, struct admin_settings *settings,
                          struct error *err);
/* For a reload; takes over the settings. */
void admin_set_settings(struct admin *admin, struct admin_settings *settings);
/* Call it before the workers end. NULL is allowed. */
void admin_stop(struct admin *admin);

#endif
