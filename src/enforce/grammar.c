#include "enforce/grammar.h"

#include "bson/number.h"

_Static_assert(MEANINGS <= 32, "a bit for each meaning");

/* Codes for which MongoDB has no names. */
enum {
    CODE_DUPLICATE = 40413,
    CODE_MISSING = 40414,
    CODE_UNKNOWN = 40415,
    CODE_TWO_SEQUENCES = 40431,
    CODE_IN_BODY_TOO = 40433
};

#define TYPES_NONE (TYPE_BIT(BSON_KIND_NULL) | TYPE_BIT(BSON_KIND_UNDEFINED))

static bool is_number(const struct scan_element *element)
{
    return (type_bits[element->kind] & TYPES_NUMBER) != 0;
}

bool grammar_is_true(const struct scan_element *element)
{
    static const struct number zero = {.form = NUMBER_INTEGER};
    struct number number;
    if (element->kind == BSON_KIND_BOOL)
        return *element->value.pos != 0;
    if (is_number(element) && number_read(element->kind, element->value.pos, &number))
        return number_compare(&number, &zero) != 0;
    return (type_bits[element->kind] & TYPES_NONE) == 0;
}

bool grammar_is_name(const struct scan_element *element, bool symbols, struct bytes *name)
{
    bool text = element->kind == BSON_KIND_STRING || (symbols && element->kind == BSON_KIND_SYMBOL);
    if (!text || bytes_left(&element->value) < 6)
        return false;
    *name = (struct bytes){element->value.pos + 4, element->value.end - 1};
    return memchr(name->pos, 0, bytes_left(name)) == NULL;
}

/* --- values --- */

static bool check_collection(const struct grammar *grammar, const struct scan_element *field,
                             struct error *err)
{
    static const struct number one = {.form = NUMBER_INTEGER, .integer = 1};
    struct number number;
    struct bytes name;
    if (is_number(field)) /* aggregate: 1 means no collection */
        return (number_read(field->kind, field->value.pos, &number) &&
                number_compare(&number, &one) == 0) ||
               error_set(err, ERROR_FAILED_TO_PARSE, "%s: '%s' must be a name or the number 1",
                         grammar->what, field->name);
    return grammar_is_name(field, true, &name) ||
           error_set(err, ERROR_INVALID_NAMESPACE,
                     "%s: '%s' is not a valid name of a collection or database: it is empty or "
                     "contains a NUL",
                     grammar->what, field->name);
}

static bool check_session(const struct grammar *grammar, const struct scan_element *field,
                          struct error *err)
{
    struct scan_element id;
    return scan_find(field->value, "id", &id) ||
           error_set(err, CODE_MISSING, "%s: 'lsid' lacks the required field 'id'", grammar->what);
}

/* A whole number of milliseconds. The server takes the decimal NaN as 0. */
static bool check_time(const struct grammar *grammar, const struct scan_element *field,
                       struct error *err)
{
    struct number number;
    int64_t ms = 0;
    bool ok = number_read(field->kind, field->value.pos, &number) &&
              ((number.form == NUMBER_DECIMAL && number_is_nan(&number)) ||
               (number_as_int64(&number, &ms) && ms >= 0 && ms <= INT32_MAX));
    return ok ||
           error_set(err, ERROR_BAD_VALUE, "%s: 'maxTimeMS' must be a whole number from 0 to %d",
                     grammar->what, INT32_MAX);
}

static bool check_value(const struct grammar *grammar, const struct scan_element *field,
                        enum grammar_meaning meaning, struct error *err)
{
    switch (meaning) {
    case MEANS_COLLECTION:
    case MEANS_DATABASE:
        return check_collection(grammar, field, err);
    case MEANS_SESSION:
        return check_session(grammar, field, err);
    case MEANS_TIME:
        return check_time(grammar, field, err);
    default:
        return true;
    }
}

/* --- fields --- */

static void keep(struct grammar_found *found, enum grammar_meaning meaning,
                 const struct scan_element *field)
{
    found->given |= 1U << meaning;
    found->at[meaning] = *field;
}

static bool take_meaning(const struct grammar *grammar, const struct grammar_field *row,
                         const struct scan_element *field, struct grammar_found *found,
                         struct error *err)
{
    if (row->meaning >= MEANS_WITH_FORM && !check_value(grammar, field, row->meaning, err))
        return false;
    if (row->meaning == MEANS_OPAQUE) {
        if (grammar_is_true(field))
            keep(found, row->meaning, field);
        return true;
    }
    /* for example replace and merge of mapReduce */
    if (grammar_has(found, row->meaning))
        return error_set(err, CODE_DUPLICATE, "%s: '%s' has the same meaning as another field",
                         grammar->what, row->name);
    keep(found, row->meaning, field);
    return true;
}

