/* Builds the message that replaces a command, in portions. */
#include "enforce/message.h"

#include "base/memory.h"

/* The approximate cost of a step; a copied byte costs a quarter of this. */
enum { STEP_NS = 10, BYTES_A_NS = 4 };

enum { FLAG_BYTES = 4 };

enum stage {
    IN_SECTIONS, /* the next section */
    IN_BODY,     /* its next field */
    IN_ARRAY,    /* the next item of an array that accompanies the statements */
    IN_NUMBERS,  /* the next number, in place of the number of the first statement */
    IN_SEQUENCE, /* the next statement */
    OVER
};

struct message_rewrite {
    uint8_t *block; /* owned */
    size_t len;
    size_t room;
    bool failed; /* memory is out */
    enum stage stage;
    uint8_t section; /* of the command; the next one */
    struct scan body;
    struct scan array;
    struct list_walk statements;
    uint32_t index;  /* of the next statement */
    size_t next;     /* refusals before this one are passed */
    int64_t first;   /* the number of the first statement */
    bool numbered;   /* the numbers of a retryable write are added */
    uint32_t key;    /* of the next array element */
    size_t outer_at; /* the place of the section's or body's length … */
    size_t inner_at; /* … and the array's */
};

/* A retry must give each statement the same number, also if the schema changed and it keeps others.
 * Those before the first refusal have the server's own numbers. */
static bool adds_numbers(const struct message_parts *parts)
{
    return parts->options->retryable && !parts->plan->stopped;
}

size_t message_rewrite_bytes(const struct message_parts *parts)
{
    /* keys may grow, and numbers are added */
    size_t more = parts->list->in_body || parts->options->numbered || adds_numbers(parts)
                      ? (size_t)parts->plan->total * 2 * (BUILD_KEY_BYTES + 6)
                      : 0;
    return ENFORCE_FRONT_BYTES + bytes_left(&parts->command->parsed->payload) + more + 64;
}

void message_rewrite_free(struct message_rewrite *rewrite)
{
    if (rewrite == NULL)
        return;
    memory_free(rewrite->block);
    memory_free(rewrite);
}

/* --- writing --- */

static uint8_t *reserve(struct message_rewrite *w, size_t more)
{
    if (more > w->room - w->len) {
        size_t room = w->len + more + w->room / 2;
        uint8_t *block = w->failed ? NULL : memory_resize(w->block, room);
        if (block == NULL) {
            w->failed = true;
            return NULL;
        }
        w->block = block;
        w->room = room;
    }
    w->len += more;
    return w->block + w->len - more;
}

static void put(struct message_rewrite *w, const void *data, size_t len)
{
    uint8_t *at = reserve(w, len);
    if (at != NULL)
        memcpy(at, data, len);
}

static size_t put_length(struct message_rewrite *w)
{
    static const uint8_t nothing[4];
    put(w, nothing, sizeof nothing);
    return w->len - sizeof nothing;
}

/* Sets the length of the part from `at` to here. */
static void set_length(struct message_rewrite *w, size_t at)
{
    if (!w->failed)
        bytes_store_i32(w->block + at, (int32_t)(w->len - at));
}

static void put_element(struct message_rewrite *w, uint8_t kind, const char *name, size_t name_len,
                        struct bytes value)
{
    put(w, &kind, 1);
    put(w, name, name_len);
    put(w, "", 1);
    put(w, value.pos, bytes_left(&value));
}

static void put_item(struct message_rewrite *w, uint8_t kind, struct bytes value)
{
    char key[BUILD_KEY_BYTES];
    size_t len = build_key(w->key++, key);
    put_element(w, kind, key, len, value);
}

/* --- sections --- */

struct message_rewrite *message_rewrite_new(const struct message_parts *parts)
{
    struct message_rewrite *w = memory_zalloc(sizeof *w);
    if (w == NULL)
        return NULL;
    w->room = message_rewrite_bytes(parts);
    w->block = memory_alloc(w->room);
    if (w->block == NULL) {
        memory_free(w);
        return NULL;
    }
    const struct enforce_command *command = parts->command;
    uint8_t *front = reserve(w, ENFORCE_FRONT_BYTES + FLAG_BYTES);
    memset(front, 0, ENFORCE_FRONT_BYTES);
    bytes_store_i32(front + ENFORCE_FRONT_BYTES,
                    (int32_t)(command->parsed->flags & ~(uint32_t)WIRE_FLAG_CHECKSUM_PRESENT));
    return w;
}

static void begin_list(struct message_rewrite *w)
{
    w->index = 0;
    w->next = 0;
    w->key = 0;
}

static void put_section(struct message_rewrite *w, const struct wire_section *section,
                        const struct message_parts *parts)
{
    put(w, parts->command->parsed->payload.pos + section->at, section->end - section->at);
}

static void begin_body(struct message_rewrite *w, const struct wire_section *section,
                       const struct message_parts *parts)
{
    if (!parts->list->in_body && !parts->options->numbered && !adds_numbers(parts)) {
        put_section(w, section, parts);
        return;
    }
    put(w, "", 1);
    w->outer_at = put_length(w);
    (void)scan_open(&w->body, parts->command->parsed->body);
    w->stage = IN_BODY;
}

