#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "world.h"

/* Swarm testing: each history leaves out whole features, so that the others meet more often. */
struct swarm {
    bool operations[PLAN_OPERATION_KINDS];
    bool faults[PLAN_FAULT_KINDS];
    unsigned busy; /* per mille of the steps that follow at once */
};

static const char *const operation_names[PLAN_OPERATION_KINDS] = {
    [PLAN_PING] = "ping",
    [PLAN_INSERT] = "insert",
    [PLAN_INSERT_MANY] = "insert-many",
    [PLAN_INSERT_REFUSED] = "insert-refused",
    [PLAN_INSERT_DUPLICATE] = "insert-duplicate",
    [PLAN_INSERT_UNACKNOWLEDGED] = "insert-unacknowledged",
    [PLAN_INCREMENT] = "increment",
    [PLAN_DELETE] = "delete",
    [PLAN_FIND] = "find",
    [PLAN_CURSOR] = "cursor",
    [PLAN_BULK] = "bulk",
    [PLAN_TRANSACTION] = "transaction",
    [PLAN_WHOAMI] = "whoami",
    [PLAN_CHANGE_STREAM] = "change-stream",
    [PLAN_END_SESSIONS] = "end-sessions",
    [PLAN_DIE] = "die",
};

static const char *const fault_names[PLAN_FAULT_KINDS] = {
    [FAULT_CUT_CLIENT] = "cut-client",
    [FAULT_CUT_UPSTREAM] = "cut-upstream",
    [FAULT_HALF_OPEN] = "half-open",
    [FAULT_PARTITION] = "partition",
    [FAULT_LATENCY] = "latency",
    [FAULT_SLOW_READER] = "slow-reader",
    [FAULT_SERVER_RESTART] = "server-restart",
    [FAULT_STEP_DOWN] = "step-down",
    [FAULT_SLOW_DISK] = "slow-disk",
    [FAULT_PROXY_RESTART] = "proxy-restart",
    [FAULT_PROXY_DRAIN] = "proxy-drain",
    [FAULT_PROXY_PAUSE] = "proxy-pause",
    [FAULT_PROXY_RELOAD] = "proxy-reload",
    [FAULT_CLOCK_JUMP] = "clock-jump",
    [FAULT_MEMORY] = "memory",
    [FAULT_MEMORY_MAX] = "memory-max",
    [FAULT_SCHEMA] = "schema",
    [FAULT_USER] = "user",
    [FAULT_OVERLOAD] = "overload",
    [FAULT_DISK_FULL] = "disk-full",
    [FAULT_LOST_ANSWER] = "lost-answer",
    [FAULT_CLOCK_STAND] = "clock-stand",
    [FAULT_CLOCK_LEAP] = "clock-leap",
    [FAULT_PROXY_SLEEP] = "proxy-sleep",
};

static const char *const page_names[PLAN_PAGE_KINDS] = {
    [PAGE_DASHBOARD] = "dashboard",
    [PAGE_LIVEZ] = "livez",
    [PAGE_READYZ] = "readyz",
    [PAGE_METRICS] = "metrics",
    [PAGE_OPENMETRICS] = "openmetrics",
    [PAGE_STATUS] = "status",
    [PAGE_SAMPLES] = "samples",
    [PAGE_CONNECTIONS] = "connections",
    [PAGE_SOME_CONNECTIONS] = "some-connections",
    [PAGE_POOLS] = "pools",
    [PAGE_CONFIG] = "config",
    [PAGE_SCHEMAS] = "schemas",
    [PAGE_SCHEMA] = "schema",
    [PAGE_UNKNOWN] = "unknown",
    [PAGE_WRONG_METHOD] = "wrong-method",
    [PAGE_WRONG_QUERY] = "wrong-query",
    [PAGE_WRONG_SCHEMA] = "wrong-schema",
    [PAGE_WITHOUT_TOKEN] = "without-token",
};

const char *plan_page_name(enum plan_page page)
{
    return page_names[page];
}

const char *plan_operation_name(enum plan_operation operation)
{
    return operation_names[operation];
}

const char *plan_fault_name(enum plan_fault_kind kind)
{
    return fault_names[kind];
}

