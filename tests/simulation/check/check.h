/* What a history must hold, and which of its faults explains what it does not. Each check has a
 * name, which world_fail gets. */
#ifndef SIMULATION_CHECK_H
#define SIMULATION_CHECK_H

#include "drivers/drivers.h"

/* --- explanations (explain.c) --- */

bool plan_has_faults(const struct plan *plan);
bool plan_has_operation(const struct plan *plan, enum plan_operation kind);
/* All faults are over after this time. */
int64_t plan_calm_us(const struct plan *plan);
/* A write that no majority acknowledged may be lost; a read may come from an old primary. */
bool plan_can_roll_back(const struct plan *plan);
/* A connection may break while a request is under way. */
bool plan_can_lose(const struct plan *plan);
/* A retry may meet its own first attempt as a duplicate: docs/merging.md, Gaps. */
bool plan_can_forget(const struct plan *plan);
/* The server may answer a client with this code. */
bool plan_can_refuse(const struct client *client, int code);

/* --- documents, at any time (document.c) --- */

/* The document is stored for certain: any read of the primary must show it. */
bool written_is_visible(const struct client *client, const struct written *written);
/* It is not there for certain. */
bool written_is_absent(const struct client *client, const struct written *written);
/* A document that a read returned, which began at the moment `since`. False: a check failed. */
bool check_document(const struct client *client, const char *collection, const bson_t *document,
                    uint64_t since);

/* --- schemas (schema.c) --- */

/* A document that breaks the strict schema may have been accepted, or refused, since then. */
bool schema_may_accept(const struct world *world, int64_t since_us);
bool schema_may_refuse(const struct world *world, int64_t since_us);
/* A write error of code 121 of a command that was first sent at this time: the schema that it names
 * was in force since. */
void check_judging_schema(const struct client *client, const char *command, const bson_t *error,
                          int64_t since_us);

/* --- replies (replies.c) --- */

/* An error that ends an operation. */
void check_refusal(const struct client *client, const char *command, const struct result *result);
void check_loss(const struct client *client, const char *command);
/* Calls world_fail with the reply's text. */
void check_fails(const struct client *client, const char *check, const char *command,
                 const bson_t *reply, const char *problem);

/* --- time (time.c) --- */

/* A request on this connection got no answer before the driver's time-out. */
void check_patience(const struct connection *connection);
/* An operation took from `begun_us` to now. */
void check_duration(const struct client *client, const struct plan_step *step, int64_t begun_us);

#endif
