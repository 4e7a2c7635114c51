#include "wire/field_names.h"

#include <stdint.h>
#include <string.h>

struct field_spelling {
    const char *text;
    uint8_t len;
};

#define FIELD_NAME_SPELLING(identifier, name, first, last) {name, sizeof(name) - 1},
static const struct field_spelling spellings[FIELD_NAME_COUNT] = {{"", 0},
                                                                  FIELD_NAMES(FIELD_NAME_SPELLING)};
#undef FIELD_NAME_SPELLING

/* Each name has a place of its own. The compiler refuses two in one place: then choose another sum.
 */
enum { PLACES = 128 };
#define PLACE(len, first, last) (((len) + (size_t)2 * (first) + (size_t)15 * (last)) % PLACES)

#define FIELD_NAME_PLACE(identifier, name, first, last)                                            \
    [PLACE(sizeof(name) - 1, first, last)] = FIELD_##identifier,
static const uint8_t places[PLACES] = {FIELD_NAMES(FIELD_NAME_PLACE)};
#undef FIELD_NAME_PLACE

enum field_name field_name_find(const char *name, size_t len)
{
    if (len == 0)
        return FIELD_OTHER;
    size_t place = PLACE(len, (size_t)(uint8_t)name[0], (size_t)(uint8_t)name[len - 1]);
    enum field_name found = (enum field_name)places[place];
    const struct field_spelling *spelling = &spellings[found];
    return spelling->len == len && memcmp(spelling->text, name, len) == 0 ? found : FIELD_OTHER;
}

const char *field_name_text(enum field_name name)
{
    return spellings[name].text;
}