static void make_servers(struct stream *stream, struct plan *out)
{
    static const enum plan_topology topologies[] = {
        PLAN_STANDALONE,  PLAN_STANDALONE,  PLAN_REPLICA_SET, PLAN_REPLICA_SET, PLAN_REPLICA_SET,
        PLAN_REPLICA_SET, PLAN_REPLICA_SET, PLAN_REPLICA_SET, PLAN_MONGOS,      PLAN_MONGOS};
    out->server = stream_chance(stream, 350) ? PLAN_SERVER_4_4 : PLAN_SERVER_CURRENT;
    out->topology = topologies[stream_below(stream, 10)];
    out->members = out->topology == PLAN_STANDALONE ? 1
                   : stream_chance(stream, 600)     ? PLAN_MEMBERS_MAX
                                                    : 1 + stream_below(stream, PLAN_MEMBERS_MAX);
}

static void make_options(struct stream *stream, struct plan *out)
{
    out->login = (enum plan_login)stream_below(stream, 3);
    out->users = out->login == PLAN_LOGIN_NONE ? 0 : 1 + stream_below(stream, 3);
    /* The proxy checks logins itself only for clients that share. */
    out->shared = out->login == PLAN_LOGIN_VERIFIER || stream_chance(stream, 500);
    out->merging = stream_chance(stream, 650);
    out->schemas = stream_chance(stream, 500);
    out->workers = stream_chance(stream, 300) ? 2 : 1;
    out->pool_max_size =
        stream_chance(stream, 300) ? 64 : (unsigned)stream_skewed(stream, out->workers, 12);
}

static bool server_can(const struct plan *plan, enum plan_operation kind)
{
    switch (kind) {
    case PLAN_BULK:
        return plan->server == PLAN_SERVER_CURRENT;
    case PLAN_TRANSACTION:
    case PLAN_CHANGE_STREAM:
        return plan->topology != PLAN_STANDALONE;
    case PLAN_INSERT_REFUSED:
        return plan->schemas;
    default:
        return true;
    }
}

/* Chances for a kind to be in a history at all, and its weight there. */
static const struct {
    uint16_t per_mille, weight;
} habits[PLAN_OPERATION_KINDS] = {
    [PLAN_PING] = {300, 4},
    [PLAN_INSERT] = {920, 30},
    [PLAN_INSERT_MANY] = {600, 12},
    [PLAN_INSERT_REFUSED] = {800, 8},
    [PLAN_INSERT_DUPLICATE] = {450, 6},
    [PLAN_INSERT_UNACKNOWLEDGED] = {450, 8},
    [PLAN_INCREMENT] = {500, 10},
    [PLAN_DELETE] = {350, 5},
    [PLAN_FIND] = {600, 8},
    [PLAN_CURSOR] = {450, 5},
    [PLAN_BULK] = {500, 6},
    [PLAN_TRANSACTION] = {450, 6},
    [PLAN_WHOAMI] = {500, 5},
    [PLAN_CHANGE_STREAM] = {250, 3},
    [PLAN_END_SESSIONS] = {250, 2},
    [PLAN_DIE] = {300, 2},
};

/* The kinds of faults that the plan's own stream draws. */
enum { FIRST_KINDS = FAULT_DISK_FULL };

static void make_swarm(struct stream *stream, const struct plan *plan, struct swarm *out)
{
    unsigned kinds = 0;
    for (unsigned i = 0; i < PLAN_OPERATION_KINDS; i++) {
        bool drawn = stream_chance(stream, habits[i].per_mille); /* whatever the server can do */
        out->operations[i] = drawn && server_can(plan, (enum plan_operation)i);
        kinds += out->operations[i];
    }
    if (kinds == 0) {
        out->operations[PLAN_INSERT] = true;
    }
    for (unsigned i = 0; i < FIRST_KINDS; i++) {
        out->faults[i] = stream_chance(stream, 450);
    }
    out->busy = (unsigned)stream_below(stream, 4) * 300;
}

static enum plan_operation draw_operation(struct stream *stream, const struct swarm *swarm)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < PLAN_OPERATION_KINDS; i++) {
        sum += swarm->operations[i] ? habits[i].weight : 0;
    }
    uint32_t drawn = stream_below(stream, sum);
    unsigned kind = 0;
    for (;; kind++) {
        uint32_t weight = swarm->operations[kind] ? habits[kind].weight : 0;
        if (drawn < weight) {
            return (enum plan_operation)kind;
        }
        drawn -= weight;
    }
}

