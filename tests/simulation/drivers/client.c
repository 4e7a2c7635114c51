#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers.h"

void client_trace(const struct client *client, const char *format, ...)
{
    if (!world_traces(client->world)) {
        return;
    }
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    world_trace(client->world, client->actor, "%s", text);
}

void client_changed(struct client *client)
{
    for (unsigned i = 0; i < client->waiter_count; i++) {
        fiber_wake(client->waiters[i]);
    }
}

bool client_wait(struct client *client, int64_t until_us, bool *late)
{
    int64_t left = until_us - world_now_us(client->world);
    struct fiber *self = fiber_self();
    if (left <= 0) {
        *late = true;
        return false;
    }
    assert(client->waiter_count < CLIENT_WAITERS_MAX);
    client->waiters[client->waiter_count++] = self;
    bool goes_on = fiber_wait(left);
    for (unsigned i = 0; i < client->waiter_count; i++) {
        if (client->waiters[i] == self) {
            client->waiters[i] = client->waiters[--client->waiter_count];
            break;
        }
    }
    return goes_on;
}

/* The steps of a thread: every n-th of the plan. A thread goes on with the next one after the
 * client's revival. */
static void run_thread(void *arg)
{
    struct thread *thread = arg;
    struct client *client = thread->client;
    const struct plan_client *what = client->what;
    while (client->alive && thread->next < what->operation_count) {
        const struct plan_step *step = &what->operations[thread->next++];
        if (step->number % what->connections != thread->index) {
            continue;
        }
        if (step->pause_us > 0 && !fiber_wait(step->pause_us)) {
            break;
        }
        struct operation operation = {
            .client = client,
            .step = step,
            .stream = stream_make(client->plan->seed, "operation",
                                  (uint64_t)client->index << 32 | step->number)};
        thread->step = step;
        thread->step_begun_us = world_now_us(client->world);
        client_trace(client, "begins %u: %s", step->number, plan_operation_name(step->kind));
        step_run(&operation);
        client_trace(client, "has ended %u", step->number);
        thread->step = NULL;
    }
    thread->fiber = NULL;
    if (client->alive && thread->next >= what->operation_count) {
        thread->ended = true;
        drivers_thread_ended(client);
    }
}

void client_begin(struct client *client)
{
    client->alive = true;
    client->wants_death = false;
    client->next_id = (int32_t)stream_below(&client->stream, 1000000);
    topology_begin(client);
    for (unsigned i = 0; i < client->what->connections; i++) {
        struct thread *thread = &client->threads[i];
        thread->client = client;
        thread->index = i;
        if (!thread->ended) {
            thread->fiber = fiber_start(client->world, run_thread, thread);
        }
    }
}

static void stop_fibers(struct client *client)
{
    for (unsigned i = 0; i < client->what->connections; i++) {
        struct fiber *fiber = client->threads[i].fiber;
        if (fiber != NULL) {
            fiber_cancel(fiber);
        }
    }
    for (unsigned i = 0; i < client->server_count; i++) {
        if (client->servers[i].monitor != NULL) {
            fiber_cancel(client->servers[i].monitor);
        }
    }
}

void client_vanish(struct client *client, bool reset)
{
    client->alive = false;
    for (struct connection *at = client->connections; at != NULL; at = at->next_of_client) {
        if (at->end != NULL) {
            (reset ? end_reset : end_close)(at->end);
            at->end = NULL;
        }
    }
    stop_fibers(client);
    for (unsigned i = 0; i < client->server_count; i++) {
        pool_clear(&client->servers[i]);
    }
    while (client->connections != NULL) {
        client_connection_close(client->connections, false);
    }
    session_free_all(client);
    bson_destroy(client->cluster_time);
    client->cluster_time = NULL;
}

static void on_revival(void *arg)
{
    struct client *client = arg;
    client->revival = NULL;
    client_trace(client, "comes back");
    client_begin(client);
}

static void on_death(void *arg)
{
    struct client *client = arg;
    bool reset = stream_chance(&client->stream, 500);
    client_trace(client, "vanishes: its connections are %s", reset ? "reset" : "closed");
    client_vanish(client, reset);
    client->revival =
        world_after(client->world, stream_skewed(&client->stream, 100, 200000), on_revival, client);
}

void client_die_soon(struct client *client)
{
    if (client->wants_death) {
        return;
    }
    client->wants_death = true;
    client->revival =
        world_after(client->world, stream_skewed(&client->stream, 0, 2000), on_death, client);
}
