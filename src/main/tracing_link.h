/* The exporter of spans, with the options of the configuration. */
#ifndef SLUICE_MAIN_TRACING_LINK_H
#define SLUICE_MAIN_TRACING_LINK_H

#include "config/config.h"
#include "otlp/exporter.h"

/* For this number of workers. NULL on failure. */
struct exporter *tracing_link_start(const struct config *config, unsigned workers,
                                    struct error *err);
bool tracing_link_configure(struct exporter *exporter, const struct config *config,
                            struct error *err);

#endif
