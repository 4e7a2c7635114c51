/* A candidate beside the accepted versions: each write that goes upstream is held against it too,
 * and counted in the worker's tally. Nothing is refused for it, and nobody is told. */
#ifndef SLUICE_ENFORCE_CANDIDATE_H
#define SLUICE_ENFORCE_CANDIDATE_H

#include "enforce/judge.h"
#include "enforce/update.h"

/* judge_insert and judge_update; what they let pass is tried. */
enum judged candidate_insert(struct judge *judge, uint32_t index, struct bytes document);
enum judged candidate_update(struct judge *judge, uint32_t index,
                             const struct update_statement *statement);

#endif
