/* A small server that tells one lie, to show that each check can fail. One member of a replica set
 * at a:27017, without logins. It also stands in for the cluster that check_end reads. */
#ifndef SIMULATION_LYING_SERVER_H
#define SIMULATION_LYING_SERVER_H

#include "model.h"

enum lie {
    LIE_NONE,
    LIE_ACKNOWLEDGES_WITHOUT_STORING,
    LIE_STORES_TWICE,
    LIE_ANSWERS_TWICE,
    LIE_ANSWERS_ANOTHER,
    LIE_BREAKS_FRAME,
    LIE_COUNTS_WRONGLY,
    LIE_NAMES_WRONG_INDEX,
    LIE_NAMES_WRONG_DOCUMENT,
    LIE_STORES_REFUSED,
    LIE_ACCEPTS_BROKEN,
    LIE_REFUSES_VALID,
    LIE_NAMES_ANOTHER_USER,
    LIE_SIGNS_WRONGLY,
    LIE_STORES_AS_ANOTHER,
    LIE_REFUSES_NEW,
    LIE_ACCEPTS_DUPLICATE,
    LIE_FAILS_INSIDE,
    LIE_IS_SILENT,
    LIE_BREAKS_CONNECTION,
    LIE_FINDS_NOTHING,
    LIE_FINDS_FOREIGN,
    LIE_FINDS_DELETED,
    LIE_INCREMENTS_TWICE,
    LIE_FORGETS_INCREMENT,
    LIE_KEEPS_DELETED,
    LIE_DELAYS_UNACKNOWLEDGED,
    LIE_NAMES_HIDDEN_HOST,
    LIE_STORES_UNKNOWN,
    LIE_SKIPS_IN_CURSOR,
    LIE_REPEATS_IN_CURSOR,
    LIE_LOSES_EVENT,
    LIE_REPEATS_EVENT,
    LIE_COMMITS_HALF,
    LIE_IGNORES_BULK_ERROR
};

struct lying_server;

struct lying_server *lying_server_create(struct world *world, enum lie lie);
void lying_server_destroy(struct lying_server *server);

#endif
