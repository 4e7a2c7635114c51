/* Gathering again: the clients of an answered batch mostly send again at once. A group that waits
 * for them sends one command with the inserts of all, where it would send two in turn with those of
 * half the clients each. That gains where a command takes a fixed time, such as a commit to the
 * journal; where its time grows with the documents it gains nothing. So a group tries both ways in
 * turn, and waits only as long as this answers clearly more inserts in a second. Pure; a group is
 * the only user of its own. */
#ifndef SLUICE_MERGE_REGATHER_H
#define SLUICE_MERGE_REGATHER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REGATHER_MAX_US = 4000,       /* of waiting */
    REGATHER_EPOCH_COMMANDS = 32, /* over which a rate is taken */
    REGATHER_KEPT_EPOCHS = 16,    /* of the better way, until the other is tried again */
    REGATHER_GAIN_PART = 8        /* waiting must answer more by at least one eighth */
};

struct regather {
    uint32_t expected; /* until so many inserts wait; 0: the group does not wait for anybody */
    int64_t until_us;  /* but no longer than this */
    bool on;           /* after batches, the group waits */
    bool trial;        /* of the other way, for one epoch */
    uint32_t epochs_left;
    uint32_t commands; /* of this epoch; only answered ones */
    uint64_t inserts;
    int64_t since_us;    /* the beginning of the epoch */
    int64_t last_end_us; /* of a command */
    uint64_t rates[2];   /* inserts a second in the last epoch without and with waiting */
};

/* The first epoch waits. */
void regather_init(struct regather *regather);

/* True if the group, of which so many inserts wait, waits for more. */
static inline bool regather_holds(const struct regather *regather, uint32_t waiting, int64_t now_us)
{
    return waiting < regather->expected && now_us < regather->until_us;
}

/* A command with so many inserts was answered; only those of clients that are still there count. */
void regather_note_end(struct regather *regather, uint32_t inserts, int64_t now_us);

/* Nothing is in flight: the group waits, if it does at present, for so many inserts in all. The
 * command that was just answered took so long; waiting takes no longer. */
void regather_begin(struct regather *regather, uint32_t expected, int64_t took_us, int64_t now_us);

/* A command goes while nothing is in flight: this ends the wait. So many inserts have waited. */
void regather_note_sent(struct regather *regather, uint32_t waiting, int64_t now_us);

#endif
