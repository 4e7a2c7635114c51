/* Reads the keys that a terminal sends. Pure. Sources: ECMA-48 (control sequences), the XTerm
 * control sequences. */
#ifndef SLUICE_CLI_TERMINAL_KEY_H
#define SLUICE_CLI_TERMINAL_KEY_H

#include <stddef.h>

enum terminal_key {
    TERMINAL_KEY_OTHER,
    TERMINAL_KEY_UP,
    TERMINAL_KEY_DOWN,
    TERMINAL_KEY_PAGE_UP,
    TERMINAL_KEY_PAGE_DOWN,
    TERMINAL_KEY_HOME,
    TERMINAL_KEY_END,
    TERMINAL_KEY_CHARACTER /* *character is set */
};

/* The first key of these bytes, which may be cut off. Returns its length, at least 1; len > 0. */
size_t terminal_key_read(const char *bytes, size_t len, enum terminal_key *key, char *character);

#endif
