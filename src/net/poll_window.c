#include "net/poll_window.h"

void poll_window_note(struct poll_window *window, int64_t began_us, int64_t ended_us)
{
    int64_t pause_us = began_us - window->idle_since_us;
    int64_t wider_us = window->window_us > 0 ? 2 * window->window_us : POLL_WINDOW_FIRST_US;
    if (pause_us > window->most_us)
        window->window_us = 0;
    else if (pause_us > window->window_us)
        window->window_us = wider_us < window->most_us ? wider_us : window->most_us;
    window->idle_since_us = ended_us;
}
