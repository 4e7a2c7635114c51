/* A candidate beside the accepted versions. Each write that goes upstream is also checked against
 * it and counted in the worker's tally. The candidate refuses nothing, and no client is told. */
#ifndef SLUICE_ENFORCE_CANDIDATE_H
#define SLUICE_ENFORCE_CANDIDATE_H

#include "enforce/judge.h"
#include "enforce/update.h"

/* Like judge_insert and judge_update; also check accepted writes against the candidate. */
enum judged candidate_insert(struct judge *judge, uint32_t index, struct bytes document);
enum judged candidate_update(struct judge *judge, uint32_t index,
                             const struct update_statement *statement);

#endif