static inline bool take(const struct grammar *grammar, const struct grammar_field *row,
                        const struct scan_element *field, struct grammar_found *found,
                        struct error *err)
{
    type_mask bit = type_bits[field->kind];
    if ((row->kinds & bit) == 0)
        return error_set(err, row->code, "%s: '%s' has the wrong type '%s'", grammar->what,
                         row->name, type_alias(field->kind));
    if (row->meaning == MEANS_NOTHING || (bit & TYPES_NONE) != 0)
        return true;
    return take_meaning(grammar, row, field, found, err);
}

bool grammar_take_own(const struct grammar *grammar, const struct scan_element *field,
                      struct grammar_found *found, struct error *err)
{
    return take(grammar, &grammar->own, field, found, err);
}

static inline const struct grammar_field *find_known(const struct grammar *grammar,
                                                     enum field_name known)
{
    const struct grammar_field *end = grammar->at + grammar->count;
    for (const struct grammar_field *row = grammar->at; row < end; row++)
        if (row->known == known)
            return row;
    return NULL;
}

/* Names differ most in their length and their last byte. */
static inline const struct grammar_field *find_row(const struct grammar *grammar,
                                                   const struct scan_element *field)
{
    const struct grammar_field *row = grammar->at;
    const struct grammar_field *end = row + grammar->count;
    size_t len = field->name_len;
    if (len == 0)
        return NULL;
    char last = field->name[len - 1];
    for (; row < end; row++)
        if (row->name_len == len && row->name[len - 1] == last &&
            memcmp(row->name, field->name, len) == 0)
            return row;
    return NULL;
}

static bool unknown(const struct grammar *grammar, const struct scan_element *field, int code,
                    struct error *err)
{
    return error_set(
        err, code,
        "%s: mongosluice does not know the field '%.100s', or it occurs twice; mongosluice "
        "forwards only writes that it understands to a database with a schema",
        grammar->what, field->name);
}

bool grammar_take(const struct grammar *grammar, enum field_name known,
                  const struct scan_element *field, struct grammar_found *found, struct error *err)
{
    const struct grammar_field *row =
        known == FIELD_OTHER ? find_row(grammar, field) : find_known(grammar, known);
    if (row == NULL)
        return unknown(grammar, field, grammar->unknown, err);
    uint64_t bit = (uint64_t)1 << (row - grammar->at);
    if ((found->seen & bit) != 0) {
        bool sequence = grammar_has(found, row->meaning) && found->at[row->meaning].kind == 0;
        return error_set(err, sequence ? CODE_IN_BODY_TOO : CODE_DUPLICATE,
                         "%s: '%s' is given twice", grammar->what, row->name);
    }
    found->seen |= bit;
    return take(grammar, row, field, found, err);
}

bool grammar_take_sequence(const struct grammar *grammar, const struct scan_element *sequence,
                           struct grammar_found *found, struct error *err)
{
    const struct grammar_field *row = find_row(grammar, sequence);
    if (row == NULL || (row->meaning != MEANS_LIST && row->meaning != MEANS_NAMESPACES))
        return unknown(grammar, sequence, CODE_UNKNOWN, err);
    uint64_t bit = (uint64_t)1 << (row - grammar->at);
    if ((found->seen & bit) != 0)
        return error_set(err, CODE_TWO_SEQUENCES, "%s: '%s' is given twice", grammar->what,
                         row->name);
    found->seen |= bit;
    keep(found, row->meaning, sequence);
    return true;
}

bool grammar_end(const struct grammar *grammar, const struct grammar_found *found,
                 struct error *err)
{
    /* the required fields are first */
    for (size_t i = 0; i < grammar->count && grammar->at[i].missing != 0; i++)
        if (!grammar_has(found, grammar->at[i].meaning))
            return error_set(err, grammar->at[i].missing, "%s: '%s' is missing", grammar->what,
                             grammar->at[i].name);
    return true;
}

bool grammar_read(const struct grammar *grammar, struct bytes document, struct grammar_found *found,
                  struct error *err)
{
    struct scan scan;
    struct scan_element field;
    bool first = grammar->own.name != NULL;
    grammar_begin(found);
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field)) {
        bool taken = first ? grammar_take_own(grammar, &field, found, err)
                           : grammar_take(grammar, FIELD_OTHER, &field, found, err);
        if (!taken)
            return false;
        first = false;
    }
    if (scan.broken)
        return error_set(err, ERROR_INVALID_BSON, "%s is not BSON", grammar->what);
    return grammar_end(grammar, found, err);
}
