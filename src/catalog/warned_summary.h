/* The log line that sums up a period of schemas with action warn: the documents of each namespace
 * that broke their schema. */
#ifndef SLUICE_CATALOG_WARNED_SUMMARY_H
#define SLUICE_CATALOG_WARNED_SUMMARY_H

#include <stdint.h>

#include "catalog/registry.h"

/* Logs the documents since the last call, if any were let pass with a warning. Always the same
 * thread calls it. NULL is a registry without schemas. */
void warned_summary_log(const struct registry *registry, int64_t period_ms);

#endif
