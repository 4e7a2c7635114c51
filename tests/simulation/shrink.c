#include "shrink.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history.h"

struct shrinking {
    struct plan *plan; /* the smallest that still fails */
    const char *check;
    unsigned attempts;
    unsigned most;
};

/* --- one attempt ---
 */

static void run_child(const struct plan *plan, int out)
{
    struct world_failure failure = {0};
    if (freopen("/dev/null", "w", stderr) == NULL)
        _exit(2);
    alarm(SHRINK_ATTEMPT_S);
    if (history_run(plan, NULL, &failure))
        _exit(0);
    (void)!write(out, failure.check, strlen(failure.check));
    _exit(1);
}

void shrink_try(const struct plan *plan, char check[SHRINK_CHECK_BYTES])
{
    int pipe_ends[2];
    int status = 0;
    memset(check, 0, SHRINK_CHECK_BYTES);
    (void)fflush(NULL); /* or the child would print it once more */
    if (pipe(pipe_ends) != 0)
        abort();
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        close(pipe_ends[0]);
        run_child(plan, pipe_ends[1]);
    }
    close(pipe_ends[1]);
    ssize_t got = read(pipe_ends[0], check, SHRINK_CHECK_BYTES - 1);
    close(pipe_ends[0]);
    (void)waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        (void)snprintf(check, SHRINK_CHECK_BYTES, "%s", SHRINK_ENDLESS);
    else if (got <= 0)
        (void)snprintf(check, SHRINK_CHECK_BYTES, "%s", SHRINK_ABORTED);
}

/* --- the parts ---
 */

/* Keeps the smaller plan if it fails in the same way. */
static bool keep(struct shrinking *shrinking, const struct plan *smaller)
{
    char check[SHRINK_CHECK_BYTES];
    if (shrinking->attempts >= shrinking->most)
        return false;
    shrinking->attempts++;
    shrink_try(smaller, check);
    if (strcmp(check, shrinking->check) != 0)
        return false;
    *shrinking->plan = *smaller;
    return true;
}

static bool drop_faults(struct shrinking *shrinking)
{
    bool dropped = false;
    for (unsigned i = shrinking->plan->fault_count; i > 0; i--) {
        struct plan smaller = *shrinking->plan;
        if (smaller.faults[i - 1].leaves_out)
            continue;
        smaller.faults[i - 1].leaves_out = true;
        dropped |= keep(shrinking, &smaller);
    }
    return dropped;
}

static bool drop_requests(struct shrinking *shrinking)
{
    bool dropped = false;
    for (unsigned i = shrinking->plan->operated ? shrinking->plan->request_count : 0; i > 0; i--) {
        struct plan smaller = *shrinking->plan;
        if (smaller.requests[i - 1].leaves_out)
            continue;
        smaller.requests[i - 1].leaves_out = true;
        dropped |= keep(shrinking, &smaller);
    }
    return dropped;
}

static bool drop_clients(struct shrinking *shrinking)
{
    bool dropped = false;
    for (unsigned i = shrinking->plan->client_count; i > 0; i--) {
        struct plan smaller = *shrinking->plan;
        if (smaller.clients[i - 1].leaves_out)
            continue;
        smaller.clients[i - 1].leaves_out = true;
        dropped |= keep(shrinking, &smaller);
    }
    return dropped;
}

/* Drops ever smaller runs of operations. */
static bool drop_operations(struct shrinking *shrinking, unsigned client)
{
    bool dropped = false;
    for (unsigned run = shrinking->plan->clients[client].operation_count; run > 0; run /= 2) {
        unsigned at = 0;
        while (at + run <= shrinking->plan->clients[client].operation_count) {
            struct plan smaller = *shrinking->plan;
            struct plan_client *from = &smaller.clients[client];
            memmove(from->operations + at, from->operations + at + run,
                    (from->operation_count - at - run) * sizeof from->operations[0]);
            from->operation_count -= run;
            if (keep(shrinking, &smaller))
                dropped = true;
            else
                at += run;
        }
    }
    return dropped;
}

static bool drop_all_operations(struct shrinking *shrinking)
{
    bool dropped = false;
    for (unsigned i = 0; i < shrinking->plan->client_count; i++)
        if (!shrinking->plan->clients[i].leaves_out)
            dropped |= drop_operations(shrinking, i);
    return dropped;
}

typedef bool simplify(struct plan *plan);

static bool without_schemas(struct plan *plan)
{
    bool had = plan->schemas;
    plan->schemas = false;
    return had;
}

static bool without_operator(struct plan *plan)
{
    bool had = plan->operated;
    plan->operated = false;
    return had;
}

static bool without_merging(struct plan *plan)
{
    bool had = plan->merging;
    plan->merging = false;
    return had;
}

static bool without_sharing(struct plan *plan)
{
    bool had = plan->shared && plan->login != PLAN_LOGIN_VERIFIER;
    plan->shared = plan->shared && !had;
    return had;
}

static bool without_login(struct plan *plan)
{
    bool had = plan->login != PLAN_LOGIN_NONE;
    plan->login = PLAN_LOGIN_NONE;
    plan->users = 0;
    for (unsigned i = 0; i < PLAN_CLIENTS_MAX; i++)
        plan->clients[i].user = 0;
    return had;
}

static bool with_one_worker(struct plan *plan)
{
    bool had = plan->workers > 1;
    plan->workers = 1;
    return had;
}

static bool with_one_member(struct plan *plan)
{
    bool had = plan->members > 1;
    plan->members = 1;
    return had;
}

static bool with_one_connection(struct plan *plan)
{
    bool had = false;
    for (unsigned i = 0; i < plan->client_count; i++) {
        had |= plan->clients[i].connections > 1;
        plan->clients[i].connections = 1;
    }
    return had;
}

static bool drop_options(struct shrinking *shrinking)
{
    static simplify *const all[] = {without_operator, without_schemas,    without_merging,
                                    without_sharing,  without_login,      with_one_worker,
                                    with_one_member,  with_one_connection};
    bool dropped = false;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct plan smaller = *shrinking->plan;
        if (all[i](&smaller))
            dropped |= keep(shrinking, &smaller);
    }
    return dropped;
}

unsigned shrink_plan(struct plan *plan, const char *check, unsigned most)
{
    struct shrinking shrinking = {.plan = plan, .check = check, .most = most};
    bool dropped = true;
    while (dropped && shrinking.attempts < most) {
        dropped = drop_clients(&shrinking);
        dropped |= drop_faults(&shrinking);
        dropped |= drop_requests(&shrinking);
        dropped |= drop_options(&shrinking);
        dropped |= drop_all_operations(&shrinking);
    }
    return shrinking.attempts;
}
