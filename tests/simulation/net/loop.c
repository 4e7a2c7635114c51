/* The functions of libevent that the rooms use, on the queue of the world. A turn serves each ready
 * event once, as libevent does: descriptors first, then timers, then what callbacks activate. */
#include "process.h"

#include <stdlib.h>
#include <string.h>

#include "world_internal.h"

enum { ADDED = 1, ACTIVE = 2, TIMED = 4 };

static struct event *event_of(struct event_callback *callback)
{
    return (struct event *)callback; /* its first member */
}

/* The world's timer of an event, in a field that libevent uses for its heap. */
static struct timer **timer_of(struct event *event)
{
    return (struct timer **)&event->ev_timeout_pos.ev_next_with_common_timeout.tqe_next;
}

/* --- the loop --- */

static void run_turn(void *arg)
{
    struct event_base *base = arg;
    base->turn = NULL;
    loop_turn(base);
}

/* How long the thread takes to wake up: it may have lost its CPU. */
static int64_t draw_delay(struct event_base *base)
{
    uint32_t drawn = stream_below(&base->stream, 100);
    uint32_t most = drawn < 70 ? 10 : drawn < 97 ? 100 : 3000;
    return 1 + stream_below(&base->stream, most);
}

void loop_wake(struct event_base *base)
{
    struct world *world = the_process->world;
    if (!base->runs || base->in_turn || base->turn != NULL)
        return;
    int64_t busy_us = base->busy_until_us - world_now_us(world);
    base->turn = world_after(world, (busy_us > 0 ? busy_us : 0) + draw_delay(base), run_turn, base);
}

static void activate(struct event *event, short what)
{
    if ((event->ev_evcallback.evcb_flags & ACTIVE) != 0) {
        event->ev_res |= what;
        return;
    }
    event->ev_res = what;
    event->ev_evcallback.evcb_flags |= ACTIVE;
    TAILQ_INSERT_TAIL(&event->ev_base->active, &event->ev_evcallback, evcb_active_next);
    loop_wake(event->ev_base);
}

static void activate_ready(struct event_base *base)
{
    struct active_list due = TAILQ_HEAD_INITIALIZER(due);
    TAILQ_CONCAT(&due, &base->active, evcb_active_next);
    bool jobs_first = base->job_waits && stream_chance(&base->stream, 500);
    if (jobs_first)
        worker_take_jobs(base->worker);
    struct descriptor *descriptor = NULL;
    TAILQ_FOREACH(descriptor, &base->ready, ready)
    {
        if (descriptor->reader != NULL && descriptor_is_readable(descriptor))
            activate(descriptor->reader, EV_READ);
        if (descriptor->writer != NULL && descriptor_is_writable(descriptor))
            activate(descriptor->writer, EV_WRITE);
    }
    if (base->job_waits && !jobs_first)
        worker_take_jobs(base->worker);
    TAILQ_CONCAT(&base->active, &due, evcb_active_next);
}

void loop_turn(struct event_base *base)
{
    struct world *world = the_process->world;
    base->in_turn = true;
    process_clock_begin_turn();
    activate_ready(base);
    while (!TAILQ_EMPTY(&base->active)) {
        struct event *event = event_of(TAILQ_FIRST(&base->active));
        if ((event->ev_events & EV_PERSIST) == 0) {
            (void)event_del(event);
        } else {
            TAILQ_REMOVE(&base->active, &event->ev_evcallback, evcb_active_next);
            event->ev_evcallback.evcb_flags &= ~ACTIVE;
        }
        event->ev_evcallback.evcb_cb_union.evcb_callback(event->ev_fd, event->ev_res,
                                                         event->ev_evcallback.evcb_arg);
    }
    bool again = base->worker != NULL && worker_turn_ends(base->worker);
    base->busy_until_us = world_now_us(world) + process_clock_end_turn();
    base->in_turn = false;
    if (again || base->job_waits || !TAILQ_EMPTY(&base->ready) || !TAILQ_EMPTY(&base->active))
        loop_wake(base);
}

/* Within a turn of another loop, so the costs of both turns are one after the other. */
void loops_serve_jobs(void)
{
    struct process *process = the_process;
    int64_t turn_us = process->turn_cost_us;
    int64_t call_us = process->call_cost_us;
    struct event_base *base = NULL;
    LIST_FOREACH(base, &process->bases, next)
    {
        if (base->runs && base->job_waits && !base->in_turn)
            loop_turn(base);
    }
    process->turn_cost_us = turn_us;
    process->call_cost_us = call_us;
}

void loop_init(struct event_base *base, const char *name, struct worker *worker)
{
    *base = (struct event_base){.worker = worker};
    (void)snprintf(base->name, sizeof base->name, "%s", name);
    TAILQ_INIT(&base->ready);
    TAILQ_INIT(&base->active);
    base->stream = stream_make(world_seed(the_process->world), name, the_process->number);
    LIST_INSERT_HEAD(&the_process->bases, base, next);
}

