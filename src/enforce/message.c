#include "enforce/message.h"

#include "base/memory.h"
#include "wire/sections.h"

enum { FLAG_BYTES = 4, CHECKSUM_BYTES = 4 };

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

static bool set_list(struct message_list *list, bool in_body, struct bytes content,
                     struct error *err)
{
    if (list->found)
        return error_set(err, ERROR_FAILED_TO_PARSE, "The command has '%s' twice", list->name);
    list->found = true;
    list->in_body = in_body;
    list->content = content;
    return true;
}

static struct message_list *find_list(struct message_list *lists, size_t count, const char *name,
                                      size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(lists[i].name) == len && memcmp(lists[i].name, name, len) == 0)
            return &lists[i];
    return NULL;
}

static bool read_sequences(const struct enforce_command *command, struct message_list *lists,
                           size_t count, struct error *err)
{
    struct bytes rest;
    struct section section;
    if (!open_sections(command->payload, command->flags, &rest))
        return malformed(err, "it has no sections");
    while (next_section(&rest, &section)) {
        if (section.kind != 1)
            continue;
        struct message_list *list = find_list(lists, count, section.name, section.name_len);
        if (list != NULL && !set_list(list, false, section.content, err))
            return false;
    }
    return bytes_left(&rest) == 0 || malformed(err, "a section does not end where it should");
}

static void read_option(const struct scan_element *field, struct message_options *options)
{
    if (scan_name_is(field, "ordered"))
        options->ordered = field->kind == BSON_KIND_NULL || scan_is_true(field);
    else if (scan_name_is(field, "bypassDocumentValidation"))
        options->bypass = scan_is_true(field);
    else if (scan_name_is(field, "stmtId") || scan_name_is(field, "stmtIds"))
        options->numbered = true;
}

static bool read_body(const struct enforce_command *command, struct message_list *lists,
                      size_t count, struct message_options *options, struct error *err)
{
    struct scan scan;
    struct scan_element field;
    if (!scan_open(&scan, command->body) || !scan_next(&scan, &options->first))
        return malformed(err, "it has no name");
    while (scan_next(&scan, &field)) {
        struct message_list *list = field.kind == BSON_KIND_ARRAY
                                        ? find_list(lists, count, field.name, field.name_len)
                                        : NULL;
        if (list == NULL)
            read_option(&field, options);
        else if (!set_list(list, true, field.value, err))
            return false;
    }
    return !scan.broken || malformed(err, "its body is not BSON");
}

/* Whether an array in the body holds documents. */
static bool check_array(struct message_list *list, struct error *err)
{
    struct scan scan;
    struct scan_element item;
    (void)scan_open(&scan, list->content);
    while (scan_next(&scan, &item))
        if (item.kind != BSON_KIND_OBJECT)
            list->found = false;
    return !scan.broken || malformed(err, "an array is not BSON");
}

bool message_read(const struct enforce_command *command, struct message_list *lists, size_t count,
                  struct message_options *options, struct error *err)
{
    *options = (struct message_options){.ordered = true};
    if (!read_sequences(command, lists, count, err) ||
        !read_body(command, lists, count, options, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (lists[i].found && lists[i].in_body && !check_array(&lists[i], err))
            return false;
    return true;
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
        if (!scan_next(&items->scan, &item))
            return false;
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

static void write_kept(struct build *out, const char *name, struct bytes array,
                       const struct plan *plan)
{
    struct scan scan;
    struct scan_element item;
    size_t next = 0;
    build_open_array(out, name);
    (void)scan_open(&scan, array);
    for (uint32_t i = 0; scan_next(&scan, &item); i++)
        if (plan_keeps(plan, i, &next))
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
        bool array = field.kind == BSON_KIND_ARRAY;
        if (array && (scan_name_is(&field, "stmtIds") ||
                      (list->in_body && scan_name_is(&field, list->name))))
            write_kept(out, field.name, field.value, plan);
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
