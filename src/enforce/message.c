#include "enforce/message.h"

enum { CODE_NO_SEQUENCES = 40472 };

static bool malformed(struct error *err, const char *what)
{
    return error_set(err, ERROR_INVALID_BSON, "The command is malformed: %s", what);
}

/* --- reading --- */

static bool read_sequences(const struct enforce_command *command, const struct grammar *grammar,
                           struct grammar_found *found, struct error *err)
{
    const struct document_list *list = NULL;
    for (size_t i = 0; (list = wire_command_sequence(command->parsed, i)) != NULL; i++) {
        const struct scan_element sequence = {
            .name = list->name, .name_len = list->name_len, .value = list->content};
        if (!grammar->sequences)
            return error_set(err, CODE_NO_SEQUENCES,
                             "%s takes no document sequences (section "
                             "kind 1): '%.100s'",
                             grammar->what, sequence.name);
        if (!grammar_take_sequence(grammar, &sequence, found, err))
            return false;
    }
    return !command->parsed->lists_left_out || malformed(err, "it has too many sequences");
}

static bool read_body(const struct enforce_command *command, const struct grammar *grammar,
                      struct grammar_found *found, struct error *err)
{
    struct wire_fields fields;
    struct scan_element field;
    wire_fields_open(&fields, command->parsed);
    if (!wire_fields_next(&fields, &field))
        return malformed(err, "it has no name");
    if (!grammar_take_own(grammar, &field, found, err))
        return false;
    while (wire_fields_next(&fields, &field))
        if (!grammar_take(grammar, fields.known, &field, found, err))
            return false;
    return grammar_end(grammar, found, err);
}

/* The caller knows the expected number. */
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
           error_set(err, ERROR_INVALID_OPTIONS,
                     "a txnNumber needs a session, but 'lsid' is missing");
}

/* {w: 0}; with j or fsync the server waits for its disk and reports the full result. */
static bool is_unacknowledged(struct bytes write_concern)
{
    struct scan_element field;
    int64_t w = 0;
    if (!scan_find(write_concern, "w", &field) || !scan_as_int64(&field, &w) || w != 0)
        return false;
    return !(scan_find(write_concern, "j", &field) && scan_is_true(&field)) &&
           !(scan_find(write_concern, "fsync", &field) && scan_is_true(&field));
}

/* stmtIds is not in the stable API, and not every server knows it in bulkWrite (SecantusDB). */
static bool may_be_numbered(const struct wire_command *command)
{
    struct scan_element field;
    bool strict = scan_find(command->body, "apiStrict", &field) && scan_is_true(&field);
    return !strict && command->known != COMMAND_BULK_WRITE;
}

bool message_read(const struct enforce_command *command, const struct grammar *grammar,
                  struct grammar_found *found, struct message_options *options, struct error *err)
{
    *options = (struct message_options){.ordered = true};
    grammar_begin(found);
    /* an accepted sequence may replace a required field */
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
    if (!read_numbers(found, command->max_statements, options, err))
        return false;
    options->retryable = grammar_has(found, MEANS_TRANSACTION) && !options->numbered &&
                         !command->parsed->in_transaction && may_be_numbered(command->parsed);
    return true;
}

bool message_wrong_item(const struct document_list *list, const struct list_walk *walk,
                        struct error *err)
{
    return error_set(err, ERROR_TYPE_MISMATCH, "'%s.%.20s' must be a document, and has type '%s'",
                     list->name, walk->name, type_alias(walk->kind));
}

bool message_empty_list(const struct document_list *list, struct error *err)
{
    return error_set(err, ERROR_INVALID_LENGTH, "'%s' is empty; it needs at least one document",
                     list->name);
}

bool message_find_list(const struct enforce_command *command, const struct grammar_found *found,
                       enum grammar_meaning meaning, uint8_t *list, struct error *err)
{
    struct wire_command *parsed = command->parsed;
    const struct scan_element *field = &found->at[meaning];
    const struct document_list *of = wire_command_list_of(parsed, field->value);
    if (of == NULL)
        return malformed(err, "it has too many lists of documents");
    *list = (uint8_t)(of - parsed->lists);
    return of->in_body || bytes_left(&of->content) > 0 || message_empty_list(of, err);
}

bool message_end_list(const struct list_walk *walk, struct error *err)
{
    return list_walk_is_whole(walk) ||
           malformed(err, walk->in_body ? "an array is not BSON" : "a document is cut");
}
