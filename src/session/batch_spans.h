/* Tracing of batches: a batch with a traced insert has a trail of its own. Worker's thread. */
#ifndef SLUICE_SESSION_BATCH_SPANS_H
#define SLUICE_SESSION_BATCH_SPANS_H

#include "session/merge_ties.h"
#include "trace/trail.h"

/* The batch goes to this server. Notes it in the trails of its inserts. */
void batch_spans_note_sent(struct sent_batch *sent_batch, struct session_worker *worker,
                           const char *server);

/* For batch_build; NULL: the batch is not traced. */
const struct trace_context *batch_spans_context(const struct sent_batch *sent_batch);

/* The reply to the batch. */
void batch_spans_note_reply(struct sent_batch *sent_batch, struct bytes document);

#endif
