/* The pages of the endpoint. Each gets a request that access.c allowed, and answers it. For the
 * admin thread. */
#ifndef SLUICE_ADMIN_PAGES_H
#define SLUICE_ADMIN_PAGES_H

#include <event2/keyvalq_struct.h>

#include "admin/context.h"

/* The request for a handler: the decoded path behind its route, and the query. */
struct admin_request {
    struct evhttp_request *http;
    const char *rest; /* "/schemas/a.b": "a.b" */
    struct evkeyvalq query;
    int method;      /* enum evhttp_cmd_type; HEAD counts as GET */
    bool is_trusted; /* may learn more than whether the proxy works */
};

/* Reads a whole number within bounds from the query; false if the value is not such a number. */
bool admin_query_number(const struct admin_request *request, const char *name, uint64_t max,
                        uint64_t *value);

void admin_get_metrics(struct admin *admin, const struct admin_request *request);
void admin_get_status(struct admin *admin, const struct admin_request *request);
void admin_get_connections(struct admin *admin, const struct admin_request *request);
void admin_get_dashboard(struct admin *admin, const struct admin_request *request);
void admin_schemas_list(struct admin *admin, const struct admin_request *request);
void admin_schemas_one(struct admin *admin, const struct admin_request *request);

#endif
