/* The tables of the screen: servers, refused documents, broken schema files, schemas left out,
 * pools, connections. */
#ifndef SLUICE_CLI_VIEW_TABLES_H
#define SLUICE_CLI_VIEW_TABLES_H

#include "cli/view_terms.h"

void view_put_servers(struct screen *screen, struct bytes status);
void view_put_refusals(struct screen *screen, struct bytes status);
void view_put_broken(struct screen *screen, struct bytes status);
void view_put_left_out(struct screen *screen, struct bytes status);
void view_put_pools(struct screen *screen, struct bytes pools);
void view_put_connections(struct screen *screen, const struct view_input *input,
                          const struct view_options *options);

/* For the foot of the screen. */
const char *view_order_name(enum view_order order);

#endif
