/* Checks write commands against the registry: takes whole OP_MSG payloads and returns a decision.
 * Pure: no sockets, no clock. docs/schemas.md describes the checks for users.
 *
 * In a database with a schema, the proxy understands every field that tells where, what or whether
 * a write writes (grammar.h), or it refuses the command with MongoDB's code. commands.c lists the
 * checked commands.
 *
 * Source for the form of refusals: MongoDB 5+ (writeErrors with code 121 and errInfo). */
#ifndef SLUICE_ENFORCE_ENFORCE_H
#define SLUICE_ENFORCE_ENFORCE_H

#include "enforce/enforce_terms.h"

/* Called when only the body is available. False means that enforce_check would return
 * ENFORCE_FORWARD, so the message need not be buffered. Notes its findings. */
bool enforce_concerns(const struct registry *registry, struct enforce_command *command);

/* A command that is checked in portions: the findings so far, and the memory taken from the
 * observer. */
struct check;

/* Checks a command that enforce_concerns selected, or continues the check in *check (NULL before
 * the first call and after the last). The command must be the same, though its bytes may have
 * moved, and so must the registry, which the caller retains. Counts in the entries' stats. */
enum enforce_progress enforce_go_on(struct check **check, const struct registry *registry,
                                    struct schema_scratch *scratch,
                                    const struct enforce_command *command,
                                    const struct enforce_observer *observer,
                                    struct enforce_result *result, struct error *err);
/* Drops an unfinished check. NULL is allowed. */
void enforce_check_free(struct check *check, const struct enforce_observer *observer);

/* Does the whole check at once and ignores observer->spent. Returns false for ENFORCE_FAILED. */
bool enforce_check(const struct registry *registry, struct schema_scratch *scratch,
                   const struct enforce_command *command, const struct enforce_observer *observer,
                   struct enforce_result *result, struct error *err);

/* Releases the rest of the result. First the caller gives block_bytes back, unless somebody took
 * over the block (it is then NULL). */
void enforce_result_release(struct enforce_result *result);

#endif
