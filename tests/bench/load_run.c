#include "bench/clock.h"
#include "bench/load_internal.h"

#define LAST_REPLIES_NS (60 * CLOCK_NS_A_SECOND)

/* The warm-up is over: from now on operations count. */
static void load_count(struct load *load, uint64_t now)
{
    load->counting = true;
    load->count_from_ns = now;
    load->end_ns = now + load->options.run_ns;
    if (load->options.cpu != NULL)
        cpu_watch_begin(load->options.cpu);
}

static void load_end(struct load *load)
{
    if (load->running && load->counting && load->options.cpu != NULL)
        cpu_watch_end(load->options.cpu);
    load->running = false;
}

static bool is_over(uint64_t now, uint64_t end_ns, bool answered)
{
    return now >= end_ns && (answered || now >= end_ns + LOAD_MORE_NS);
}

void load_look(struct load *load, uint64_t now)
{
    if (!load->running)
        return;
    const struct load_options *options = &load->options;
    if (!load->counting) {
        if (is_over(now, load->warm_from_ns, load->answered >= options->warmup_answers))
            load_count(load, now);
    } else if (options->operations == 0) {
        if (is_over(now, load->end_ns, load->result->latencies.total >= options->run_answers))
            load_end(load);
    }
}

/* The median of all commands says little about the median client if a server serves a few clients
 * quickly and lets the others wait: those few send most of the commands. */
static void note_waits(struct load *load)
{
    for (size_t i = 0; i < load->options.active; i++) {
        uint64_t answered = load->clients[i].answered;
        bool paced = load->options.pace_ns > 0 && answered > 0;
        uint64_t waited_ns = paced ? load->clients[i].waited_ns : load->result->elapsed_ns;
        if (load->clients[i].state != CLIENT_CLOSED)
            histogram_record(&load->result->waits, waited_ns / (answered > 0 ? answered : 1));
    }
}

/* Spreads the clients' times evenly over a pace, in their order. Returns the time of the next one.
 * A busy client continues after its reply. */
static uint64_t load_start_due(struct load *load, uint64_t start_ns)
{
    const struct load_options *options = &load->options;
    uint64_t now = clock_now_ns();
    for (;; load->due_next++) {
        uint64_t due_ns = start_ns + load->due_next * options->pace_ns / options->active;
        struct client *client = &load->clients[load->due_next % options->active];
        if (due_ns > now)
            return due_ns;
        if (client->state == CLIENT_READY) /* a busy one goes on when it has its reply */
            client_start(load, client);
    }
}

static bool load_has_more(const struct load *load)
{
    const struct load_options *options = &load->options;
    bool more_due = options->operations == 0 || load->started < options->operations;
    return load->busy > 0 || (options->pace_ns > 0 && more_due);
}

void load_run(struct load *load)
{
    const struct load_options *options = &load->options;
    uint64_t start = clock_now_ns();
    load->running = true;
    load->warm_from_ns = start + options->warmup_ns;
    load_look(load, start);
    for (size_t i = 0; i < options->active; i++) {
        load->clients[i].due_ns = start + i * options->pace_ns / options->active;
        if (load->clients[i].state == CLIENT_READY)
            client_start(load, &load->clients[i]);
    }
    while (load->running && load->ready > 0 && load_has_more(load)) {
        uint64_t now = clock_now_ns();
        uint64_t next =
            options->pace_ns > 0 ? load_start_due(load, start) : now + CLOCK_NS_A_SECOND;
        uint64_t look = load->counting ? load->end_ns : load->warm_from_ns;
        if (load->counting && options->operations > 0)
            look = next;
        else if (look <= now) /* it waits for answers */
            look += LOAD_MORE_NS;
        load_turn(load, look < next ? look : next);
        load_look(load, clock_now_ns());
    }
    uint64_t end = clock_now_ns();
    load_end(load);
    if (load->counting)
        load->result->elapsed_ns = end - load->count_from_ns;
    note_waits(load);
    while (load->busy > 0 && clock_now_ns() < end + LAST_REPLIES_NS)
        load_turn(load, end + LAST_REPLIES_NS);
    if (load->busy > 0) {
        load_explain(load, "reply", "none within a minute after the end");
        load->result->errors += load->busy;
    }
    load->result->sent = load->started;
}
