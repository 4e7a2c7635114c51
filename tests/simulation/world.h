/* The world of one simulated history: a virtual clock, a queue of events, a network, and random
 * numbers, all under one seed and in one thread. Nothing in it takes real time, so the same seed
 * gives the same history.
 *
 * Actors (model servers, model drivers) use the functions of this header. The real proxy runs in
 * the same world: tests/simulation/net is a second implementation of src/net on top of it. */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

/* --- random numbers ---
 * Each actor has a stream of its own, made from the seed and the actor's name. So an actor that is
 * left out of a shrunk history does not change the numbers of the others. */

struct stream {
    uint64_t state[2];
};

struct stream stream_make(uint64_t seed, const char *name, uint64_t number);
uint64_t stream_next(struct stream *stream);
/* 0 … below - 1; `below` >= 1. */
uint32_t stream_below(struct stream *stream, uint32_t below);
/* True in `per_mille` of 1,000 cases. */
bool stream_chance(struct stream *stream, unsigned per_mille);
/* `from` … `to`, small values more often. */
int64_t stream_skewed(struct stream *stream, int64_t from, int64_t to);

uint64_t world_seed(const struct world *world);

/* --- time --- */

/* Microseconds since the start of the history. */
int64_t world_now_us(const struct world *world);
/* The wall clock: microseconds since 1970. */
int64_t world_wall_us(const struct world *world);

struct timer; /* owned by the world */

/* Calls run(arg) once, `delay_us` from now. Events of one time run in the order of these calls. */
struct timer *world_after(struct world *world, int64_t delay_us, void (*run)(void *arg), void *arg);
/* The time at which it runs. */
int64_t world_timer_us(const struct world *world, const struct timer *timer);
/* NULL is allowed; a timer that ran must not be cancelled. */
void world_cancel(struct world *world, struct timer *timer);

/* --- network ---
 * Connections are byte streams between named hosts. Bytes of one direction arrive in order, after a
 * delay, in pieces of any size; two connections (and two directions) are not ordered. */

/* How long a peer that does not answer counts as there: 120 s and 9 probes, as drivers and the
 * proxy set it. */
enum { WORLD_KEEP_ALIVE_US = 210 * 1000 * 1000 };

struct end; /* one end of a connection; the world frees it after `ended`, or after end_close or
               end_reset */

/* A callback may close any end. */
struct end_handler {
    void (*opened)(void *arg, struct end *end); /* only for the end that dialled */
    void (*came)(void *arg, struct end *end, const uint8_t *data, size_t len);
    /* The peer closed (`reset`: broke off), or a dial failed. The end is gone after the call. */
    void (*ended)(void *arg, struct end *end, bool reset);
    /* Both may be missing, and are for actors: */
    void (*finished)(void *arg, struct end *end); /* FIN came; this end can still send. Without it:
                                                     ended */
    void (*taken)(void *arg, struct end *end);    /* the peer took some of the sent bytes */
};

/* `from` names the host that dials (for partitions, and as the peer's address); `address` is
 * "host:port". Always returns an end: a refused or unreachable dial calls `ended` later. */
struct end *world_dial(struct world *world, const char *from, const char *address,
                       const struct end_handler *handler, void *arg);

/* `accepted` must call end_handle at once. False: somebody listens there already. */
bool world_listen(struct world *world, const char *address,
                  void (*accepted)(void *arg, struct end *end), void *arg);
/* Later dials are refused; connections stay. */
void world_unlisten(struct world *world, const char *address);

void end_handle(struct end *end, const struct end_handler *handler, void *arg);
/* The host at the other end. */
const char *end_peer(const struct end *end);
/* A number of its own for each connection of the history, the same at both ends. */
unsigned end_connection(const struct end *end);
/* Never blocks; an actor's bytes wait in the network while the peer does not read. */
void end_send(struct end *end, const void *data, size_t len);
/* The bytes of end_send that the peer has not taken yet. */
size_t end_untaken_bytes(const struct end *end);
/* Sends FIN after all bytes. `ended` is not called. */
void end_close(struct end *end);
/* The same, but the peer's bytes still come. */
void end_finish(struct end *end);
/* The peer gets a reset; bytes under way may be lost. `ended` is not called. */
void end_reset(struct end *end);
/* A slow reader: from now on no bytes are taken, until `end_read(end, true)`. */
void end_read(struct end *end, bool reads);

/* --- faults of the network (for faults.c) --- */

/* Bytes between these hosts (NULL: any) are held back, in both directions, and new dials hang,
 * until it is healed. Held bytes then arrive (or were lost with their connection). */
void world_partition(struct world *world, const char *a, const char *b, bool cut);
/* One-way latency between hosts from now on, drawn evenly from this span for each piece; both 0: as
 * at the start of the history. */
void world_latency(struct world *world, int64_t least_us, int64_t most_us);
/* Breaks one connection as by a reset at both ends, after `bytes` more bytes of the direction
 * towards `end` have arrived (0: now). */
void end_cut(struct end *end, size_t bytes);
/* A router forgot the connection: sent bytes vanish in both directions, nothing arrives any more.
 * Ends that are still there after the keep-alive time (WORLD_KEEP_ALIVE_US) see a reset. */
void end_half_open(struct end *end);
/* Breaks all connections of a host, as a crash does: `ended` of the ends at this host during this
 * call, that of their peers later. Its listeners stay. */
void world_crash_host(struct world *world, const char *host);
/* The wall clock of the world, but not the monotonic one, is `by_us` later (or earlier) from now
 * on. */
void world_jump_wall_clock(struct world *world, int64_t by_us);
/* The n-th living connection between two hosts (NULL: any), the end at `a`; NULL: fewer. */
struct end *world_connection(struct world *world, const char *a, const char *b, unsigned n);

/* --- the record --- */

/* A line of the readable trace. Costs nothing unless the history is replayed with a trace. `actor`
 * names who does it: "client 3", "server b", "proxy", "fault". */
void world_trace(struct world *world, const char *actor, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool world_traces(const struct world *world);

/* A check failed: notes the first failure of the history (with the time) and ends the history after
 * this event. `check` is a short fixed name, such as "acknowledged once"; shrinking keeps to it. */
void world_fail(struct world *world, const char *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool world_failed(const struct world *world);

/* --- for the program --- */

struct world_failure {
    const char *check; /* NULL: none */
    char text[1024];
    int64_t at_us;
};

/* `trace`: NULL or where trace lines go (a FILE). */
struct world *world_create(uint64_t seed, void *trace);
void world_destroy(struct world *world);
/* Runs the next event; false if none is left or the history failed. */
bool world_step(struct world *world);
const struct world_failure *world_failure(const struct world *world);
/* Over all events so far: equal for equal histories. */
uint64_t world_hash(const struct world *world);
void world_mix(struct world *world, uint64_t value); /* adds to it */
uint64_t world_event_count(const struct world *world);
/* Called after each event (the checks that hold after every step). */
void world_watch(struct world *world, void (*stepped)(void *arg), void *arg);

#endif
