/* The options of an exporter. */
#ifndef SLUICE_OTLP_EXPORTER_OPTIONS_H
#define SLUICE_OTLP_EXPORTER_OPTIONS_H

#include <stdint.h>

/* All strings are borrowed during the call. */
struct exporter_options {
    const char *endpoint; /* a URL; "": off */
    const char *headers;  /* name_values.h */
    const char *ca_file;  /* "": the system's authorities */
    const char *service_name;
    const char *resource_attributes; /* name_values.h */
    const char *instance;            /* identifies this process */
    int64_t period_ms;               /* between two exports */
    int64_t timeout_ms;              /* of a request to the collector */
};

#endif
