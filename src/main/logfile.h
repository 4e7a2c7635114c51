/* Points the log at what the options log.* say; called again on reload, after a rotation. */
#ifndef SLUICE_MAIN_LOGFILE_H
#define SLUICE_MAIN_LOGFILE_H

#include "config/config.h"

/* On error the log goes on as before. */
bool logfile_open(const struct config *config, struct error *err);

#endif
