#include "world_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct timer {
    void (*run)(void *arg);
    void *arg;
    size_t at;          /* in the heap */
    struct timer *next; /* of the free ones */
};

void *simulation_resize(void *block, size_t bytes)
{
    void *grown = realloc(block, bytes == 0 ? 1 : bytes);
    if (grown == NULL) {
        (void)fputs("simulate: out of memory\n", stderr);
        abort();
    }
    return grown;
}

void *simulation_alloc(size_t bytes)
{
    return memset(simulation_resize(NULL, bytes), 0, bytes);
}

/* The wall clock at the start of each history: in the year 2026. */
static const int64_t WALL_CLOCK_US = INT64_C(1780000000) * 1000000;

struct world *world_create(uint64_t seed, void *trace)
{
    struct world *world = simulation_alloc(sizeof *world);
    world->seed = seed;
    world->trace = trace;
    world->wall_us = WALL_CLOCK_US;
    network_begin(world);
    return world;
}

void world_destroy(struct world *world)
{
    network_end(world);
    for (size_t i = 0; i < world->heap_count; i++)
        free(world->heap[i].timer);
    while (world->free_timers != NULL) {
        struct timer *timer = world->free_timers;
        world->free_timers = timer->next;
        free(timer);
    }
    free(world->heap);
    free(world->in_force);
    free(world);
}

uint64_t world_seed(const struct world *world)
{
    return world->seed;
}

int64_t world_now_us(const struct world *world)
{
    return world->now_us;
}

int64_t world_wall_us(const struct world *world)
{
    return world->wall_us + world->now_us;
}

void world_jump_wall_clock(struct world *world, int64_t by_us)
{
    world_trace(world, "fault", "the wall clock jumps by %lld ms", (long long)by_us / 1000);
    world->wall_us += by_us;
}

uint64_t world_hash(const struct world *world)
{
    return world->hash;
}

uint64_t world_event_count(const struct world *world)
{
    return world->event_count;
}

void world_mix(struct world *world, uint64_t value)
{
    uint64_t hash = (world->hash ^ value) * 0x9E3779B97F4A7C15U;
    world->hash = hash ^ hash >> 29;
}

/* --- the queue of events ---------------------------------------------------------------------- */

static bool is_before(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void put(struct world *world, size_t at, struct heap_entry entry)
{
    world->heap[at] = entry;
    entry.timer->at = at;
}

static void sift_up(struct world *world, size_t at, struct heap_entry entry)
{
    for (; at > 0 && is_before(&entry, &world->heap[(at - 1) / 2]); at = (at - 1) / 2)
        put(world, at, world->heap[(at - 1) / 2]);
    put(world, at, entry);
}

static void sift_down(struct world *world, size_t at, struct heap_entry entry)
{
    for (size_t child; (child = 2 * at + 1) < world->heap_count; at = child) {
        if (child + 1 < world->heap_count &&
            is_before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!is_before(&world->heap[child], &entry))
            break;
        put(world, at, world->heap[child]);
    }
    put(world, at, entry);
}

static void take_out(struct world *world, size_t at)
{
    struct heap_entry last = world->heap[--world->heap_count];
    if (at == world->heap_count)
        return;
    if (at > 0 && is_before(&last, &world->heap[(at - 1) / 2]))
        sift_up(world, at, last);
    else
        sift_down(world, at, last);
}

struct timer *world_after(struct world *world, int64_t delay_us, void (*run)(void *arg), void *arg)
{
    struct timer *timer = world->free_timers;
    if (timer != NULL)
        world->free_timers = timer->next;
    else
        timer = simulation_alloc(sizeof *timer);
    *timer = (struct timer){.run = run, .arg = arg};
    if (world->heap_count == world->heap_capacity) {
        world->heap_capacity = world->heap_capacity == 0 ? 256 : world->heap_capacity * 2;
        world->heap = simulation_resize(world->heap, world->heap_capacity * sizeof *world->heap);
    }
    struct heap_entry entry = {.at_us = world->now_us + (delay_us > 0 ? delay_us : 0),
                               .number = ++world->timer_count,
                               .timer = timer};
    sift_up(world, world->heap_count++, entry);
    return timer;
}

static void free_timer(struct world *world, struct timer *timer)
{
    timer->next = world->free_timers;
    world->free_timers = timer;
}

int64_t world_timer_us(const struct world *world, const struct timer *timer)
{
    return world->heap[timer->at].at_us;
}

void world_cancel(struct world *world, struct timer *timer)
{
    if (timer == NULL)
        return;
    take_out(world, timer->at);
    free_timer(world, timer);
}

bool world_step(struct world *world)
{
    if (world->failure.check != NULL || world->heap_count == 0)
        return false;
    struct heap_entry first = world->heap[0];
    struct timer ran = *first.timer;
    take_out(world, 0);
    free_timer(world, first.timer);
    world->now_us = first.at_us;
    world->event_count++;
    world_mix(world, (uint64_t)first.at_us ^ first.number << 40);
    ran.run(ran.arg);
    network_sweep(world);
    if (world->stepped != NULL && world->failure.check == NULL)
        world->stepped(world->stepped_arg);
    return world->failure.check == NULL;
}

void world_watch(struct world *world, void (*stepped)(void *arg), void *arg)
{
    world->stepped = stepped;
    world->stepped_arg = arg;
}

/* --- the record ------------------------------------------------------------------------------- */

bool world_traces(const struct world *world)
{
    return world->trace != NULL;
}

void world_trace(struct world *world, const char *actor, const char *format, ...)
{
    if (world->trace == NULL)
        return;
    va_list args;
    va_start(args, format);
    (void)fprintf(world->trace, "%9" PRId64 ".%03d ms  %-9s  ", world->now_us / 1000,
                  (int)(world->now_us % 1000), actor);
    (void)vfprintf(world->trace, format, args);
    (void)fputc('\n', world->trace);
    va_end(args);
}

void world_fail(struct world *world, const char *check, const char *format, ...)
{
    if (world->failure.check != NULL)
        return;
    va_list args;
    va_start(args, format);
    world->failure.check = check;
    world->failure.at_us = world->now_us;
    (void)vsnprintf(world->failure.text, sizeof world->failure.text, format, args);
    va_end(args);
    world_trace(world, "FAILED", "%s: %s", check, world->failure.text);
}

bool world_failed(const struct world *world)
{
    return world->failure.check != NULL;
}

const struct world_failure *world_failure(const struct world *world)
{
    return &world->failure;
}
