/* Between world.c and network.c. */
#ifndef SIMULATION_WORLD_INTERNAL_H
#define SIMULATION_WORLD_INTERNAL_H

#include <stdio.h>

#include "passwords.h"
#include "world.h"

struct connection;
struct host;
struct listening;
struct parting;

/* A schema, from this time to that of the next one. */
struct in_force {
    int64_t at_us;
    unsigned number; /* 0: none */
    bool strict;
};

/* A user's present password. */
struct password {
    unsigned number;
    bool gone; /* the user does not exist */
    bool changed;
    int64_t changed_us;
    bool judged;
    int64_t judged_us;
};

struct heap_entry {
    int64_t at_us;
    uint64_t number;
    struct timer *timer;
};

struct world {
    uint64_t seed;
    int64_t now_us;
    int64_t wall_us; /* at the start */
    FILE *trace;
    struct heap_entry *heap;
    size_t heap_count;
    size_t heap_capacity;
    struct timer *free_timers;
    uint64_t timer_count; /* made so far: the order of events of one time */
    uint64_t event_count;
    unsigned proxy_count; /* started so far */
    uint64_t hash;
    struct in_force *in_force;
    size_t in_force_count;
    size_t in_force_capacity;
    unsigned schema_number; /* of the last schema file */
    struct password passwords[PASSWORDS_USERS_MAX + 1];
    struct world_failure failure;
    void (*stepped)(void *arg);
    void *stepped_arg;
    struct network {
        struct host *hosts;
        size_t host_count;
        struct listening *listening;
        size_t listening_count;
        struct parting *partings;
        size_t parting_count;
        struct connection *first; /* living connections, in the order of their numbers */
        struct connection **last;
        struct connection *gone; /* freed after the event */
        unsigned connection_count;
        int64_t least_us;
        int64_t most_us;
        int64_t first_least_us; /* at the start */
        int64_t first_most_us;
    } network;
};

/* For memory of the simulation itself. Ends the program without memory. */
void *simulation_alloc(size_t bytes);
void *simulation_resize(void *block, size_t bytes);

void network_begin(struct world *world);
void network_end(struct world *world);
/* Frees the connections that ended in the event. */
void network_sweep(struct world *world);

#endif
