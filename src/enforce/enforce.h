/* Write commands held against the registry: whole OP_MSG payloads in, what to do with them out.
 * Pure: no sockets, no clock. docs/schemas.md tells users what is checked.
 *
 * In a database with a schema, a write is understood to the last field that says where it writes,
 * what and whether (grammar.h), or refused with MongoDB's code for such a command. commands.c lists
 * the commands that are looked at.
 *
 * Source of what a refusal looks like: MongoDB 5+ (writeErrors with code 121 and errInfo). */
#ifndef SLUICE_ENFORCE_ENFORCE_H
#define SLUICE_ENFORCE_ENFORCE_H

#include "enforce/enforce_terms.h"

/* Whether enforce_check could say anything but ENFORCE_FORWARD to this command, asked when the body
 * alone is there: false means that the message need not be gathered. Notes what it found. */
bool enforce_concerns(const struct registry *registry, struct enforce_command *command);

/* A command that is checked in portions. Holds what was found so far, and what was taken from the
 * observer for it. */
struct check;

/* Checks a command that enforce_concerns named, or goes on where *check (NULL at first, and again
 * in the end) stands. For that the command must be the same, though its bytes may have moved, and
 * so must the registry, which the caller retains. Counts in the entries' stats. */
enum enforce_progress enforce_go_on(struct check **check, const struct registry *registry,
                                    struct schema_scratch *scratch,
                                    const struct enforce_command *command,
                                    const struct enforce_observer *observer,
                                    struct enforce_result *result, struct error *err);
/* Of a command that nobody wants to be checked any more. NULL is allowed. */
void enforce_check_free(struct check *check, const struct enforce_observer *observer);

/* The same in one go, whatever observer->spent says: ENFORCE_FAILED is false. */
bool enforce_check(const struct registry *registry, struct schema_scratch *scratch,
                   const struct enforce_command *command, const struct enforce_observer *observer,
                   struct enforce_result *result, struct error *err);

/* What is left in it; block_bytes are to be given back by the caller before that, unless somebody
 * took over the block (then it is NULL). */
void enforce_result_release(struct enforce_result *result);

#endif
