/* The automaton, as the reader makes it and the search runs it. */
#ifndef SLUICE_COMPARE_AUTOMATON_INTERNAL_H
#define SLUICE_COMPARE_AUTOMATON_INTERNAL_H

#include "compare/automaton.h"

/* Characters beyond ASCII form four groups. No pattern that the reader understands distinguishes
 * two characters of one group. */
enum {
    OTHER_DIGIT = 1,
    OTHER_WORD = 2, /* letters and marks */
    OTHER_SPACE = 4,
    OTHER_REST = 8,
    OTHER_ALL = 15
};

struct char_set {
    uint64_t ascii[2];
    unsigned other;
};

enum state_kind {
    STATE_PASS,  /* to `out`, without a character */
    STATE_SPLIT, /* to `out` and `out2` */
    STATE_BEGIN, /* to `out`, only at the start of the string */
    STATE_END,   /* to `out`; `tail` tells what may follow */
    STATE_CHAR,
    STATE_ACCEPT
};

/* The bytes that may still follow in the string. */
enum { TAIL_ANY, TAIL_NEWLINE /* one line feed, or nothing */, TAIL_NOTHING, TAIL_COUNT };

struct automaton_state {
    enum state_kind kind;
    uint32_t out, out2;
    unsigned tail;
    struct char_set set;
};

struct automaton {
    struct automaton_state *states;
    uint32_t count;
    uint32_t start;
    bool exact;
    bool bytes; /* it reads bytes, not characters */
};

#define STATES_MAX 2000U

#endif
