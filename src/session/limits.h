/* The counts for option limits.rules: connections, and the requests and documents of the last
 * second. A count belongs to a rule, and to an application or a user if the rule counts each one
 * for itself. One for the whole proxy; any thread, a lock guards each call. Time is a parameter.
 *
 * Requests and documents are taken from a bucket that fills with the limit in a second. A command
 * with more documents than are left is let through, and the next ones wait until the bucket has
 * recovered: a command is never larger than every bucket. */
#ifndef SLUICE_SESSION_LIMITS_H
#define SLUICE_SESSION_LIMITS_H

#include "config/config.h"

struct limits;
struct limit_count;

/* NULL without memory. */
struct limits *limits_create(void);
/* NULL is allowed. */
void limits_destroy(struct limits *limits);

/* The count of a rule that fits a client, with one connection more. NULL without memory. */
struct limit_count *limits_hold(struct limits *limits, const struct config_limit *limit,
                                int64_t now_us);
/* One connection less. */
void limits_release(struct limits *limits, struct limit_count *count);

/* A client's counts. */
struct limits_held {
    size_t count;
    struct limit_count *of[CONFIG_LIMIT_RULES_MAX];
};

/* The result of a question: `kind` is CONFIG_LIMITS if nothing is over its limit. */
struct limits_answer {
    enum config_limit_kind kind;
    unsigned rule;
    int64_t limit;
};

/* True if a limit of documents applies: the caller must count a command's documents. */
bool limits_count_documents(struct limits *limits, const struct limits_held *held);
/* Takes a request with so many documents from all counts, or from none if one is over its limit. */
struct limits_answer limits_take(struct limits *limits, const struct limits_held *held,
                                 uint64_t documents, int64_t now_us);
/* Whether the client is one connection too many. */
struct limits_answer limits_look_at_connections(struct limits *limits,
                                                const struct limits_held *held);

#endif
