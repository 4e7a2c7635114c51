/* The commands of MongoDB, by what they can do to the documents of a namespace. */
#ifndef SLUICE_ENFORCE_COMMANDS_H
#define SLUICE_ENFORCE_COMMANDS_H

#include "enforce/check.h"

struct command_row {
    const char *name;
    size_t len;
    bool (*check)(struct check *check);
    bool (*concerns)(const struct concern *concern);
};

/* The row of a command that can write documents; NULL for the others. */
const struct command_row *command_find(const char *name, size_t len);

/* Whether it is one of the commands that are known to write no documents of a client's. */
bool command_is_harmless(const char *name, size_t len);

/* Where the rules for names stand, for tests. */
extern const char *const commands_harmless[];
extern const size_t commands_harmless_count;

#endif
