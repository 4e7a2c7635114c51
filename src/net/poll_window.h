/* How long a thread without work polls for more before it sleeps. To sleep and to wake up takes
 * longer than to poll a few times, if the next work comes soon. So the window grows while the
 * pauses are short, and closes after a longer one: work that comes seldom costs no polling (as KVM
 * polls before it halts a processor, halt_poll_ns). Times are of base/clock.h. */
#ifndef SLUICE_NET_POLL_WINDOW_H
#define SLUICE_NET_POLL_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

enum { POLL_WINDOW_FIRST_US = 10 };

/* Zeroed before use: it never opens. */
struct poll_window {
    int64_t most_us; /* the longest window; 0: never polls */
    int64_t window_us;
    int64_t idle_since_us;
};

/* Call it after each turn that had work. */
void poll_window_note(struct poll_window *window, int64_t began_us, int64_t ended_us);

static inline bool poll_window_is_open(const struct poll_window *window, int64_t now_us)
{
    return now_us - window->idle_since_us < window->window_us;
}

#endif
