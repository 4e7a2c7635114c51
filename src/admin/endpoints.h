/* Maps paths to pages, and decides which requests may see them. */
#ifndef SLUICE_ADMIN_ENDPOINTS_H
#define SLUICE_ADMIN_ENDPOINTS_H

struct evhttp_request;

/* Answers a request; arg is the struct admin. For the admin thread. */
void admin_handle(void *arg, struct evhttp_request *request);

#endif
