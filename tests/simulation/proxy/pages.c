/* The operator of the simulated proxy: asks for pages of the admin endpoint, and checks each
 * answer. */
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "../net/process.h"
#include "application.h"
#include "in_force.h"
#include "main/proxy_parts.h"
#include "page_figures.h"
#include "parts.h"
#include "simulated_proxy.h"
#include "world_internal.h"

enum form { FORM_TEXT, FORM_JSON, FORM_METRICS };

struct page {
    int method;
    const char *uri;
    int status;
    enum form form;
};

#define NAMESPACE_URI "/schemas/" APPLICATION_DATABASE "." APPLICATION_CHECKED

static const struct page pages[PLAN_PAGE_KINDS] = {
    [PAGE_DASHBOARD] = {EVHTTP_REQ_GET, "/", 200, FORM_TEXT},
    [PAGE_LIVEZ] = {EVHTTP_REQ_GET, "/livez", 200, FORM_JSON},
    [PAGE_READYZ] = {EVHTTP_REQ_GET, "/readyz", 200, FORM_JSON},
    [PAGE_METRICS] = {EVHTTP_REQ_GET, "/metrics", 200, FORM_METRICS},
    [PAGE_OPENMETRICS] = {EVHTTP_REQ_GET, "/metrics", 200, FORM_METRICS},
    [PAGE_STATUS] = {EVHTTP_REQ_GET, "/status", 200, FORM_JSON},
    [PAGE_SAMPLES] = {EVHTTP_REQ_GET, "/status?since=0", 200, FORM_JSON},
    [PAGE_CONNECTIONS] = {EVHTTP_REQ_GET, "/connections", 200, FORM_JSON},
    [PAGE_SOME_CONNECTIONS] = {EVHTTP_REQ_GET, "/connections?limit=2&after=1", 200, FORM_JSON},
    [PAGE_POOLS] = {EVHTTP_REQ_GET, "/pools", 200, FORM_JSON},
    [PAGE_CONFIG] = {EVHTTP_REQ_GET, "/config", 200, FORM_JSON},
    [PAGE_SCHEMAS] = {EVHTTP_REQ_GET, "/schemas", 200, FORM_JSON},
    [PAGE_SCHEMA] = {EVHTTP_REQ_GET, NAMESPACE_URI, 200, FORM_JSON},
    [PAGE_UNKNOWN] = {EVHTTP_REQ_GET, "/nowhere", 404, FORM_JSON},
    [PAGE_WRONG_METHOD] = {EVHTTP_REQ_POST, "/status", 405, FORM_JSON},
    [PAGE_WRONG_QUERY] = {EVHTTP_REQ_GET, "/connections?limit=x", 400, FORM_JSON},
    [PAGE_WRONG_SCHEMA] = {EVHTTP_REQ_PUT, NAMESPACE_URI, 422, FORM_JSON},
    [PAGE_WITHOUT_TOKEN] = {EVHTTP_REQ_GET, "/status", 200, FORM_JSON},
};

/* A request under way. */
struct look {
    struct simulated_proxy *simulated;
    enum plan_page page;
    bool still;         /* the history is over, and its faults */
    unsigned upstreams; /* connections to servers when the operator asked */
};

/* --- checks --- */

static bool without_schema(const struct world *world)
{
    return in_force_was_number(world, 0, world_now_us(world), world_now_us(world));
}

/* The status is the page's, or the state of the proxy explains it. */
static bool is_expected(const struct look *look, int status)
{
    const struct plan *plan = look->simulated->plan;
    if (status == pages[look->page].status)
        return look->page != PAGE_WITHOUT_TOKEN || !plan->has_token;
    if (status == 503 && plan_has_fault(plan, FAULT_MEMORY))
        return true;
    switch (look->page) {
    case PAGE_READYZ:
        return status == 503 && !look->still;
    case PAGE_LIVEZ:
        return status == 503 && !look->still && plan_leaps_us(plan) >= 10000000;
    case PAGE_SCHEMA:
        return status == 404 && without_schema(look->simulated->world);
    case PAGE_WRONG_SCHEMA:
        return status == 409 && !plan->schemas;
    case PAGE_WITHOUT_TOKEN:
        return status == 401 && plan->has_token;
    default:
        return false;
    }
}

