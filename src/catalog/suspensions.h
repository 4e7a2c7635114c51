/* Commands that may change validators of collections, until their result is known.
 *
 *   command sent      answered        reading begins     reading ends
 *        |--- running ---|---- waiting ----|--- being read ---|  the suspension is over
 *
 * A validator that was read before the end may be gone, so it is not enforced. Pure; the owner
 * locks. Times are a counter of the owner's events, and milliseconds of one clock. */
#ifndef SLUICE_CATALOG_SUSPENSIONS_H
#define SLUICE_CATALOG_SUSPENSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct suspension;

struct suspensions {
    struct suspension *of; /* owned */
    size_t count;
    size_t room;
    uint32_t numbers;         /* the numbers of commands used so far */
    uint64_t events;          /* the number of calls below, used as a clock */
    uint64_t reading_since;   /* the event of the start of the last reading */
    int64_t reading_since_ms; /* and its time */
};

/* A command with a lost answer may still run for this time. */
enum { SUSPENSION_LOST_MS = 10000 };

/* If readings fail, suspensions wait for one that succeeds. More than this number become one
 * suspension of the whole deployment. */
enum { SUSPENSIONS_WAITING_MAX = 1024 };

/* The namespaces that a command may change: "database.collection"; "database." for the whole
 * database; "" for the whole deployment. NULL ends the list. Borrowed during the call. */
struct suspension_scope {
    const char *names[2];
};

/* Call it before a command is sent. Returns its number for the calls below; 0 without memory. */
uint32_t suspensions_begin(struct suspensions *list, const struct suspension_scope *scope);
/* The command was answered, or (`lost`) will get no answer. False if there is no such command. */
bool suspensions_end(struct suspensions *list, uint32_t number, bool lost, int64_t now_ms);

void suspensions_reading_begins(struct suspensions *list, int64_t now_ms);
/* The last reading has found the validators: drops the suspensions that it settles. */
void suspensions_reading_ends(struct suspensions *list);

/* True if the namespace is suspended. */
bool suspensions_cover(const struct suspensions *list, const char *ns);
bool suspension_scope_covers(const struct suspension_scope *scope, const char *ns);

void suspensions_release(struct suspensions *list);

#endif
