/* The origin of a snapshot: the data for a reload and for the listing. Private to this room. */
#ifndef SLUICE_CONFIG_ORIGIN_H
#define SLUICE_CONFIG_ORIGIN_H

#include <stdatomic.h>

#include "config/settings.h"

struct config_origin {
    atomic_size_t references;
    char *file;            /* owned; NULL: only flags */
    struct settings flags; /* as given; a reload applies them again */
    struct settings
        effective; /* a text for every option; the strings of struct config point here */
};

#endif
