#include "cli/terminal_key.h"

#include <string.h>

#define ESCAPE '\033'

static const struct key_sequence {
    const char *bytes; /* after ESC */
    enum terminal_key key;
} sequences[] = {
    {"[A", TERMINAL_KEY_UP},    {"OA", TERMINAL_KEY_UP},       {"[B", TERMINAL_KEY_DOWN},
    {"OB", TERMINAL_KEY_DOWN},  {"[5~", TERMINAL_KEY_PAGE_UP}, {"[6~", TERMINAL_KEY_PAGE_DOWN},
    {"[H", TERMINAL_KEY_HOME},  {"OH", TERMINAL_KEY_HOME},     {"[1~", TERMINAL_KEY_HOME},
    {"[7~", TERMINAL_KEY_HOME}, {"[F", TERMINAL_KEY_END},      {"OF", TERMINAL_KEY_END},
    {"[4~", TERMINAL_KEY_END},  {"[8~", TERMINAL_KEY_END},
};

/* The length of a control sequence after ESC: "[", parameters, and a final character; or "O" and a
 * character. */
static size_t sequence_length(const char *bytes, size_t len)
{
    size_t end = 1;
    if (len == 0 || (bytes[0] != '[' && bytes[0] != 'O'))
        return 0;
    if (bytes[0] == '[')
        while (end < len && (bytes[end] < '@' || bytes[end] > '~'))
            end++;
    return end < len ? end + 1 : len;
}

size_t terminal_key_read(const char *bytes, size_t len, enum terminal_key *key, char *character)
{
    *key = TERMINAL_KEY_CHARACTER;
    *character = bytes[0];
    if (bytes[0] != ESCAPE)
        return 1;
    *key = TERMINAL_KEY_OTHER;
    size_t length = sequence_length(bytes + 1, len - 1);
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
        if (strlen(sequences[i].bytes) == length &&
            memcmp(sequences[i].bytes, bytes + 1, length) == 0)
            *key = sequences[i].key;
    return 1 + length;
}
