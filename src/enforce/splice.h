/* The server's reply joined with what was refused here, and replies where nothing was sent. */
#ifndef SLUICE_ENFORCE_SPLICE_H
#define SLUICE_ENFORCE_SPLICE_H

#include "enforce/enforce.h"
#include "enforce/refusals.h"

enum splice_form {
    SPLICE_INSERT,
    SPLICE_UPDATE,
    SPLICE_BULK_WRITE,
    SPLICE_NOTHING /* w: 0: refusals are not told, and the reply is {ok: 1} */
};

/* Takes over the plan's refusals. NULL when memory is out. */
struct enforce_splice *splice_new(enum splice_form form, struct plan *plan);

/* The reply to a command of which nothing goes upstream. *block (memory_alloc'd) holds *reply. */
bool splice_answer(enum splice_form form, const struct plan *plan, uint8_t **block,
                   struct bytes *reply, struct error *err);

#endif