static void fails(const struct look *look, const char *problem, const struct http_answer *answer)
{
    world_fail(look->simulated->world, "admin answer", "%s %d: %s: %.600s",
               plan_page_name(look->page), answer->status, problem,
               answer->body == NULL ? "" : answer->body);
}

static void check_json(const struct look *look, const struct http_answer *answer)
{
    bson_error_t error;
    bson_t *json = bson_new_from_json((const uint8_t *)answer->body, (ssize_t)answer->len, &error);
    if (json == NULL) {
        fails(look, error.message, answer);
        return;
    }
    const char *wrong = NULL;
    if (answer->status == 200)
        wrong = page_figures_check_json(look->simulated, look->page, look->still, look->upstreams,
                                        json);
    else if (look->page != PAGE_READYZ && look->page != PAGE_LIVEZ &&
             !bson_has_field(json, "error"))
        wrong = "an error without a reason";
    if (wrong != NULL)
        fails(look, wrong, answer);
    bson_destroy(json);
}

static void check_form(const struct look *look, const struct http_answer *answer)
{
    bool is_json = strncmp(answer->type, "application/json", 16) == 0;
    const char *wrong = NULL;
    if (answer->status == 503 && answer->len == 0)
        return; /* without memory there is no page */
    if (is_json != (answer->status != 200 || pages[look->page].form == FORM_JSON))
        wrong = "the type is wrong";
    else if (answer->len == 0)
        wrong = "the page is empty";
    else if (is_json)
        check_json(look, answer);
    else if (pages[look->page].form == FORM_METRICS)
        wrong = page_figures_check_metrics(look->simulated, look->page == PAGE_OPENMETRICS,
                                           answer->body);
    if (wrong != NULL)
        fails(look, wrong, answer);
}

static void check_answer(const struct look *look, const struct http_answer *answer)
{
    world_trace(look->simulated->world, "operator", "%s: %d, %zu bytes", plan_page_name(look->page),
                answer->status, answer->len);
    if (answer->status == 0)
        return; /* the proxy ended */
    if (!is_expected(look, answer->status))
        fails(look, "nothing explains this status", answer);
    if (strstr(answer->body, ADMIN_TOKEN) != NULL || strstr(answer->body, ACCOUNT_PASSWORD) != NULL)
        fails(look, "the page shows a secret", answer);
    check_form(look, answer);
}

static void answered(void *arg, const struct http_answer *answer)
{
    check_answer(arg, answer);
    free(arg);
}

/* --- requests --- */

static const char *authorization_of(const struct plan *plan)
{
    return plan->has_token ? "Bearer " ADMIN_TOKEN : NULL;
}

static void look(struct simulated_proxy *simulated, enum plan_page page, bool still)
{
    struct look *look = simulation_alloc(sizeof *look);
    *look = (struct look){simulated, page, still, process_socket_count(SOCKET_UPSTREAM)};
    struct http_question question = {
        .method = pages[page].method,
        .uri = pages[page].uri,
        .body = page == PAGE_WRONG_SCHEMA ? "{\"schema\": {\"required\": []}}" : NULL,
        .authorization = page == PAGE_WITHOUT_TOKEN ? NULL : authorization_of(simulated->plan),
        .accept = page == PAGE_OPENMETRICS ? "application/openmetrics-text; version=1.0.0" : NULL,
        .answered = answered,
        .arg = look};
    if (!process_http_ask(&question))
        free(look);
}

void simulated_proxy_look(struct simulated_proxy *simulated, enum plan_page page)
{
    look(simulated, page, false);
}

void simulated_proxy_look_at_figures(struct simulated_proxy *simulated)
{
    static const enum plan_page with_figures[] = {PAGE_LIVEZ,       PAGE_READYZ, PAGE_METRICS,
                                                  PAGE_OPENMETRICS, PAGE_STATUS, PAGE_CONNECTIONS,
                                                  PAGE_POOLS,       PAGE_SCHEMAS};
    for (size_t i = 0; i < sizeof with_figures / sizeof with_figures[0]; i++)
        look(simulated, with_figures[i], true);
}

