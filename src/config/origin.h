/* Where a snapshot came from: what a reload needs again, and what the listing shows. Private to
 * this room. */
#ifndef SLUICE_CONFIG_ORIGIN_H
#define SLUICE_CONFIG_ORIGIN_H

#include <stdatomic.h>

#include "config/settings.h"

struct config_origin {
    atomic_size_t references;
    char *file;            /* owned; NULL: flags alone */
    struct settings flags; /* as given, put over the file again on reload */
    struct settings
        effective; /* a text for every option; the strings of struct config point here */
};

#endif