static void make_client(struct stream *stream, const struct plan *plan, const struct swarm *swarm,
                        unsigned operations, struct plan_client *out)
{
    out->user =
        plan->users == 0 || stream_chance(stream, 60) ? 0 : 1 + stream_below(stream, plan->users);
    out->connections = stream_chance(stream, 600) ? 1 : (unsigned)stream_skewed(stream, 1, 5);
    out->retries = stream_chance(stream, 800);
    out->majority = stream_chance(stream, 650);
    out->backpressure = stream_chance(stream, 500);
    out->monitors = stream_chance(stream, 700);
    out->operation_count = (unsigned)stream_skewed(stream, 1, operations);
    for (unsigned i = 0; i < out->operation_count; i++) {
        struct plan_step *step = &out->operations[i];
        step->kind = draw_operation(stream, swarm);
        step->number = i + 1;
        step->pause_us = stream_chance(stream, swarm->busy) ? 0
                         : stream_chance(stream, 40)        ? 500000 + stream_below(stream, 2000000)
                                                     : (uint32_t)stream_skewed(stream, 0, 8000);
    }
}

static enum plan_operation draw_insert(struct stream *stream, const struct plan *plan)
{
    if (plan->server == PLAN_SERVER_4_4 && stream_chance(stream, 300)) {
        return PLAN_INSERT_DUPLICATE; /* its answers to repeated inserts need them */
    }
    static const enum plan_operation kinds[] = {
        PLAN_INSERT,      PLAN_INSERT,        PLAN_INSERT,           PLAN_INSERT,
        PLAN_INSERT,      PLAN_INSERT,        PLAN_INSERT_DUPLICATE, PLAN_INSERT_DUPLICATE,
        PLAN_INSERT_MANY, PLAN_INSERT_REFUSED};
    enum plan_operation kind = kinds[stream_below(stream, sizeof kinds / sizeof kinds[0])];
    return server_can(plan, kind) ? kind : PLAN_INSERT;
}

static void crowd_client(struct stream *stream, const struct plan *plan, struct plan_client *client)
{
    const struct plan_client *first = &plan->clients[0];
    if (stream_chance(stream, 850)) {
        client->user = first->user;
    }
    if (stream_chance(stream, 850)) {
        client->majority = first->majority;
    }
    client->connections = 2 + stream_below(stream, 4);
    unsigned count = 6 + stream_below(stream, 10);
    for (unsigned i = 0; i < count; i++) {
        struct plan_step *step = &client->operations[i];
        if (i >= client->operation_count || stream_chance(stream, 750)) {
            step->kind = draw_insert(stream, plan);
            step->pause_us = stream_chance(stream, 700) ? 0 : stream_below(stream, 400);
        }
        step->number = i + 1;
    }
    client->operation_count = count > client->operation_count ? count : client->operation_count;
}

/* Inserts are merged only where many of one kind meet: in some plans all clients insert at once. */
static bool make_crowd(uint64_t seed, struct plan *out)
{
    struct stream stream = stream_make(seed, "plan", 2);
    if (!out->merging || !stream_chance(&stream, 500)) {
        return false;
    }
    unsigned wanted = 3 + stream_below(&stream, 5);
    out->clients[0].majority = stream_chance(&stream, 800);
    while (out->client_count < wanted) {
        out->clients[out->client_count] = out->clients[stream_below(&stream, out->client_count)];
        out->client_count++;
    }
    for (unsigned i = 0; i < out->client_count; i++) {
        crowd_client(&stream, out, &out->clients[i]);
    }
    return true;
}

/* The time in which operations run, as far as a plan can tell. */
static int64_t estimate_us(const struct plan *plan)
{
    int64_t longest = 0;
    for (unsigned i = 0; i < plan->client_count; i++) {
        const struct plan_client *client = &plan->clients[i];
        int64_t sum = 5000;
        for (unsigned k = 0; k < client->operation_count; k++) {
            sum += 1500 + client->operations[k].pause_us;
        }
        sum /= client->connections;
        longest = sum > longest ? sum : longest;
    }
    return longest;
}

