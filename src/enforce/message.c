#include "enforce/message.h"

#include "base/memory.h"
#include "wire/sections.h"

enum { FLAG_BYTES = 4, CHECKSUM_BYTES = 4, CODE_NO_SEQUENCES = 40472 };

/* A section of an OP_MSG. */
struct section {
    uint8_t kind;
    const char *name; /* of a sequence */
    size_t name_len;
    struct bytes content; /* the body, or a sequence's documents */
    struct bytes whole;
};

/* What is between the flags and the checksum. */
static bool open_sections(struct bytes payload, uint32_t flags, struct bytes *rest)
{
    size_t trailer = (flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? CHECKSUM_BYTES : 0;
    *rest = payload;
    if (!bytes_skip(rest, FLAG_BYTES) || bytes_left(rest) < trailer)
        return false;
    rest->end -= trailer;
    return true;
}

/* The next section; false at the end, or where it is broken: then *rest is not empty. */
static bool next_section(struct bytes *rest, struct section *out)
{
    struct bytes at = *rest;
    struct bytes sized;
    int32_t size = 0;
    if (!bytes_read_u8(&at, &out->kind) || out->kind > 1)
        return false;
    sized = at;
    if (!bytes_read_i32(&at, &size) || size < 5 || !bytes_take(&sized, (size_t)size, &at))
        return false;
    out->content = at;
    if (out->kind == 1) {
        (void)bytes_skip(&out->content, 4);
        if (!bytes_read_cstring(&out->content, &out->name, &out->name_len))
            return false;
    }
    out->whole = (struct bytes){rest->pos, sized.pos};
    *rest = (struct bytes){sized.pos, rest->end};
    return true;
}

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
    if (*first && !open_sections(command->payload, command->flags, rest))
        return false;
    *first = false;
    while (next_section(rest, &section)) {
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

static bool read_numbers(const struct grammar_found *found, struct message_options *options,
                         struct error *err)
{
    bool many = grammar_has(found, MEANS_NUMBERS);
    options->numbered = many || grammar_has(found, MEANS_NUMBER);
    if (many && bytes_left(&found->at[MEANS_NUMBERS].value) <= 5)
        return error_set(err, ERROR_INVALID_LENGTH,
                         "The command has no number in 'stmtIds' for its statements");
    return !grammar_has(found, MEANS_TRANSACTION) || grammar_has(found, MEANS_SESSION) ||
           error_set(err, ERROR_INVALID_OPTIONS, "A txnNumber needs a session: 'lsid' is missing");
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
    return read_numbers(found, options, err);
}

static bool is_nothing(uint8_t kind)
{
    return kind == BSON_KIND_NULL || kind == BSON_KIND_UNDEFINED;
}

static bool check_array(const struct message_list *list, bool skips, bool *any, struct error *err)
{
    struct scan scan;
    struct scan_element item;
    (void)scan_open(&scan, list->content);
    while (scan_next(&scan, &item)) {
        bool skipped = skips && is_nothing(item.kind);
        if (!skipped && item.kind != BSON_KIND_OBJECT)
            return error_set(err, ERROR_TYPE_MISMATCH,
                             "'%s.%.20s' must be a document, and has type '%s'", list->name,
                             item.name, type_alias(item.kind));
        *any = *any || !skipped;
    }
    return !scan.broken || malformed(err, "an array is not BSON");
}

bool message_open_list(const struct grammar_found *found, enum grammar_meaning meaning,
                       const char *name, bool skips, struct message_list *out, struct error *err)
{
    const struct scan_element *field = &found->at[meaning];
    *out =
        (struct message_list){.name = name, .in_body = field->kind != 0, .content = field->value};
    bool any = !out->in_body && bytes_left(&field->value) > 0;
    if (out->in_body && !check_array(out, skips, &any, err))
        return false;
    return any || error_set(err, ERROR_INVALID_LENGTH,
                            "'%s' is empty: it must have at least one "
                            "document",
                            name);
}

void message_items_open(const struct message_list *list, struct message_items *items)
{
    items->in_body = list->in_body;
    items->rest = list->content;
    if (list->in_body)
        (void)scan_open(&items->scan, list->content);
}

bool message_items_next(struct message_items *items, struct bytes *document)
{
    struct scan_element item;
    if (items->in_body) {
        do {
            if (!scan_next(&items->scan, &item))
                return false;
        } while (item.kind != BSON_KIND_OBJECT); /* null */
        *document = item.value;
        return true;
    }
    if (bytes_left(&items->rest) < 5)
        return false;
    int32_t len = bytes_load_i32(items->rest.pos);
    return len >= 5 && bytes_take(&items->rest, (size_t)len, document);
}

bool message_items_end(const struct message_items *items, struct error *err)
{
    return items->in_body || bytes_left(&items->rest) == 0 || malformed(err, "a document is cut");
}

/* --- rewriting --- */

/* The items of those statements that are kept. Null stands for no statement, and stays. */
static void write_kept(struct build *out, const struct scan_element *list, const struct plan *plan)
{
    struct scan scan;
    struct scan_element item;
    size_t next = 0;
    uint32_t index = 0;
    build_open_array(out, list->name);
    (void)scan_open(&scan, list->value);
    while (scan_next(&scan, &item))
        if (is_nothing(item.kind) || plan_keeps(plan, index++, &next))
            build_value(out, NULL, item.kind, item.value);
    build_close(out);
}

/* From the number of the first statement to a list of those that are kept. */
static void write_numbers(struct build *out, int64_t first, const struct plan *plan)
{
    size_t next = 0;
    build_open_array(out, "stmtIds");
    for (uint32_t i = 0; i < plan->total; i++)
        if (plan_keeps(plan, i, &next))
            build_int32(out, NULL, (int32_t)(first + i));
    build_close(out);
}

static bool write_body(const struct enforce_command *command, const struct message_list *list,
                       const struct plan *plan, struct build *out, struct bytes *body)
{
    struct scan scan;
    struct scan_element field;
    int64_t number = 0;
    build_begin(out, INT32_MAX);
    (void)scan_open(&scan, command->body);
    while (scan_next(&scan, &field)) {
        if (scan_name_is(&field, "stmtIds") || (list->in_body && scan_name_is(&field, list->name)))
            write_kept(out, &field, plan);
        else if (scan_name_is(&field, "stmtId") && scan_as_int64(&field, &number) && number >= 0 &&
                 number <= INT32_MAX - (int64_t)plan->total)
            write_numbers(out, number, plan);
        else
            build_value(out, field.name, field.kind, field.value);
    }
    return build_finish(out, body);
}

static size_t kept_bytes(const struct message_list *list, const struct plan *plan)
{
    struct message_items items;
    struct bytes document;
    size_t next = 0;
    size_t size = 0;
    message_items_open(list, &items);
    for (uint32_t i = 0; message_items_next(&items, &document); i++)
        if (plan_keeps(plan, i, &next))
            size += bytes_left(&document);
    return size;
}

static uint8_t *put(uint8_t *at, struct bytes bytes)
{
    memcpy(at, bytes.pos, bytes_left(&bytes));
    return at + bytes_left(&bytes);
}

static uint8_t *put_sequence(uint8_t *at, const struct message_list *list, const struct plan *plan)
{
    struct message_items items;
    struct bytes document;
    size_t next = 0;
    uint8_t *start = at;
    *at = 1;
    at = put(at + 5, bytes_of(list->name, strlen(list->name) + 1));
    message_items_open(list, &items);
    for (uint32_t i = 0; message_items_next(&items, &document); i++)
        if (plan_keeps(plan, i, &next))
            at = put(at, document);
    bytes_store_i32(start + 1, (int32_t)(at - start - 1));
    return at;
}

/* Whether the section is the sequence of the list. */
static bool is_list(const struct section *section, const struct message_list *list)
{
    return section->kind == 1 && !list->in_body && section->name_len == strlen(list->name) &&
           memcmp(section->name, list->name, section->name_len) == 0;
}

static size_t section_bytes(const struct section *section, const struct message_list *list,
                            const struct plan *plan, struct bytes body)
{
    if (section->kind == 0)
        return 1 + bytes_left(&body);
    if (is_list(section, list))
        return 1 + 4 + section->name_len + 1 + kept_bytes(list, plan);
    return bytes_left(&section->whole);
}

bool message_rewrite(const struct enforce_command *command, const struct message_list *list,
                     const struct message_options *options, const struct plan *plan,
                     uint8_t **block, struct bytes *payload, struct error *err)
{
    struct build build = {.data = NULL};
    struct bytes body = command->body;
    struct bytes rest;
    struct section section;
    size_t size = FLAG_BYTES;
    bool ok =
        (!list->in_body && !options->numbered) || write_body(command, list, plan, &build, &body);
    (void)open_sections(command->payload, command->flags, &rest);
    while (next_section(&rest, &section))
        size += section_bytes(&section, list, plan, body);
    *block = ok ? memory_alloc(size) : NULL;
    if (*block == NULL) {
        build_free(&build);
        return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "No memory for the rest of a command");
    }
    uint8_t *at = *block + FLAG_BYTES;
    bytes_store_i32(*block, (int32_t)(command->flags & ~(uint32_t)WIRE_FLAG_CHECKSUM_PRESENT));
    (void)open_sections(command->payload, command->flags, &rest);
    while (next_section(&rest, &section)) {
        if (section.kind == 0) {
            *at = 0;
            at = put(at + 1, body);
        } else if (is_list(&section, list)) {
            at = put_sequence(at, list, plan);
        } else {
            at = put(at, section.whole);
        }
    }
    build_free(&build);
    *payload = bytes_of(*block, size);
    return true;
}
