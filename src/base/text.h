/* Text that grows piece by piece, in a fixed buffer (a log line) or in allocated memory (a
 * listing).
 *
 *        data              len                  size
 *          |-- text --NUL----|---- free ----------|      invariant: len < size, or no memory yet
 *
 * If a piece does not fit or there is no memory, the text leaves out the whole piece and all later
 * ones, and sets `cut`. The text is therefore always a prefix of the full text. Callers check `cut`
 * once, at the end. Not thread-safe. */
#ifndef SLUICE_BASE_TEXT_H
#define SLUICE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    char *data; /* NUL-terminated; NULL before the first piece. A growing text owns it */
    size_t len; /* without the NUL */
    size_t size;
    bool grows;
    bool cut;
};

/* A text in the caller's buffer, which must outlive it; size is at least 1. */
struct text text_over(char *buffer, size_t size);
/* An empty text without memory. Release it with text_release. */
struct text text_growing(void);
/* Frees the memory of a growing text and empties it. Does nothing to a fixed one. */
void text_release(struct text *text);

void text_add_bytes(struct text *text, const char *bytes, size_t len);
void text_add(struct text *text, const char *string);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds the characters as the inside of a JSON string: escapes quotes, backslashes and control
 * characters, and replaces invalid UTF-8 by U+FFFD. Returns the number of consumed bytes. It is
 * below len only if the text is cut, and then ends at a whole character. */
size_t text_add_escaped(struct text *text, const char *bytes, size_t len);
/* Adds the same between quotes; writes NULL as null. */
void text_add_json_string(struct text *text, const char *string);

/* Cuts the text back to an earlier length and clears `cut`. */
void text_rewind(struct text *text, size_t len);

/* Whether text[0..len) is the word. */
static inline bool text_is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* The position of text[0..len) among `count` words; `count` if it is none of them. */
static inline size_t text_index(const char *const *words, size_t count, const char *text,
                                size_t len)
{
    size_t at = 0;
    while (at < count && !text_is(text, len, words[at]))
        at++;
    return at;
}

#endif
