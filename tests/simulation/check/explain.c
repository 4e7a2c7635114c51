#include "check.h"

static bool has_any(const struct plan *plan, uint32_t kinds)
{
    for (unsigned i = 0; i < plan->fault_count; i++) {
        if ((kinds & 1U << plan->faults[i].kind) != 0 && !plan->faults[i].leaves_out) {
            return true;
        }
    }
    return false;
}

bool plan_has_faults(const struct plan *plan)
{
    return has_any(plan, ~0U);
}

bool plan_has_operation(const struct plan *plan, enum plan_operation kind)
{
    for (unsigned i = 0; i < plan->client_count; i++) {
        const struct plan_client *client = &plan->clients[i];
        for (unsigned k = 0; k < client->operation_count && !client->leaves_out; k++) {
            if (client->operations[k].kind == kind) {
                return true;
            }
        }
    }
    return false;
}

/* As faults.c waits for a proxy that drains. */
static const int64_t longest_drain_us = 10000000;

int64_t plan_calm_us(const struct plan *plan)
{
    int64_t calm = 0;
    for (unsigned i = 0; i < plan->fault_count; i++) {
        const struct plan_fault *fault = &plan->faults[i];
        int64_t end = fault->at_us + fault->lasts_us +
                      (fault->kind == FAULT_PROXY_DRAIN ? longest_drain_us : 0);
        calm = !fault->leaves_out && end > calm ? end : calm;
    }
    return calm;
}

enum {
    ROLLS_BACK = 1U << FAULT_SERVER_RESTART | 1U << FAULT_STEP_DOWN,
    LOSES = ROLLS_BACK | 1U << FAULT_LOST_ANSWER | 1U << FAULT_PARTITION | 1U << FAULT_CUT_CLIENT |
            1U << FAULT_CUT_UPSTREAM | 1U << FAULT_HALF_OPEN | 1U << FAULT_PROXY_RESTART |
            1U << FAULT_PROXY_DRAIN | 1U << FAULT_MEMORY | 1U << FAULT_MEMORY_MAX |
            1U << FAULT_USER |
            1U << FAULT_PROXY_PAUSE, /* the proxy closes after its query_wait_timeout_ms */
    DELAYS = 1U << FAULT_LATENCY | 1U << FAULT_SLOW_READER,
    FORGETS = 1U << FAULT_PROXY_RESTART | 1U << FAULT_PROXY_DRAIN
};

/* A partition between members, as faults.c chooses them, can lead to an election. */
static bool parts_members(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->fault_count; i++) {
        const struct plan_fault *fault = &plan->faults[i];
        if (fault->kind == FAULT_PARTITION && !fault->leaves_out && plan->members > 1 &&
            fault->which % 3 == 0) {
            return true;
        }
    }
    return false;
}

/* The proxy's clock leapt past a limit of time: its shortest are connect_timeout_ms, and in a tight
 * plan the waits of 100 ms and more (proxy/options.c). */
static bool leaps_far(const struct plan *plan)
{
    return !plan->direct && plan_leaps_us(plan) >= (plan_is_tight(plan) ? 100000 : 10000000);
}

bool plan_can_roll_back(const struct plan *plan)
{
    return has_any(plan, ROLLS_BACK) || parts_members(plan);
}

bool plan_can_lose(const struct plan *plan)
{
    return has_any(plan, LOSES) ||
           /* A batch without numbers that failed in part: docs/merging.md, Unclear answers. */
           (plan->merging && plan_has_fault(plan, FAULT_DISK_FULL)) ||
           /* The proxy gives up a server after its connect_timeout_ms. */
           (!plan->direct && has_any(plan, DELAYS)) || leaps_far(plan) ||
           /* The last connection of a user may go with a client that dies, and with it the clients
            * of this user that wait for one: docs/sharing.md, Refill. */
           (plan->shared && plan->login == PLAN_LOGIN_RELAY && plan_has_operation(plan, PLAN_DIE));
}

bool plan_can_forget(const struct plan *plan)
{
    return has_any(plan, FORGETS);
}

/* The proxy refuses requests at its limits. */
static bool is_tight(const struct plan *plan)
{
    return !plan->direct && plan_is_tight(plan);
}

bool plan_can_refuse(const struct client *client, int code)
{
    const struct plan *plan = client->plan;
    switch (code) {
    case 13: /* Unauthorized */
        return (plan->users > 0 && client->what->user == 0) || plan_has_fault(plan, FAULT_USER);
    case 18:  /* AuthenticationFailed */
    case 391: /* ReauthenticationRequired */
        return plan_has_fault(plan, FAULT_USER);
    case 146: /* ExceededMemoryLimit */
        return has_any(plan, 1U << FAULT_MEMORY | 1U << FAULT_MEMORY_MAX);
    case 14031: /* OutOfDiskSpace */
        return plan_has_fault(plan, FAULT_DISK_FULL);
    case 43: /* CursorNotFound */
        return plan_can_roll_back(plan);
    case 112: /* WriteConflict: with a transaction that was left behind */
        return plan_can_lose(plan) || plan_has_operation(plan, PLAN_DIE);
    case 462: /* IngressRequestRateLimitExceeded */
        if (client->what->backpressure && plan_has_fault(plan, FAULT_OVERLOAD)) {
            return true;
        }
        return is_tight(plan) || leaps_far(plan) ||
               (!plan->direct && has_any(plan, LOSES | DELAYS));
    case 262: /* ExceededTimeLimit: of the proxy's queues */
        return is_tight(plan) || leaps_far(plan) || has_any(plan, LOSES | DELAYS);
    case 6: /* HostUnreachable */
        return leaps_far(plan) || has_any(plan, LOSES | DELAYS);
    case 64:  /* WriteConcernFailed */
    case 251: /* NoSuchTransaction */
        return plan_can_roll_back(plan);
    case 91: /* ShutdownInProgress: the proxy refuses transactions in a drain */
        return plan_can_roll_back(plan) || has_any(plan, FORGETS);
    default:
        return topology_is_state_change(code) && plan_can_roll_back(plan);
    }
}
