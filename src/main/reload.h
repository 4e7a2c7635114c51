/* Reloads: the configuration on HUP, and certificates whose files changed. Main thread. */
#ifndef SLUICE_MAIN_RELOAD_H
#define SLUICE_MAIN_RELOAD_H

#include "base/error.h"

struct admin_settings;
struct proxy;

/* Reopens the log, whatever the configuration holds. Then reads the configuration; with an error,
 * nothing else changes. Logs the outcome and keeps it. */
void reload_run(struct proxy *proxy);

/* Reads the files of certificates again if they changed. With an error, the old ones stay. */
void reload_watch_certificates(struct proxy *proxy);

/* Notes the certificates of the current settings and of `admin` (NULL: no endpoint), and warns. */
void reload_note_certificates(struct proxy *proxy, const struct admin_settings *admin);
/* Logs a warning for each certificate that has expired or expires soon. */
void reload_warn_of_certificates(struct proxy *proxy);

/* Applies the options that are not read from the settings. */
void reload_apply_shared(struct proxy *proxy);
/* The follower of the schema registry, if there is one. */
bool reload_start_follower(struct proxy *proxy, struct error *err);
void reload_stop_follower(struct proxy *proxy);

#endif
