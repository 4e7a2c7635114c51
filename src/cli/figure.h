/* Reads the admin endpoint's documents. A path names nested members: "connections.phases.idle".
 * Pure. */
#ifndef SLUICE_CLI_FIGURE_H
#define SLUICE_CLI_FIGURE_H

#include <stdbool.h>

#include "base/bytes.h"

/* 0 if it is absent. */
double figure_number(struct bytes document, const char *path);
/* "" if it is absent; points into the document. */
const char *figure_text(struct bytes document, const char *path);
bool figure_flag(struct bytes document, const char *path);
/* The bytes of an array or object; empty if it is absent. */
struct bytes figure_part(struct bytes document, const char *path);

#endif
