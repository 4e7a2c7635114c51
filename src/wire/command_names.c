#include "wire/command_names.h"

#include <stdint.h>
#include <string.h>

struct spelling {
    const char *text;
    uint8_t len;
};

#define COMMAND_NAME_SPELLING(identifier, name) {name, sizeof(name) - 1},
static const struct spelling spellings[COMMAND_NAME_COUNT] = {{"", 0},
                                                              COMMAND_NAMES(COMMAND_NAME_SPELLING)};
#undef COMMAND_NAME_SPELLING

static int compare(const char *name, size_t len, const struct spelling *spelling)
{
    if (len != spelling->len)
        return len < spelling->len ? -1 : 1;
    return memcmp(name, spelling->text, len);
}

enum command_name command_name_find(const char *name, size_t len)
{
    size_t low = 1;
    size_t high = COMMAND_NAME_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(name, len, &spellings[middle]);
        if (order == 0)
            return (enum command_name)middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return COMMAND_UNKNOWN;
}

const char *command_name_text(enum command_name name)
{
    return spellings[name].text;
}
