/* Commands that may change the validators of collections, until their outcome was read.
 *
 *   command sent      answered        reading begins     reading ends
 *        |--- running ---|---- waiting ----|--- being read ---|  the suspension is over
 *
 * A validator that was read earlier than that may be gone: it is not enforced. Pure; the owner
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
    uint32_t numbers;         /* of commands, given out so far */
    uint64_t events;          /* counts the calls below, as a clock */
    uint64_t reading_since;   /* the event at which the last reading began */
    int64_t reading_since_ms; /* and its time */
};

/* A command whose answer was lost may still be carried out for so long. */
enum { SUSPENSION_LOST_MS = 10000 };

/* The namespaces that a command may change: "database.collection"; "database." for all of the
 * database; "" for all of the deployment. NULL: no more. Borrowed for the call. */
struct suspension_scope {
    const char *names[2];
};

/* A command is about to be sent. Its number, for the calls below; 0 when memory is out. */
uint32_t suspensions_begin(struct suspensions *list, const struct suspension_scope *scope);
/* It was answered; or, `lost`, it will not be. False when there is no such command. */
bool suspensions_end(struct suspensions *list, uint32_t number, bool lost, int64_t now_ms);

void suspensions_reading_begins(struct suspensions *list, int64_t now_ms);
/* The reading that began last found the validators: drops the suspensions that it is the answer
 * to. */
void suspensions_reading_ends(struct suspensions *list);

/* Whether the namespace is suspended. */
bool suspensions_cover(const struct suspensions *list, const char *ns);
bool suspension_scope_covers(const struct suspension_scope *scope, const char *ns);

void suspensions_release(struct suspensions *list);

#endif
