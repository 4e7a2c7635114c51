// Patterns of strings that are a row of classes of characters, each with a count: most that people
// write. Only ASCII is looked at, where all engines mean the same. Saying no is no verdict: then
// pydantic is asked.
#include "native.h"

#include <string.h>

// What one may stand in a row of: the bits of 128 characters, and how often.
struct atom {
    uint8_t characters[16];
    int32_t least, most; // most: -1 for any number
};

enum { MOST_STEPS = 2000 }; // of trying other counts, before pydantic is asked

static bool holds(const struct atom *atom, unsigned char character)
{
    return character < 128 && (atom->characters[character >> 3] >> (character & 7) & 1);
}

bool pattern_is_valid(PyObject *pattern)
{
    return PyBytes_CheckExact(pattern) &&
           (size_t)PyBytes_GET_SIZE(pattern) % sizeof(struct atom) == 0;
}

// Whether the atoms from `atom` to `end` match the whole rest of the text.
static bool match_rest(const struct atom *atom, const struct atom *end, const unsigned char *text,
                       Py_ssize_t left, int *steps)
{
    for (; atom < end; atom++) {
        Py_ssize_t longest = 0, most = atom->most < 0 || atom->most > left ? left : atom->most;
        while (longest < most && holds(atom, text[longest]))
            longest++;
        if (longest < atom->least)
            return false;
        if (longest != atom->least) { // other counts are possible
            for (Py_ssize_t count = longest; count >= atom->least; count--) {
                if (++*steps > MOST_STEPS)
                    return false;
                if (match_rest(atom + 1, end, text + count, left - count, steps))
                    return true;
            }
            return false;
        }
        text += longest;
        left -= longest;
    }
    return left == 0;
}

bool pattern_matches(PyObject *pattern, PyObject *text)
{
    if (!PyUnicode_IS_ASCII(text))
        return false;
    struct atom atoms[MOST_ATOMS];
    size_t size = (size_t)PyBytes_GET_SIZE(pattern);
    if (size > sizeof atoms)
        return false;
    memcpy(atoms, PyBytes_AS_STRING(pattern), size);
    int steps = 0;
    return match_rest(atoms, atoms + size / sizeof *atoms, PyUnicode_1BYTE_DATA(text),
                      PyUnicode_GET_LENGTH(text), &steps);
}
