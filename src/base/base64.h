/* Base64 (RFC 4648, section 4: with `+`, `/` and padding). Pure. */
#ifndef SLUICE_BASE_BASE64_H
#define SLUICE_BASE_BASE64_H

#include "base/bytes.h"

/* The length of the text for `len` bytes. */
#define BASE64_TEXT_BYTES(len) (((len) + 2) / 3 * 4)

/* Writes BASE64_TEXT_BYTES(len) characters without a NUL. Returns their number. */
size_t base64_write(const uint8_t *data, size_t len, char *out);

/* Decodes a whole text. False if it is not base64 with its padding, if the bits behind the last
 * byte are not zero, or if it holds more than `cap` bytes. */
bool base64_read(struct bytes text, uint8_t *out, size_t cap, size_t *len);

/* Decodes as many bytes as fit, and stops at the first other character. Returns their number. */
size_t base64_read_front(struct bytes text, uint8_t *out, size_t cap);

#endif
