/* The operator's requests of a plan, each at its time. Without a proxy at that time it does
 * nothing. */
#include <stdlib.h>

#include "model.h"

struct operator;

struct visit {
    struct operator* operator;
    enum plan_page page;
    struct timer *timer; /* NULL: it is over */
};

struct operator
{
    struct world *world;
    struct simulated_proxy **proxy;
    struct visit visits[PLAN_REQUESTS_MAX];
};

static void visit_page(void *arg)
{
    struct visit *visit = arg;
    visit->timer = NULL;
    if (*visit->operator->proxy != NULL)
        simulated_proxy_look(*visit->operator->proxy, visit->page);
}

struct operator*
    operator_begin(struct world *world, const struct plan *plan, struct simulated_proxy **proxy)
{
    struct operator* operator= calloc(1, sizeof *operator);
    if (operator== NULL)
        abort();
    *operator=(struct operator){.world = world, .proxy = proxy};
    for (unsigned i = 0; i < plan->request_count && plan->operated; i++) {
        const struct plan_request *request = &plan->requests[i];
        struct visit *visit = &operator->visits[i];
        *visit = (struct visit){.operator= operator, .page = request->page };
        if (!request->leaves_out)
            visit->timer = world_after(world, request->at_us, visit_page, visit);
    }
    return operator;
}

void operator_end(struct operator* operator)
{
    for (unsigned i = 0; i < PLAN_REQUESTS_MAX; i++)
        world_cancel(operator->world, operator->visits[i].timer);
    free(operator);
}
