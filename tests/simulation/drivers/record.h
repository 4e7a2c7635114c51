/* The fates of one client's documents, as the client knows them. */
#ifndef SIMULATION_RECORD_H
#define SIMULATION_RECORD_H

#include <stdbool.h>
#include <stdint.h>

enum fate {
    FATE_MAYBE,  /* under way, or without a certain answer */
    FATE_STORED, /* acknowledged */
    FATE_ABSENT  /* refused, or never sent */
};

struct written {
    int64_t token;
    const char *collection; /* static */
    enum fate fate;
    bool majority; /* the acknowledgement was a majority's */
    bool breaks_schema;
    int64_t begun_us; /* when its insert was first sent */
    bool busy;        /* some operation of the client works on it */
    bool deleted, maybe_deleted;
    bool delete_majority;
    unsigned increments, maybe_increments;
    bool increments_majority; /* all of them */
    uint64_t changed;         /* the moment (of the client) at which its last operation ended */
};

struct record {
    struct written **items;
    unsigned count, cap;
};

/* Marks it as busy from now on, and as settled. */
void written_begin(struct written *written);
void written_end(struct written *written, uint64_t moment);

/* The pointer stays valid until record_release. */
struct written *record_add(struct record *record, int64_t token, const char *collection);
struct written *record_find(const struct record *record, const char *collection, int64_t token);
void record_release(struct record *record);

#endif