static bool plan_allows(const struct plan *plan, enum plan_fault_kind kind)
{
    switch (kind) {
    case FAULT_STEP_DOWN:
        return plan->topology != PLAN_STANDALONE;
    case FAULT_SCHEMA:
        return plan->schemas;
    case FAULT_USER:
        return plan->users > 0;
    case FAULT_OVERLOAD:
        return plan->server == PLAN_SERVER_CURRENT;
    default:
        return true;
    }
}

static void draw_times(struct stream *stream, int64_t span, struct plan_fault *fault)
{
    uint64_t drawn = stream_next(stream);
    fault->at_us = span <= 0 ? 0 : (int64_t)(drawn % (uint64_t)(span + span / 4));
    /* One of: shorter than a round trip, of a few of them, longer than timeouts of the proxy.
     */
    fault->lasts_us = stream_chance(stream, 400)   ? stream_below(stream, 3000)
                      : stream_chance(stream, 700) ? stream_below(stream, 100000)
                                                   : stream_below(stream, 8000000);
    fault->which = (uint32_t)stream_next(stream);
    fault->amount = (uint32_t)stream_skewed(stream, 0, 6000);
}

static void make_faults(struct stream *stream, const struct swarm *swarm, struct plan *out)
{
    unsigned possible[PLAN_FAULT_KINDS];
    unsigned count = 0;
    for (unsigned i = 0; i < FIRST_KINDS; i++) {
        if (swarm->faults[i] && plan_allows(out, (enum plan_fault_kind)i)) {
            possible[count++] = i;
        }
    }
    if (count == 0 || stream_chance(stream, 300)) {
        return;
    }
    out->fault_count = (unsigned)stream_skewed(stream, 1, 6);
    int64_t span = estimate_us(out);
    for (unsigned i = 0; i < out->fault_count; i++) {
        struct plan_fault *fault = &out->faults[i];
        fault->kind = (enum plan_fault_kind)possible[stream_below(stream, count)];
        draw_times(stream, span, fault);
    }
}

/* Kinds that came later have a stream of their own, so that the plans of older seeds stay. */
static void make_later_faults(uint64_t seed, struct plan *out)
{
    struct stream stream = stream_make(seed, "plan", 1);
    if (out->fault_count == PLAN_FAULTS_MAX || !stream_chance(&stream, 100)) {
        return;
    }
    struct plan_fault *fault = &out->faults[out->fault_count++];
    fault->kind = stream_chance(&stream, 500) ? FAULT_LOST_ANSWER : FAULT_DISK_FULL;
    draw_times(&stream, estimate_us(out), fault);
}

/* Batches that ran are sent again. */
static void cut_crowd(uint64_t seed, struct plan *out)
{
    struct stream stream = stream_make(seed, "plan", 3);
    if (out->fault_count == PLAN_FAULTS_MAX || !stream_chance(&stream, 500)) {
        return;
    }
    struct plan_fault *fault = &out->faults[out->fault_count++];
    draw_times(&stream, estimate_us(out), fault);
    fault->kind = FAULT_LOST_ANSWER;
    fault->at_us = 1000 + stream_skewed(&stream, 0, 30000);
    fault->lasts_us = 1000 + stream_below(&stream, 60000);
    fault->amount = stream_below(&stream, 400);
}

/* Schemas change while many write. */
static void change_schemas(uint64_t seed, struct plan *out)
{
    struct stream stream = stream_make(seed, "plan", 4);
    if (!out->schemas || !stream_chance(&stream, 250)) {
        return;
    }
    for (unsigned more = 1 + stream_below(&stream, 4); more > 0; more--) {
        if (out->fault_count == PLAN_FAULTS_MAX) {
            return;
        }
        struct plan_fault *fault = &out->faults[out->fault_count++];
        draw_times(&stream, estimate_us(out), fault);
        fault->kind = FAULT_SCHEMA;
        fault->lasts_us = 0;
        fault->amount = stream_below(&stream, 6000);
    }
}

