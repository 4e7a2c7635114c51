/* The serving admin endpoint. The admin thread owns all of it. */
#ifndef SLUICE_ADMIN_CONTEXT_H
#define SLUICE_ADMIN_CONTEXT_H

#include "admin/access.h"
#include "admin/http.h"
#include "admin/parts.h"
#include "admin/sample.h"
#include "config/config.h"
#include "net/tls.h"
#include "net/worker.h"

/* A reference to the configuration, with the contents of its files. */
struct admin_settings {
    struct config *config;
    struct access_token token;
    struct tls_context *tls; /* NULL: plain */
};

struct admin {
    struct admin_parts parts;
    struct admin_settings *settings;
    struct worker *worker;
    struct http_server *http;
    struct event *drain_event;
    int64_t started_ms;       /* since 1970 */
    int64_t started_clock_ms; /* monotonic */
    int64_t sampled_ms;       /* monotonic */
    struct samples samples;
};

static inline const struct config *admin_config(const struct admin *admin)
{
    return admin->settings->config;
}

/* The enforced schemas; the caller releases them with registry_release. */
static inline struct registry *admin_schemas(const struct admin *admin)
{
    return catalog_registry(admin->parts.catalog);
}

static inline enum admin_state admin_state_now(const struct admin *admin)
{
    return admin->parts.hooks.state(admin->parts.hooks.context);
}
const char *admin_state_name(enum admin_state state);

#endif
