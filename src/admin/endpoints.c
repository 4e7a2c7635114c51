/* Maps paths to pages, and decides which requests may see them. */
#include "admin/endpoints.h"

#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "admin/figures.h"
#include "admin/operation_state.h"
#include "admin/pages.h"
#include "admin/pool_pages.h"
#include "admin/readiness.h"
#include "admin/registry_state.h"
#include "base/log.h"

enum { READS = EVHTTP_REQ_GET | EVHTTP_REQ_HEAD };
static const int CHANGES = EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE;

/* --- short pages ---------------------------------------------------------------------------------
 */

/* details: the reply shows the state of the schema registry and the last reload too. */
static void reply_health(const struct admin *admin, const struct admin_request *request, bool good,
                         bool details, const struct error *err)
{
    struct text body = text_growing();
    struct json json = json_over(&body);
    json_open_object(&json, NULL);
    json_add_bool(&json, "ok", good);
    if (!good && request->is_trusted)
        json_add_string(&json, "reason", err->message);
    if (details && request->is_trusted) {
        registry_write(admin, "registry", &json);
        operation_write_reload(admin, "reload", &json);
    }
    json_close_object(&json);
    http_send_json(request->http, good ? 200 : 503, &body);
}

static void get_livez(struct admin *admin, const struct admin_request *request)
{
    struct error err;
    bool alive = readiness_is_alive(&admin->parts, admin->started_clock_ms, &err);
    reply_health(admin, request, alive, false, &err);
}

static void get_readyz(struct admin *admin, const struct admin_request *request)
{
    struct error err;
    bool ready = readiness_check(&admin->parts, admin_config(admin), &err);
    reply_health(admin, request, ready, true, &err);
}

static void get_config(struct admin *admin, const struct admin_request *request)
{
    struct text body = text_growing();
    config_write_listing(admin_config(admin), &body);
    http_send_json(request->http, 200, &body);
}

static void reply_state(const struct admin_request *request, int status, enum admin_state state)
{
    struct text body = text_growing();
    struct json json = json_over(&body);
    json_open_object(&json, NULL);
    json_add_string(&json, "state", admin_state_name(state));
    json_close_object(&json);
    http_send_json(request->http, status, &body);
}

/* While the proxy drains, it can be neither paused nor resumed. */
static bool refuse_in_drain(struct admin *admin, const struct admin_request *request)
{
    if (admin_state_now(admin) != ADMIN_DRAINING)
        return false;
    http_send_error(request->http, 409, "the proxy is draining");
    return true;
}

static void post_pause(struct admin *admin, const struct admin_request *request)
{
    if (refuse_in_drain(admin, request))
        return;
    admin->parts.hooks.pause(admin->parts.hooks.context);
    reply_state(request, 200, admin_state_now(admin));
}

static void post_resume(struct admin *admin, const struct admin_request *request)
{
    if (refuse_in_drain(admin, request))
        return;
    admin->parts.hooks.resume(admin->parts.hooks.context);
    reply_state(request, 200, admin_state_now(admin));
}

/* Sends the reply first: without clients, the proxy ends at once. */
static void post_drain(struct admin *admin, const struct admin_request *request)
{
    struct timeval soon = {.tv_usec = 100000};
    reply_state(request, 202, ADMIN_DRAINING);
    event_add(admin->drain_event, &soon);
}

/* --- the table ----------------------------------------------------------------------------------
 */

struct endpoint {
    const char *path; /* a path with a final slash is followed by a name */
    int methods;
    bool is_public; /* tells only whether the proxy works, or is the page itself */
    void (*handle)(struct admin *admin, const struct admin_request *request);
};

static const struct endpoint endpoints[] = {
    {"/", READS, true, admin_get_dashboard},
    {"/livez", READS, true, get_livez},
    {"/readyz", READS, true, get_readyz},
    {"/metrics", READS, false, admin_get_metrics},
    {"/status", READS, false, admin_get_status},
    {"/connections", READS, false, admin_get_connections},
    {"/pools", READS, false, admin_get_pools},
    {"/config", READS, false, get_config},
    {"/schemas", READS, false, admin_schemas_list},
    {"/schemas/", READS | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE, false, admin_schemas_one},
    {"/pause", EVHTTP_REQ_POST, false, post_pause},
    {"/resume", EVHTTP_REQ_POST, false, post_resume},
    {"/drain", EVHTTP_REQ_POST, false, post_drain},
};

static const struct endpoint *find_endpoint(const char *path, const char **rest)
{
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        const struct endpoint *endpoint = &endpoints[i];
        size_t len = strlen(endpoint->path);
        bool goes_on = len > 1 && endpoint->path[len - 1] == '/';
        if (goes_on && strncmp(path, endpoint->path, len) == 0 && path[len] != 0) {
            *rest = path + len;
            return endpoint;
        }
        if (!goes_on && strcmp(path, endpoint->path) == 0) {
            *rest = "";
            return endpoint;
        }
    }
    return NULL;
}

