#include "fiber.h"

#include <assert.h>
#include <stdlib.h>
#include <ucontext.h>

#include "world.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_SANITIZED 1
#endif
#endif

#ifdef FIBER_SANITIZED
#include <sanitizer/common_interface_defs.h>
enum { STACK_BYTES = 512 * 1024 };
#else
enum { STACK_BYTES = 128 * 1024 };
#endif

/* Stacks are kept for the next fiber, also of the next history. */
struct stack {
    struct stack *next;
    char *bytes;
};

struct fiber {
    struct world *world;
    void (*run)(void *arg);
    void *arg;
    struct timer *timer; /* ends the wait */
    struct stack *stack;
    ucontext_t context;
    bool cancelled;
    bool ended;
};

static struct stack *spare_stacks;
static struct fiber *running;
static ucontext_t outside;

#ifdef FIBER_SANITIZED
static const void *outside_bytes;
static size_t outside_size;
#endif

static struct stack *take_stack(void)
{
    struct stack *stack = spare_stacks;
    if (stack != NULL) {
        spare_stacks = stack->next;
        return stack;
    }
    stack = malloc(sizeof *stack);
    assert(stack != NULL);
    stack->bytes = malloc(STACK_BYTES);
    assert(stack->bytes != NULL);
    return stack;
}

static void enter(void)
{
#ifdef FIBER_SANITIZED
    __sanitizer_finish_switch_fiber(NULL, &outside_bytes, &outside_size);
#endif
    running->run(running->arg);
    running->ended = true;
#ifdef FIBER_SANITIZED
    __sanitizer_start_switch_fiber(NULL, outside_bytes, outside_size);
#endif
    swapcontext(&running->context, &outside);
}

/* Runs the fiber until it waits or ends. */
static void resume(struct fiber *fiber)
{
    assert(running == NULL);
    running = fiber;
#ifdef FIBER_SANITIZED
    void *fake = NULL;
    __sanitizer_start_switch_fiber(&fake, fiber->stack->bytes, STACK_BYTES);
#endif
    swapcontext(&outside, &fiber->context);
#ifdef FIBER_SANITIZED
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
    running = NULL;
    if (fiber->ended) {
        fiber->stack->next = spare_stacks;
        spare_stacks = fiber->stack;
        free(fiber);
    }
}

static void on_time(void *arg)
{
    struct fiber *fiber = arg;
    fiber->timer = NULL;
    resume(fiber);
}

struct fiber *fiber_start(struct world *world, void (*run)(void *arg), void *arg)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    assert(fiber != NULL);
    fiber->world = world;
    fiber->run = run;
    fiber->arg = arg;
    fiber->stack = take_stack();
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack->bytes;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, enter, 0);
    fiber->timer = world_after(world, 0, on_time, fiber);
    return fiber;
}

struct fiber *fiber_self(void)
{
    return running;
}

bool fiber_wait(int64_t delay_us)
{
    struct fiber *fiber = running;
    assert(fiber != NULL);
    if (fiber->cancelled) {
        return false;
    }
    fiber->timer = delay_us < 0 ? NULL : world_after(fiber->world, delay_us, on_time, fiber);
#ifdef FIBER_SANITIZED
    void *fake = NULL;
    __sanitizer_start_switch_fiber(&fake, outside_bytes, outside_size);
#endif
    swapcontext(&fiber->context, &outside);
#ifdef FIBER_SANITIZED
    __sanitizer_finish_switch_fiber(fake, &outside_bytes, &outside_size);
#endif
    return !fiber->cancelled;
}

void fiber_wake(struct fiber *fiber)
{
    if (fiber == running) {
        return;
    }
    world_cancel(fiber->world, fiber->timer);
    fiber->timer = world_after(fiber->world, 0, on_time, fiber);
}

void fiber_cancel(struct fiber *fiber)
{
    assert(running == NULL);
    world_cancel(fiber->world, fiber->timer);
    fiber->timer = NULL;
    fiber->cancelled = true;
    resume(fiber);
}
