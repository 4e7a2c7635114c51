/* The commands of MongoDB, by what they can do to the documents of a namespace. */
#ifndef SLUICE_ENFORCE_COMMANDS_H
#define SLUICE_ENFORCE_COMMANDS_H

#include "enforce/check.h"
#include "wire/command_names.h"

struct command_row {
    bool (*check)(struct check *check); /* NULL: it can write no documents, or nobody knows */
    bool (*concerns)(const struct concern *concern);
    bool harmless; /* it is known to write no documents of a client's */
};

/* The row of a command that can write documents; NULL for the others. */
const struct command_row *command_find(enum command_name name);

/* Whether it is one of the commands that are known to write no documents of a client's. */
bool command_is_harmless(enum command_name name);

#endif