static void next_section(struct message_rewrite *w, const struct message_parts *parts)
{
    const struct wire_command *parsed = parts->command->parsed;
    if (w->section == parsed->section_count) {
        w->stage = OVER;
        return;
    }
    const struct wire_section *section = &parsed->sections[w->section++];
    if (section->kind == WIRE_SECTION_BODY) {
        begin_body(w, section, parts);
    } else if (parsed->payload.pos + section->content == parts->list->content.pos) {
        put(w, "\1", 1);
        w->outer_at = put_length(w);
        put(w, parts->list->name, parts->list->name_len + 1);
        list_walk_open(&w->statements, parts->list);
        begin_list(w);
        w->stage = IN_SEQUENCE;
    } else {
        put_section(w, section, parts);
    }
}

static void next_statement(struct message_rewrite *w, const struct message_parts *parts)
{
    struct bytes document;
    if (!list_walk_next(&w->statements, &document)) {
        set_length(w, w->outer_at);
        w->stage = IN_SECTIONS;
    } else if (plan_keeps(parts->plan, w->index++, &w->next)) {
        put(w, document.pos, bytes_left(&document));
    }
}

/* --- the body --- */

static void begin_array(struct message_rewrite *w, const char *name, enum stage stage)
{
    static const uint8_t kind = BSON_KIND_ARRAY;
    put(w, &kind, 1);
    put(w, name, strlen(name) + 1);
    w->inner_at = put_length(w);
    begin_list(w);
    w->stage = stage;
}

static void begin_numbers(struct message_rewrite *w, int64_t first)
{
    w->first = first;
    w->numbered = true;
    begin_array(w, "stmtIds", IN_NUMBERS);
}

static void end_array(struct message_rewrite *w)
{
    put(w, "", 1);
    set_length(w, w->inner_at);
    w->stage = IN_BODY;
}

static bool is_list(const struct scan_element *field, const struct document_list *list)
{
    return field->value.pos == list->content.pos;
}

static void end_body(struct message_rewrite *w, const struct message_parts *parts)
{
    if (adds_numbers(parts) && !w->numbered) {
        begin_numbers(w, 0);
        return;
    }
    put(w, "", 1);
    set_length(w, w->outer_at);
    w->stage = IN_SECTIONS;
}

static void next_field(struct message_rewrite *w, const struct message_parts *parts)
{
    struct scan_element field;
    int64_t number = 0;
    if (!scan_next(&w->body, &field)) {
        end_body(w, parts);
        return;
    }
    bool array = field.kind == BSON_KIND_ARRAY || field.kind == BSON_KIND_OBJECT;
    bool listed = parts->list->in_body && is_list(&field, parts->list);
    if (array && (listed || scan_name_is(&field, "stmtIds"))) {
        begin_array(w, field.name, IN_ARRAY);
        (void)scan_open(&w->array, field.value);
    } else if (scan_name_is(&field, "stmtId") && scan_as_int64(&field, &number) && number >= 0 &&
               number <= INT32_MAX - (int64_t)parts->plan->total) {
        begin_numbers(w, number);
    } else {
        put_element(w, field.kind, field.name, field.name_len, field.value);
    }
}

static bool is_no_statement(const struct scan_element *item)
{
    return item->kind == BSON_KIND_NULL || item->kind == BSON_KIND_UNDEFINED;
}

static void next_item(struct message_rewrite *w, const struct message_parts *parts)
{
    struct scan_element item;
    if (!scan_next(&w->array, &item))
        end_array(w);
    else if (is_no_statement(&item) || plan_keeps(parts->plan, w->index++, &w->next))
        put_item(w, item.kind, item.value);
}

/* Expands the number of the first statement to a list for the kept statements. */
static void next_number(struct message_rewrite *w, const struct message_parts *parts)
{
    uint8_t number[4];
    if (w->index == parts->plan->total) {
        end_array(w);
        return;
    }
    bytes_store_i32(number, (int32_t)(w->first + w->index));
    if (plan_keeps(parts->plan, w->index++, &w->next))
        put_item(w, BSON_KIND_INT32, bytes_of(number, sizeof number));
}

/* --- portions --- */

static void step(struct message_rewrite *w, const struct message_parts *parts)
{
    switch (w->stage) {
    case IN_SECTIONS:
        next_section(w, parts);
        break;
    case IN_BODY:
        next_field(w, parts);
        break;
    case IN_ARRAY:
        next_item(w, parts);
        break;
    case IN_NUMBERS:
        next_number(w, parts);
        break;
    case IN_SEQUENCE:
        next_statement(w, parts);
        break;
    case OVER:
        break;
    }
}

enum message_progress message_rewrite_step(struct message_rewrite *rewrite,
                                           const struct message_parts *parts, size_t *work,
                                           struct message_made *made)
{
    size_t before = rewrite->len;
    step(rewrite, parts);
    *work = STEP_NS + (rewrite->len - before) / BYTES_A_NS;
    if (rewrite->failed)
        return MESSAGE_NO_MEMORY;
    if (rewrite->stage != OVER)
        return MESSAGE_PART;
    made->block = rewrite->block;
    made->block_bytes = rewrite->room;
    made->payload =
        bytes_of(rewrite->block + ENFORCE_FRONT_BYTES, rewrite->len - ENFORCE_FRONT_BYTES);
    rewrite->block = NULL;
    return MESSAGE_DONE;
}

void message_rewrite_move(struct message_rewrite *rewrite, ptrdiff_t moved)
{
    bytes_move(&rewrite->body.rest, moved);
    bytes_move(&rewrite->array.rest, moved);
    list_walk_move(&rewrite->statements, moved);
}