static void send_wrong_method(struct evhttp_request *http, int methods)
{
    static const struct {
        int method;
        const char *name;
    } names[] = {{EVHTTP_REQ_GET, "GET"},
                 {EVHTTP_REQ_HEAD, "HEAD"},
                 {EVHTTP_REQ_POST, "POST"},
                 {EVHTTP_REQ_PUT, "PUT"},
                 {EVHTTP_REQ_DELETE, "DELETE"}};
    char allow[64];
    char reason[96];
    struct text list = text_over(allow, sizeof allow);
    struct text body = text_growing();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((methods & names[i].method) != 0)
            text_format(&list, "%s%s", list.len > 0 ? ", " : "", names[i].name);
    (void)snprintf(reason, sizeof reason, "this path accepts %s", allow);
    http_write_error(&body, 405, reason);
    text_add(&body, "\n");
    http_send(http,
              &(struct http_reply){
                  .status = 405, .type = "application/json; charset=utf-8", .allow = allow},
              &body);
}

/* *is_trusted: the request may learn more than whether the proxy works. */
static bool may_pass(struct admin *admin, struct evhttp_request *http,
                     const struct endpoint *endpoint, bool *is_trusted)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(http);
    char *peer = NULL;
    uint16_t port = 0;
    const char *reason = NULL;
    evhttp_connection_get_peer(evhttp_request_get_connection(http), &peer, &port);
    struct access_request request = {
        .authorization = evhttp_find_header(headers, "Authorization"),
        .host = evhttp_find_header(headers, "Host"),
        .origin = evhttp_find_header(headers, "Origin"),
        .peer = peer,
        .allowed_hosts = admin_config(admin)->admin.allowed_hosts,
        .changes = (evhttp_request_get_command(http) & CHANGES) != 0,
    };
    int status = access_check(&admin->settings->token, &request, &reason);
    *is_trusted = status == 200;
    if (*is_trusted || (endpoint != NULL && endpoint->is_public && !request.changes))
        return true;
    LOG_W(LOG_ACCESS, 1070, "admin", "Refused a request to the admin endpoint",
          LOG_STR("remote", peer), LOG_INT("status", status), LOG_STR("reason", reason));
    http_send_error(http, status, reason);
    return false;
}

static void log_change(struct evhttp_request *http, const char *path)
{
    char *peer = NULL;
    uint16_t port = 0;
    if ((evhttp_request_get_command(http) & CHANGES) == 0)
        return;
    evhttp_connection_get_peer(evhttp_request_get_connection(http), &peer, &port);
    LOG_I(LOG_ACCESS, 1071, "admin", "Admin request to change the state", LOG_STR("remote", peer),
          LOG_STR("path", path));
}

bool admin_query_number(const struct admin_request *request, const char *name, uint64_t max,
                        uint64_t *value)
{
    const char *text = evhttp_find_header(&request->query, name);
    char *end = NULL;
    if (text == NULL)
        return true;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || number > max)
        return false;
    *value = number;
    return true;
}

static void run(struct admin *admin, const struct endpoint *endpoint, struct admin_request *request)
{
    struct evhttp_request *http = request->http;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
    const char *query = evhttp_uri_get_query(uri);
    int method = evhttp_request_get_command(http);
    request->method = method == EVHTTP_REQ_HEAD ? EVHTTP_REQ_GET : method;
    TAILQ_INIT(&request->query);
    if (query != NULL && evhttp_parse_query_str(query, &request->query) != 0)
        http_send_error(http, 400, "the query is malformed");
    else
        endpoint->handle(admin, request);
    evhttp_clear_headers(&request->query);
}

void admin_handle(void *arg, struct evhttp_request *http)
{
    struct admin *admin = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
    const char *raw = uri == NULL ? NULL : evhttp_uri_get_path(uri);
    struct admin_request request = {.http = http};
    size_t len = 0;
    char *path = evhttp_uridecode(raw == NULL || *raw == 0 ? "/" : raw, 0, &len);
    if (path == NULL || strlen(path) != len) {
        http_send_error(http, path == NULL ? 503 : 400, "the path is malformed");
        free(path); /* libevent allocated it */
        return;
    }
    const struct endpoint *endpoint = find_endpoint(path, &request.rest);
    if (!may_pass(admin, http, endpoint, &request.is_trusted)) {
        free(path);
        return;
    }
    if (endpoint == NULL) {
        http_send_error(http, 404, "no page has this path");
    } else if ((evhttp_request_get_command(http) & endpoint->methods) == 0) {
        send_wrong_method(http, endpoint->methods);
    } else {
        log_change(http, path);
        run(admin, endpoint, &request);
    }
    free(path);
}
