/* MongoDB's commands by their effect on documents. */
#ifndef SLUICE_ENFORCE_COMMANDS_H
#define SLUICE_ENFORCE_COMMANDS_H

#include "enforce/check.h"
#include "wire/command_names.h"

struct command_row {
    bool (*check)(
        struct check *check); /* NULL: it cannot write documents, or its effect is unknown */
    bool (*concerns)(const struct concern *concern);
    bool harmless; /* it is known to write no documents of clients */
};

/* The row of a command that can write documents; NULL for others. */
const struct command_row *command_find(enum command_name name);

/* True if the command is known to write no documents of clients. */
bool command_is_harmless(enum command_name name);

#endif
