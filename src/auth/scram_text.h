/* The grammar of SCRAM's messages: attributes `x=value` with commas between them. For src/auth
 * only. */
#ifndef SLUICE_AUTH_SCRAM_TEXT_H
#define SLUICE_AUTH_SCRAM_TEXT_H

#include "auth/scram.h"

/* Takes the next attribute and the comma behind it. False if it has another letter, or at the end.
 */
bool scram_text_take(struct bytes *at, char letter, struct bytes *value);
/* False if the bytes cannot be a nonce: printable ASCII without a comma, not empty, at most `cap`.
 */
bool scram_text_is_nonce(struct bytes nonce, size_t cap);
/* Reads a decimal number from 1 to SCRAM_ITERATIONS_MAX. */
bool scram_text_read_count(struct bytes text, int32_t *out);

#endif