void loop_release(struct event_base *base)
{
    world_cancel(the_process->world, base->turn);
    base->turn = NULL;
    base->runs = false;
    LIST_REMOVE(base, next);
}

void loops_suspend(int64_t lasts_us)
{
    struct world *world = the_process->world;
    struct event_base *base = NULL;
    LIST_FOREACH(base, &the_process->bases, next)
    {
        base->busy_until_us = world_now_us(world) + lasts_us;
        if (base->turn == NULL)
            continue;
        world_cancel(world, base->turn);
        base->turn = NULL;
        loop_wake(base);
    }
}

/* --- events --- */

int event_assign(struct event *event, struct event_base *base, evutil_socket_t fd, short events,
                 event_callback_fn callback, void *arg)
{
    memset(event, 0, sizeof *event);
    event->ev_base = base;
    event->ev_fd = fd;
    event->ev_events = events;
    event->ev_evcallback.evcb_cb_union.evcb_callback = callback;
    event->ev_evcallback.evcb_arg = arg;
    return 0;
}

struct event *event_new(struct event_base *base, evutil_socket_t fd, short events,
                        event_callback_fn callback, void *arg)
{
    struct event *event = simulation_alloc(sizeof *event);
    (void)event_assign(event, base, fd, events, callback, arg);
    return event;
}

static void timed_out(void *arg);

static void start_timer(struct event *event, const struct timeval *wait)
{
    int64_t us = (int64_t)wait->tv_sec * 1000000 + wait->tv_usec;
    event->ev_timeout = *wait;
    event->ev_evcallback.evcb_flags |= TIMED;
    *timer_of(event) = world_after(the_process->world, process_clock_wait(us), timed_out, event);
    LIST_INSERT_HEAD(&the_process->timed, event, ev_.ev_io.ev_io_next);
}

static void stop_timer(struct event *event)
{
    if ((event->ev_evcallback.evcb_flags & TIMED) != 0) {
        world_cancel(the_process->world, *timer_of(event));
        LIST_REMOVE(event, ev_.ev_io.ev_io_next);
    }
    event->ev_evcallback.evcb_flags &= ~TIMED;
}

static void timed_out(void *arg)
{
    struct event *event = arg;
    event->ev_evcallback.evcb_flags &= ~TIMED;
    LIST_REMOVE(event, ev_.ev_io.ev_io_next);
    if ((event->ev_events & EV_PERSIST) != 0)
        start_timer(event, &event->ev_timeout);
    activate(event, EV_TIMEOUT);
}

void loops_move_timers(int64_t later_us, int64_t earliest_us)
{
    struct world *world = the_process->world;
    struct event *event = NULL;
    LIST_FOREACH(event, &the_process->timed, ev_.ev_io.ev_io_next)
    {
        int64_t at_us = world_timer_us(world, *timer_of(event)) + later_us;
        at_us = at_us > earliest_us ? at_us : earliest_us;
        world_cancel(world, *timer_of(event));
        *timer_of(event) = world_after(world, at_us - world_now_us(world), timed_out, event);
    }
}

static void watch(struct event *event, bool add)
{
    struct descriptor *descriptor = event->ev_fd >= 0 ? descriptor_find(event->ev_fd) : NULL;
    if (descriptor == NULL)
        return;
    if ((event->ev_events & EV_READ) != 0 && (add || descriptor->reader == event))
        descriptor->reader = add ? event : NULL;
    if ((event->ev_events & EV_WRITE) != 0 && (add || descriptor->writer == event))
        descriptor->writer = add ? event : NULL;
    descriptor_look(descriptor);
}

int event_add(struct event *event, const struct timeval *timeout)
{
    if ((event->ev_evcallback.evcb_flags & ADDED) == 0 &&
        (event->ev_events & (EV_READ | EV_WRITE)) != 0)
        watch(event, true);
    event->ev_evcallback.evcb_flags |= ADDED;
    if (timeout != NULL) {
        stop_timer(event);
        start_timer(event, timeout);
    }
    return 0;
}

int event_del(struct event *event)
{
    if (event->ev_base == NULL)
        return -1; /* never assigned */
    stop_timer(event);
    if ((event->ev_evcallback.evcb_flags & ACTIVE) != 0)
        TAILQ_REMOVE(&event->ev_base->active, &event->ev_evcallback, evcb_active_next);
    if ((event->ev_evcallback.evcb_flags & ADDED) != 0)
        watch(event, false);
    event->ev_evcallback.evcb_flags = 0;
    return 0;
}

void event_free(struct event *event)
{
    (void)event_del(event);
    free(event);
}

void event_active(struct event *event, int what, short calls)
{
    (void)calls;
    activate(event, (short)what);
}
