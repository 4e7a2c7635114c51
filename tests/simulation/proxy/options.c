/* The configuration of the simulated proxy. */
#include <stdio.h>

#include "application.h"
#include "parts.h"

static void add_upstream(const struct plan *plan, struct text *out)
{
    bool account = plan->login == PLAN_LOGIN_VERIFIER;
    text_format(out, "upstream: mongodb://%s", account ? "account:" ACCOUNT_PASSWORD "@" : "");
    if (plan->topology == PLAN_MONGOS)
        text_add(out, "s:27017/\n");
    else if (plan->topology == PLAN_STANDALONE)
        text_add(out, "a:27017/\n");
    else
        text_format(out, "%s/?replicaSet=rs\n",
                    plan->members == 1   ? "a:27017"
                    : plan->members == 2 ? "a:27017,b:27017"
                                         : "a:27017,b:27017,c:27017");
}

static uint32_t below(struct stream *stream, uint32_t from, uint32_t to)
{
    return (uint32_t)stream_skewed(stream, from, to);
}

static void add_pool(const struct plan *plan, struct stream *stream, struct text *out)
{
    text_format(out, "pool:\n  mode: %s\n  max_size: %u\n", plan->shared ? "shared" : "session",
                plan->pool_max_size);
    /* the last connection of a pool stays, and each worker has pools of its own: of each user and
     * of nobody, with backpressure and without */
    unsigned pools = 2 * (plan->users + 1);
    text_format(out, "  max_total: %u\n", (pools + 2) * plan->workers + below(stream, 4, 60));
    if (plan_is_tight(plan))
        text_format(out, "  wait_timeout_ms: %u\n", below(stream, 100, 5000));
    if (stream_chance(stream, 300))
        text_format(out, "  idle_timeout_ms: %u\n", below(stream, 100, 5000));
    if (stream_chance(stream, 300))
        text_format(out, "  max_lifetime_ms: %u\n", below(stream, 65536, 200000));
    if (stream_chance(stream, 300))
        text_format(out, "  min_idle: %u\n", below(stream, 1, 2));
    if (stream_chance(stream, 500))
        text_format(out, "  cancel_grace_ms: %u\n", below(stream, 10, 5000));
    if (stream_chance(stream, 300))
        text_format(out, "  login_concurrency: %u\n", below(stream, 1, 8));
}

static void add_merge(const struct plan *plan, struct stream *stream, struct text *out)
{
    text_format(out, "merge:\n  enabled: %s\n", plan->merging ? "true" : "false");
    if (stream_chance(stream, 400))
        text_format(out, "  max_docs: %u\n", below(stream, 2, 100));
    if (stream_chance(stream, 400))
        text_format(out, "  max_in_flight: %u\n", below(stream, 1, 4));
    if (stream_chance(stream, 400))
        text_format(out, "  linger_us: %u\n", below(stream, 1, 5000));
    if (stream_chance(stream, 300))
        text_format(out, "  stalled_after_ms: %u\n", below(stream, 1, 3000));
    if (stream_chance(stream, 200))
        text_format(out, "  max_waiters: %u\n  on_cap: %s\n", below(stream, 1, 20),
                    plan_is_tight(plan) ? "reject" : "passthrough");
    if (stream_chance(stream, 200))
        text_format(out, "  retry_table_bytes: %u\n", below(stream, 65536, 200000));
}

void options_write(const struct plan *plan, uint32_t number, struct text *out)
{
    struct stream stream = stream_make(plan->seed, "options", number);
    add_upstream(plan, out);
    text_format(out, "listen: \"0.0.0.0:27017\"\nlisten_port_count: %u\nthreads: %u\n", 4,
                plan->workers);
    text_format(out, "connect_timeout_ms: %u\n",
                plan_is_tight(plan) ? below(&stream, 1000, 10000) : 10000);
    text_format(out, "query_wait_timeout_ms: %u\n",
                plan_is_tight(plan) ? below(&stream, 100, 3000) : 300000);
    text_format(out, "drain_timeout_ms: %u\n", below(&stream, 1000, 20000));
    text_format(out, "stats_period_ms: 0\nmemory_max: 64MiB\nmax_message_bytes: 48000000\n");
    if (plan->operated)
        text_format(out, "admin:\n  listen: 127.0.0.1:9900\n  write: true\n%s",
                    plan->has_token ? "  token_file: " TOKEN_FILE "\n" : "");
    if (plan->schemas)
        text_add(out, "schemas: " SCHEMAS_FOLDER "\n");
    if (plan->login == PLAN_LOGIN_VERIFIER)
        text_format(out, "auth:\n  verifiers: %s\n",
                    plan->seed % 2 == 0 ? "upstream" : "/simulated/verifiers.json");
    add_pool(plan, &stream, out);
    add_merge(plan, &stream, out);
}
