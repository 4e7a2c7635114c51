#include "check.h"

bool plan_has_fault(const struct plan *plan, enum plan_fault_kind kind)
{
    for (unsigned i = 0; i < plan->fault_count; i++) {
        if (plan->faults[i].kind == kind && !plan->faults[i].leaves_out) {
            return true;
        }
    }
    return false;
}

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

int64_t plan_calm_us(const struct plan *plan)
{
    int64_t calm = 0;
    for (unsigned i = 0; i < plan->fault_count; i++) {
        const struct plan_fault *fault = &plan->faults[i];
        int64_t end = fault->at_us + fault->lasts_us;
        calm = !fault->leaves_out && end > calm ? end : calm;
    }
    return calm;
}

enum {
    ROLLS_BACK = 1U << FAULT_SERVER_RESTART | 1U << FAULT_STEP_DOWN | 1U << FAULT_PARTITION |
                 1U << FAULT_CLOCK_JUMP,
    LOSES = ROLLS_BACK | 1U << FAULT_CUT_CLIENT | 1U << FAULT_CUT_UPSTREAM | 1U << FAULT_HALF_OPEN |
            1U << FAULT_PROXY_RESTART | 1U << FAULT_PROXY_DRAIN | 1U << FAULT_MEMORY |
            1U << FAULT_MEMORY_MAX | 1U << FAULT_USER,
    FORGETS = 1U << FAULT_PROXY_RESTART | 1U << FAULT_PROXY_DRAIN
};

bool plan_can_roll_back(const struct plan *plan)
{
    return has_any(plan, ROLLS_BACK);
}

bool plan_can_lose(const struct plan *plan)
{
    return has_any(plan, LOSES) ||
           /* The last connection of a user may go with a client that dies, and with it the clients
            * of this user that wait for one: docs/sharing.md, Refill. */
           (plan->shared && plan->login == PLAN_LOGIN_RELAY && plan_has_operation(plan, PLAN_DIE));
}

bool plan_can_loosen(const struct plan *plan)
{
    return !plan->schemas || plan_has_fault(plan, FAULT_SCHEMA);
}

bool plan_can_forget(const struct plan *plan)
{
    return has_any(plan, FORGETS);
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
    case 43: /* CursorNotFound */
        return has_any(plan, ROLLS_BACK);
    case 112: /* WriteConflict: with a transaction that was left behind */
        return plan_can_lose(plan) || plan_has_operation(plan, PLAN_DIE);
    case 6:   /* HostUnreachable */
    case 462: /* IngressRequestRateLimitExceeded */
        return has_any(plan, LOSES | 1U << FAULT_SLOW_DISK | 1U << FAULT_LATENCY |
                                 1U << FAULT_PROXY_PAUSE | 1U << FAULT_PROXY_RELOAD);
    case 64:  /* WriteConcernFailed */
    case 251: /* NoSuchTransaction */
        return has_any(plan, ROLLS_BACK);
    default:
        return topology_is_state_change(code) && has_any(plan, ROLLS_BACK);
    }
}
