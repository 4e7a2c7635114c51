/* Shared by the files merge*.c only. */
#ifndef SLUICE_SESSION_MERGE_INTERNAL_H
#define SLUICE_SESSION_MERGE_INTERNAL_H

#include "session/session_internal.h"

/* --- merge_batch.c ------------------------------------------------------------------------------
 */
/* What the coalescer holds counts against memory_max. */
void session_merge_account(struct session_worker *worker);
/* Whatever is due goes at the end of this loop turn. */
void session_merge_pump_soon(struct session_worker *worker);
/* The callback of worker->pump_event. */
void session_merge_pump(evutil_socket_t fd, short what, void *arg);
/* Batches whose connection was lost go once more, or their waiters see the loss. */
void session_merge_send_lost(struct session_worker *worker);

/* --- merge_retry.c ------------------------------------------------------------------------------
 */
/* For the insert that is about to be submitted; its arg is NULL when memory is out. */
struct retry_listener session_merge_listener(struct session_worker *worker);
/* The insert turned out to repeat one that is under way, with that listener; session->exchange
 * waits for it. `command`: the payload, copied. */
enum write_step session_merge_attach(struct session *session, struct bytes command,
                                     struct retry_attachment *attachment);
void session_attached_free(struct attached *attached); /* NULL is allowed */
/* What became of its insert is not known: session->exchange has the resend, which asks for the next
 * document. */
enum write_step session_merge_ask(struct session *session);

/* --- merge.c ------------------------------------------------------------------------------------
 */
/* As a lost connection: what became of the insert is for a retry to find out. */
enum write_step session_merge_close_client(struct session *session);

#endif