/* --- commands --- */

struct order {
    struct simulated_proxy *simulated;
    enum operator_command command;
    unsigned number; /* of a schema */
    bool strict;
};

/* It is done, whatever the answer says. */
static bool is_done(const struct order *order)
{
    const struct world *world = order->simulated->world;
    int64_t now_us = world_now_us(world);
    const struct proxy *proxy = order->simulated->proxy;
    switch (order->command) {
    case OPERATOR_PAUSES:
        return atomic_load(&proxy->paused);
    case OPERATOR_RESUMES:
        return !atomic_load(&proxy->paused);
    case OPERATOR_PUTS_SCHEMA:
        return in_force_was_number(world, order->number, now_us, now_us);
    case OPERATOR_DELETES_SCHEMA:
        return without_schema(world);
    default:
        return true; /* it drains soon */
    }
}

/* By a signal or a file, as operators do where the endpoint fails. */
static void take_the_other_way(const struct order *order)
{
    switch (order->command) {
    case OPERATOR_PAUSES:
    case OPERATOR_RESUMES:
        simulated_proxy_pause(order->simulated, order->command == OPERATOR_PAUSES);
        return;
    case OPERATOR_DRAINS:
        simulated_proxy_drain(order->simulated);
        return;
    default:
        return; /* the old schema stays */
    }
}

static void check_order(const struct order *order, const struct http_answer *answer)
{
    const struct plan *plan = order->simulated->plan;
    struct world *world = order->simulated->world;
    bool good = answer->status >= 200 && answer->status < 300;
    bool absent = answer->status == 404 && order->command == OPERATOR_DELETES_SCHEMA;
    world_trace(world, "operator", "command %d: %d", (int)order->command, answer->status);
    if (answer->status == 0)
        return;
    if (good && !is_done(order))
        world_fail(world, "admin answer", "command %d: %d, but it is not done: %.300s",
                   (int)order->command, answer->status, answer->body);
    else if (!good && !(answer->status == 409 && simulated_proxy_drains(order->simulated)) &&
             !(absent && without_schema(world)) && !plan_has_fault(plan, FAULT_MEMORY))
        world_fail(world, "admin answer", "command %d: %d: %.300s", (int)order->command,
                   answer->status, answer->body);
    if (!good)
        take_the_other_way(order);
}

static void carried_out(void *arg, const struct http_answer *answer)
{
    check_order(arg, answer);
    free(arg);
}

void simulated_proxy_command(struct simulated_proxy *simulated, enum operator_command command,
                             bool strict)
{
    static const struct {
        int method;
        const char *uri;
    } requests[] = {
        [OPERATOR_PAUSES] = {EVHTTP_REQ_POST, "/pause"},
        [OPERATOR_RESUMES] = {EVHTTP_REQ_POST, "/resume"},
        [OPERATOR_DRAINS] = {EVHTTP_REQ_POST, "/drain"},
        [OPERATOR_PUTS_SCHEMA] = {EVHTTP_REQ_PUT, NAMESPACE_URI},
        [OPERATOR_DELETES_SCHEMA] = {EVHTTP_REQ_DELETE, NAMESPACE_URI},
    };
    char text[SCHEMA_FILE_BYTES];
    struct order *order = simulation_alloc(sizeof *order);
    *order = (struct order){.simulated = simulated, .command = command, .strict = strict};
    if (command == OPERATOR_PUTS_SCHEMA)
        order->number = schema_file_write(simulated->world, strict, text);
    struct http_question question = {.method = requests[command].method,
                                     .uri = requests[command].uri,
                                     .body = command == OPERATOR_PUTS_SCHEMA ? text : NULL,
                                     .authorization = authorization_of(simulated->plan),
                                     .answered = carried_out,
                                     .arg = order};
    if (process_http_ask(&question))
        return;
    take_the_other_way(order);
    free(order);
}