/* The proxy's clock does not go on evenly. */
static void change_clock(uint64_t seed, struct plan *out)
{
    static const enum plan_fault_kind kinds[] = {FAULT_CLOCK_STAND, FAULT_CLOCK_LEAP,
                                                 FAULT_PROXY_SLEEP};
    struct stream stream = stream_make(seed, "plan", 5);
    if (!stream_chance(&stream, 150)) {
        return;
    }
    for (unsigned more = 1 + stream_below(&stream, 3); more > 0; more--) {
        if (out->fault_count == PLAN_FAULTS_MAX) {
            return;
        }
        struct plan_fault *fault = &out->faults[out->fault_count++];
        draw_times(&stream, estimate_us(out), fault);
        fault->kind = kinds[stream_below(&stream, 3)];
    }
}

/* An operator looks at the proxy, and commands it by its admin endpoint. */
static void make_operator(uint64_t seed, struct plan *out)
{
    struct stream stream = stream_make(seed, "plan", 6);
    out->operated = stream_chance(&stream, 400);
    out->has_token = stream_chance(&stream, 500);
    if (!out->operated) {
        return;
    }
    int64_t span = estimate_us(out) * 5 / 4 + 1;
    out->request_count = (unsigned)stream_skewed(&stream, 1, PLAN_REQUESTS_MAX);
    for (unsigned i = 0; i < out->request_count; i++) {
        struct plan_request *request = &out->requests[i];
        request->page = (enum plan_page)stream_below(&stream, PLAN_PAGE_KINDS);
        request->at_us = (int64_t)(stream_next(&stream) % (uint64_t)span);
    }
}

int64_t plan_leap_us(const struct plan_fault *fault)
{
    switch (fault->kind) {
    case FAULT_CLOCK_LEAP:
        return 1000000 + fault->amount * INT64_C(10000);
    case FAULT_CLOCK_STAND:
        return plan_clock_catches_up(fault) ? fault->lasts_us : 0;
    case FAULT_PROXY_SLEEP:
        return fault->lasts_us;
    default:
        return 0;
    }
}

int64_t plan_leaps_us(const struct plan *plan)
{
    int64_t sum_us = 0;
    for (unsigned i = 0; i < plan->fault_count; i++) {
        sum_us += plan->faults[i].leaves_out ? 0 : plan_leap_us(&plan->faults[i]);
    }
    return sum_us;
}

bool plan_has_fault(const struct plan *plan, enum plan_fault_kind kind)
{
    for (unsigned i = 0; i < plan->fault_count; i++) {
        if (plan->faults[i].kind == kind && !plan->faults[i].leaves_out) {
            return true;
        }
    }
    return false;
}

/* Meanwhile writes take long, and clients break off and retry: their retries wait for the first
 * try, and what follows a w:0 write on its connection waits, too. */
static void retry_meanwhile(uint64_t seed, const struct plan_fault *meanwhile, struct plan *out)
{
    struct stream stream = stream_make(seed, "plan", 8);
    if (!stream_chance(&stream, 500)) {
        return;
    }
    unsigned cuts = 2 + stream_below(&stream, 4);
    for (unsigned i = 0; i < out->members + cuts && out->fault_count < PLAN_FAULTS_MAX; i++) {
        struct plan_fault *fault = &out->faults[out->fault_count++];
        *fault = *meanwhile;
        if (i < out->members) {
            fault->kind = FAULT_SLOW_DISK;
            fault->which = i;
            fault->amount = 10000 + stream_below(&stream, 150000);
        } else {
            fault->kind = FAULT_CUT_CLIENT;
            fault->at_us += stream_below(&stream, 400000);
            fault->which = (uint32_t)stream_next(&stream);
            fault->amount = stream_below(&stream, 100);
        }
    }
}

/* Many answers are lost, for so long that the answer to the second sending of a batch is lost, too,
 * while retries wait for it. Some of these retries follow a w:0 write. */
static void cut_crowd_for_long(uint64_t seed, struct plan *out)
{
    struct stream stream = stream_make(seed, "plan", 7);
    if (out->fault_count == PLAN_FAULTS_MAX || !stream_chance(&stream, 400)) {
        return;
    }
    out->shared |= stream_chance(&stream, 700); /* there a w:0 write has consequences */
    struct plan_fault *fault = &out->faults[out->fault_count++];
    draw_times(&stream, estimate_us(out), fault);
    fault->kind = FAULT_LOST_ANSWER;
    fault->at_us = stream_below(&stream, 10000);
    fault->lasts_us = 500000 + stream_below(&stream, 4000000);
    fault->amount = 300 + stream_below(&stream, 100);
    for (unsigned i = 0; i < out->client_count; i++) {
        out->clients[i].whispers = stream_chance(&stream, 800);
    }
    retry_meanwhile(seed, fault, out);
}

