/* Text that is built piece by piece, in a fixed buffer (a log line) or in one that grows (a
 * listing).
 *
 *        data              len                  size
 *          |-- text --NUL----|---- free ----------|      invariant: len < size, or nothing yet
 *
 * A piece that does not fit (fixed), or for which there is no memory (growing), is left out whole
 * and sets `cut`; all later pieces are then left out too, so the text is always a prefix of what
 * was meant. Callers look at `cut` once, at the end. Not thread-safe. */
#ifndef SLUICE_BASE_TEXT_H
#define SLUICE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* NUL-terminated; owned by the text when it grows. NULL until the first piece */
    size_t len; /* without the NUL */
    size_t size;
    bool grows;
    bool cut;
};

/* Over a buffer of the caller's, which must outlive the text; size at least 1. */
struct text text_over(char *buffer, size_t size);
/* Empty, without memory yet. Ended with text_release. */
struct text text_growing(void);
/* Frees what a growing text holds and empties it; does nothing to a fixed one. */
void text_release(struct text *text);

void text_add_bytes(struct text *text, const char *bytes, size_t len);
void text_add(struct text *text, const char *string);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The characters as the inside of a JSON string: quotes, backslashes and control characters
 * escaped, what is not UTF-8 replaced by U+FFFD. Returns how many bytes were taken: less than len
 * when cut, and then always whole characters. */
size_t text_add_escaped(struct text *text, const char *bytes, size_t len);
/* The same between quotes; NULL is written as null. */
void text_add_json_string(struct text *text, const char *string);

/* Back to an earlier length, forgetting that something was cut since. */
void text_rewind(struct text *text, size_t len);

#endif
