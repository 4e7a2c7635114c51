/* The figures of the admin pages against those of the proxy at the same moment. */
#ifndef SIMULATION_PAGE_FIGURES_H
#define SIMULATION_PAGE_FIGURES_H

#include <bson/bson.h>

#include "model.h"

/* Both return the problem, or NULL. `still`: nobody does anything. `upstreams`: the connections to
 * servers when the page was asked for. */
const char *page_figures_check_json(struct simulated_proxy *simulated, enum plan_page page,
                                    bool still, unsigned upstreams, const bson_t *json);
const char *page_figures_check_metrics(struct simulated_proxy *simulated, bool openmetrics,
                                       const char *text);

#endif