void plan_make(uint64_t seed, struct plan *out)
{
    struct stream stream = stream_make(seed, "plan", 0);
    memset(out, 0, sizeof *out);
    out->seed = seed;
    make_servers(&stream, out);
    make_options(&stream, out);
    struct swarm swarm;
    make_swarm(&stream, out, &swarm);
    bool large = stream_chance(&stream, 30);
    out->client_count = large ? 4 + stream_below(&stream, PLAN_CLIENTS_MAX - 3)
                              : (unsigned)stream_skewed(&stream, 1, 6);
    unsigned operations = large ? PLAN_OPERATIONS_MAX : 10;
    for (unsigned i = 0; i < out->client_count; i++) {
        make_client(&stream, out, &swarm, operations, &out->clients[i]);
    }
    bool is_crowd = make_crowd(seed, out);
    make_faults(&stream, &swarm, out);
    make_later_faults(seed, out);
    if (is_crowd) {
        cut_crowd(seed, out);
    }
    change_schemas(seed, out);
    change_clock(seed, out);
    make_operator(seed, out);
    if (is_crowd) {
        cut_crowd_for_long(seed, out);
    }
}

static void print_client(FILE *out, const struct plan_client *client, unsigned number)
{
    fprintf(out, "client %u%s: ", number, client->leaves_out ? " (left out)" : "");
    if (client->user > 0) {
        fprintf(out, "user%u", client->user);
    } else {
        fprintf(out, "no login");
    }
    fprintf(out, ", %u connection%s%s%s%s%s%s\n", client->connections,
            client->connections == 1 ? "" : "s", client->retries ? ", retries" : ", no retries",
            client->majority ? ", w majority" : ", w 1",
            client->backpressure ? ", backpressure" : "",
            client->monitors ? ", awaits hello" : ", polls hello",
            client->whispers ? ", whispers" : "");
    for (unsigned i = 0; i < client->operation_count; i++) {
        const struct plan_step *step = &client->operations[i];
        fprintf(out, "  %u: %s after %u us\n", step->number, plan_operation_name(step->kind),
                step->pause_us);
    }
}

void plan_print(const struct plan *plan, void *file)
{
    static const char *const servers[] = {"4.4", "current"};
    static const char *const topologies[] = {"standalone", "replica set", "mongos"};
    static const char *const logins[] = {"no logins", "logins at the server",
                                         "logins checked by the proxy"};
    FILE *out = file;
    fprintf(out, "seed %llu: server %s, %s of %u, %s, %u users\n", (unsigned long long)plan->seed,
            servers[plan->server], topologies[plan->topology], plan->members, logins[plan->login],
            plan->users);
    if (plan->direct) {
        fprintf(out, "without the proxy%s\n", plan->schemas ? ", schemas at the servers" : "");
    } else {
        fprintf(out, "proxy: %s%s%s, %u worker%s, pool of %u\n",
                plan->shared ? "shared" : "session", plan->merging ? ", merging" : "",
                plan->schemas ? ", schemas" : "", plan->workers, plan->workers == 1 ? "" : "s",
                plan->pool_max_size);
    }
    for (unsigned i = 0; i < plan->client_count; i++) {
        print_client(out, &plan->clients[i], i + 1);
    }
    for (unsigned i = 0; i < plan->fault_count; i++) {
        const struct plan_fault *fault = &plan->faults[i];
        fprintf(out, "fault %u%s: %s at %lld us for %lld us, target %u, amount %u\n", i + 1,
                fault->leaves_out ? " (left out)" : "", plan_fault_name(fault->kind),
                (long long)fault->at_us, (long long)fault->lasts_us, fault->which, fault->amount);
    }
    if (plan->operated) {
        fprintf(out, "operator%s:\n", plan->has_token ? " with a token" : "");
    }
    for (unsigned i = 0; i < plan->request_count && plan->operated; i++) {
        const struct plan_request *request = &plan->requests[i];
        fprintf(out, "  %s at %lld us%s\n", plan_page_name(request->page),
                (long long)request->at_us, request->leaves_out ? " (left out)" : "");
    }
}
