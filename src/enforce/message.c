#include "enforce/message.h"

#include "enforce/message_internal.h"

enum { CODE_NO_SEQUENCES = 40472 };

static bool malformed(struct error *err, const char *what)
{
    return error_set(err, ERROR_INVALID_BSON, "The command is malformed: %s", what);
}

/* --- reading --- */

static struct scan_element as_element(const struct section *section)
{
    return (struct scan_element){
        .kind = 0, .name = section->name, .name_len = section->name_len, .value = section->content};
}

bool message_next_sequence(const struct enforce_command *command, struct bytes *rest, bool *first,
                           struct scan_element *sequence)
{
    struct section section;
    if (*first && !message_open_sections(command->payload, command->flags, rest))
        return false;
    *first = false;
    while (message_next_section(rest, &section)) {
        if (section.kind != 1)
            continue;
        *sequence = as_element(&section);
        return true;
    }
    return false;
}

static bool read_sequences(const struct enforce_command *command, const struct grammar *grammar,
                           struct grammar_found *found, struct error *err)
{
    struct bytes rest = command->payload;
    struct scan_element sequence;
    bool first = true;
    while (message_next_sequence(command, &rest, &first, &sequence)) {
        if (!grammar->sequences)
            return error_set(err, CODE_NO_SEQUENCES,
                             "%s takes no document sequences (section "
                             "kind 1): '%.100s'",
                             grammar->what, sequence.name);
        if (!grammar_take_sequence(grammar, &sequence, found, err))
            return false;
    }
    return bytes_left(&rest) == 0 || malformed(err, "a section does not end where it should");
}

static bool read_body(const struct enforce_command *command, const struct grammar *grammar,
                      struct grammar_found *found, struct error *err)
{
    struct scan scan;
    struct scan_element field;
    if (!scan_open(&scan, command->body) || !scan_next(&scan, &field))
        return malformed(err, "it has no name");
    if (!grammar_take_own(grammar, &field, found, err))
        return false;
    while (scan_next(&scan, &field))
        if (!grammar_take(grammar, &field, found, err))
            return false;
    if (scan.broken)
        return malformed(err, "its body is not BSON");
    return grammar_end(grammar, found, err);
}

/* The caller knows how many there must be. */
static bool count_numbers(struct bytes array, uint32_t max, uint32_t *count, struct error *err)
{
    struct scan scan;
    struct scan_element number;
    (void)scan_open(&scan, array);
    for (; (max == 0 || *count <= max) && scan_next(&scan, &number); (*count)++)
        if ((type_bits[number.kind] & TYPES_NUMBER) == 0)
            return error_set(err, ERROR_TYPE_MISMATCH,
                             "'stmtIds.%.20s' must be a number, and has type '%s'", number.name,
                             type_alias(number.kind));
    if (scan.broken)
        return malformed(err, "'stmtIds' is not BSON");
    return *count > 0 || error_set(err, ERROR_INVALID_LENGTH,
                                   "The command has no number in 'stmtIds' for its statements");
}

static bool read_numbers(const struct grammar_found *found, uint32_t max_statements,
                         struct message_options *options, struct error *err)
{
    bool many = grammar_has(found, MEANS_NUMBERS);
    options->numbered = many || grammar_has(found, MEANS_NUMBER);
    if (many &&
        !count_numbers(found->at[MEANS_NUMBERS].value, max_statements, &options->numbers, err))
        return false;
    return !grammar_has(found, MEANS_TRANSACTION) || grammar_has(found, MEANS_SESSION) ||
           error_set(err, ERROR_INVALID_OPTIONS, "A txnNumber needs a session: 'lsid' is missing");
}

/* {w: 0}; with j or fsync the server waits for its own disk, and says all. */
static bool is_unacknowledged(struct bytes write_concern)
{
    struct scan_element field;
    int64_t w = 0;
    if (!scan_find(write_concern, "w", &field) || !scan_as_int64(&field, &w) || w != 0)
        return false;
    return !(scan_find(write_concern, "j", &field) && scan_is_true(&field)) &&
           !(scan_find(write_concern, "fsync", &field) && scan_is_true(&field));
}

bool message_read(const struct enforce_command *command, const struct grammar *grammar,
                  struct grammar_found *found, struct message_options *options, struct error *err)
{
    *options = (struct message_options){.ordered = true};
    grammar_begin(found);
    /* A sequence that is taken may stand for a field that must be there. */
    if ((grammar->sequences && !read_sequences(command, grammar, found, err)) ||
        !read_body(command, grammar, found, err) ||
        (!grammar->sequences && !read_sequences(command, grammar, found, err)))
        return false;
    if (grammar_has(found, MEANS_ORDERED))
        options->ordered = grammar_is_true(&found->at[MEANS_ORDERED]);
    if (grammar_has(found, MEANS_BYPASS))
        options->bypass = grammar_is_true(&found->at[MEANS_BYPASS]);
    if (grammar_has(found, MEANS_CONCERN))
        options->unheard = is_unacknowledged(found->at[MEANS_CONCERN].value);
    return read_numbers(found, command->max_statements, options, err);
}

bool message_wrong_item(const struct message_list *list, const struct message_items *items,
                        struct error *err)
{
    return error_set(err, ERROR_TYPE_MISMATCH, "'%s.%.20s' must be a document, and has type '%s'",
                     list->name, items->name, type_alias(items->kind));
}

bool message_empty_list(const struct message_list *list, struct error *err)
{
    return error_set(err, ERROR_INVALID_LENGTH, "'%s' is empty: it must have at least one document",
                     list->name);
}

bool message_open_list(const struct grammar_found *found, enum grammar_meaning meaning,
                       const char *name, bool skips, struct message_list *out, struct error *err)
{
    const struct scan_element *field = &found->at[meaning];
    *out = (struct message_list){
        .name = name, .in_body = field->kind != 0, .skips = skips, .content = field->value};
    return out->in_body || bytes_left(&field->value) > 0 || message_empty_list(out, err);
}

void message_items_open(const struct message_list *list, struct message_items *items)
{
    *items = (struct message_items){
        .in_body = list->in_body, .kind = BSON_KIND_OBJECT, .rest = list->content};
    if (list->in_body)
        (void)scan_open(&items->scan, list->content);
}

bool message_items_next(struct message_items *items, struct bytes *item)
{
    struct scan_element element;
    if (items->in_body) {
        if (!scan_next(&items->scan, &element))
            return false;
        items->kind = element.kind;
        items->name = element.name;
        *item = element.value;
        return true;
    }
    if (bytes_left(&items->rest) < 5)
        return false;
    int32_t len = bytes_load_i32(items->rest.pos);
    return len >= 5 && bytes_take(&items->rest, (size_t)len, item);
}

bool message_items_end(const struct message_items *items, struct error *err)
{
    if (items->in_body)
        return !items->scan.broken || malformed(err, "an array is not BSON");
    return bytes_left(&items->rest) == 0 || malformed(err, "a document is cut");
}

void message_list_move(struct message_list *list, ptrdiff_t moved)
{
    message_move(&list->content, moved);
}

void message_items_move(struct message_items *items, ptrdiff_t moved)
{
    message_move(&items->rest, moved);
    message_move(&items->scan.rest, moved);
}
