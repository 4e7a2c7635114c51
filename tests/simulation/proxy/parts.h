/* Between the files of this folder. */
#ifndef SIMULATION_PROXY_PARTS_H
#define SIMULATION_PROXY_PARTS_H

#include "application.h"
#include "base/text.h"
#include "model.h"

#define OPTIONS_FILE   "/simulated/mongosluice.yaml"
#define SCHEMAS_FOLDER "/simulated/schemas"
#define SCHEMA_FILE    SCHEMAS_FOLDER "/" APPLICATION_DATABASE "." APPLICATION_CHECKED ".json"

#define TOKEN_FILE "/simulated/token"

/* They stand on no page. */
#define ADMIN_TOKEN      "a-token-of-operators"
#define ACCOUNT_PASSWORD "opensesame"

/* Of the next topology_start and verifier_source_start. */
void topology_set_cluster(struct cluster *cluster, const struct plan *plan);
void verifier_source_set_cluster(struct cluster *cluster, const struct plan *plan);

/* Writes the configuration of the plan. `number` draws the options that the plan does not name. */
void options_write(const struct plan *plan, uint32_t number, struct text *out);

enum { SCHEMA_FILE_BYTES = 2048 };

/* Writes the next schema file of APPLICATION_CHECKED, and returns its number. */
unsigned schema_file_write(struct world *world, bool strict, char out[SCHEMA_FILE_BYTES]);

#endif
