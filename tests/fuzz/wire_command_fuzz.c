/* Any message as a command, parsed as a whole, partly received, and after its bytes have moved:
 * every found part lies inside it, and plain scans find the same. Input: a byte that gives the
 * received part, then the payload of an OP_MSG. */
#include <stdlib.h>

#include "wire/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_inside(struct bytes part, struct bytes whole)
{
    require(part.pos >= whole.pos && part.end <= whole.end && part.pos <= part.end);
}

static void require_same(const struct scan_element *a, const struct scan_element *b)
{
    require(a->kind == b->kind && a->name == b->name && a->name_len == b->name_len &&
            a->value.pos == b->value.pos && a->value.end == b->value.end);
}

/* --- the body --- */

static void require_own(const struct wire_command *command, const struct scan_element *own)
{
    const char *text = NULL;
    size_t len = 0;
    require(command->name_len == own->name_len &&
            memcmp(command->name, own->name, own->name_len + 1) == 0);
    require(command->known == command_name_find(own->name, own->name_len));
    if (scan_as_string(own, &text, &len) && len > 0)
        require(command->collection.pos == (const uint8_t *)text);
    require(bytes_left(&command->collection) == len);
}

static bool is_name(const struct scan_element *element)
{
    const char *text = NULL;
    size_t len = 0;
    return scan_as_string(element, &text, &len) && len > 0 && memchr(text, 0, len) == NULL;
}

/* The fields are those that a scan finds, in the same order. */
static void require_fields(const struct wire_command *command)
{
    struct wire_fields fields;
    struct scan scan;
    struct scan_element field;
    struct scan_element same;
    size_t own_names = 0;
    size_t databases = 0;
    bool clear = false;
    bool session = false;
    wire_fields_open(&fields, command);
    require(scan_open(&scan, command->body));
    for (size_t i = 0; scan_next(&scan, &field); i++) {
        require(wire_fields_next(&fields, &same));
        require_same(&field, &same);
        if (i == 0) {
            require_own(command, &field);
            continue;
        }
        own_names += field.name_len == command->name_len &&
                     memcmp(field.name, command->name, field.name_len) == 0;
        if (scan_name_is(&field, "$db")) {
            databases++;
            clear = is_name(&field);
        }
        if (scan_name_is(&field, "lsid"))
            session = lsid_read(&field, NULL) != NULL;
    }
    require(!scan.broken && !wire_fields_next(&fields, &same));
    require(command->repeats_name == (own_names > 0));
    require(command->has_database == (databases > 0));
    require(command->database_unclear == (databases != 1 || !clear));
    require((command->lsid != NULL) == session);
}

/* The first field of each name is found by it. */
static void require_found(const struct wire_command *command)
{
    struct wire_fields fields;
    struct scan_element field;
    struct scan_element first;
    struct scan_element plain;
    wire_fields_open(&fields, command);
    for (size_t i = 0; i < 8 && wire_fields_next(&fields, &field); i++) {
        require(fields.known == field_name_find(field.name, field.name_len));
        require(fields.known == FIELD_OTHER ||
                strcmp(field_name_text(fields.known), field.name) == 0);
        require(wire_command_find(command, field.name, &first));
        require(scan_find(command->body, field.name, &plain));
        require_same(&first, &plain);
    }
    require(wire_command_find(command, "comment", &first) ==
            scan_find(command->body, "comment", &plain));
    if (command->known != COMMAND_UNKNOWN)
        require(strcmp(command_name_text(command->known), command->name) == 0);
}

/* --- the lists --- */

/* Half of the list is walked, and the rest after it has moved. */
static void require_movable(const struct document_list *list, size_t items)
{
    struct list_walk walk;
    struct bytes item;
    struct document_list moved = *list;
    size_t len = bytes_left(&list->content);
    uint8_t *copy = malloc(len + 1);
    require(copy != NULL);
    memcpy(copy, list->content.pos, len);
    moved.content = bytes_of(copy, len);
    list_walk_open(&walk, list);
    size_t count = 0;
    for (; count < items / 2; count++)
        require(list_walk_next(&walk, &item));
    list_walk_move(&walk, (ptrdiff_t)((uintptr_t)copy - (uintptr_t)list->content.pos));
    for (; list_walk_next(&walk, &item); count++)
        require_inside(item, moved.content);
    require(count == items);
    free(copy);
}

static void require_list(const struct document_list *list, struct bytes payload)
{
    struct list_walk walk;
    struct bytes item;
    size_t bytes = 0;
    size_t items = 0;
    require_inside(list->content, payload);
    require_inside(bytes_of(list->name, list->name_len + 1), payload);
    require(strlen(list->name) == list->name_len && !list->validated);
    list_walk_open(&walk, list);
    while (list_walk_next(&walk, &item)) {
        require_inside(item, list->content);
        require(walk.in_body ||
                (bytes_left(&item) >= 5 && bytes_load_u32(item.pos) == bytes_left(&item)));
        bytes += bytes_left(&item);
        items++;
    }
    require_movable(list, items);
    /* the walk over the sections has seen that documents fill a sequence */
    require(walk.in_body || (list_walk_is_whole(&walk) && bytes == bytes_left(&list->content)));
}

/* Sections stand side by side, from behind the flags to the end or the checksum. */
static void require_sections(const struct wire_command *command)
{
    size_t sequences = 0;
    uint32_t at = 4;
    for (size_t i = 0; i < command->section_count; i++) {
        const struct wire_section *section = &command->sections[i];
        require(section->at == at && section->end > section->at);
        at = section->end;
        const uint8_t *content = command->payload.pos + section->content;
        if (section->kind != WIRE_SECTION_SEQUENCE) {
            bool body = section->kind == WIRE_SECTION_BODY;
            require(content == (body ? command->body.pos : command->telemetry.pos));
            require(body || command->telemetry.end == command->payload.pos + section->end);
            continue;
        }
        require(sequences < command->list_count);
        const struct document_list *list = &command->lists[sequences++];
        require(!list->in_body && content == list->content.pos);
        require(command->payload.pos + section->end == list->content.end);
    }
    for (size_t i = sequences; i < command->list_count; i++)
        require(command->lists[i].in_body);
    size_t end =
        command->payload_bytes - ((command->flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? 4 : 0);
    if (wire_command_is_whole(command) && !command->lists_left_out)
        require(at == end && wire_command_has_sequences(command) == (sequences > 0));
}

static void require_right(const struct wire_command *command)
{
    require_inside(command->body, command->payload);
    if (command->lsid != NULL)
        require_inside(bytes_of(command->lsid, LSID_BYTES), command->body);
    if (bytes_left(&command->database) > 0)
        require_inside(command->database, command->body);
    struct wire_command *own = (struct wire_command *)(uintptr_t)command;
    require_fields(command);
    require_found(command);
    require_sections(command);
    require(wire_command_list_of(own, bytes_of("", 0)) == NULL);
    require(wire_command_sequence(own, WIRE_LISTS_MAX) == NULL);
    for (size_t i = 0; i < command->list_count; i++) {
        require_list(&command->lists[i], command->payload);
        require(wire_command_list_of(own, command->lists[i].content) == &command->lists[i]);
        require((wire_command_sequence(own, i) == NULL) == command->lists[i].in_body);
    }
}

/* --- the ways it comes --- */

/* Two that were parsed from copies of the same bytes. */
static void require_equal(const struct wire_command *a, const struct wire_command *b)
{
    require(a->flags == b->flags && a->known == b->known && a->number == b->number &&
            a->number_kind == b->number_kind && a->in_transaction == b->in_transaction &&
            a->starts_transaction == b->starts_transaction && a->field_count == b->field_count &&
            a->body.pos - a->payload.pos == b->body.pos - b->payload.pos &&
            bytes_left(&a->body) == bytes_left(&b->body) &&
            bytes_left(&a->database) == bytes_left(&b->database));
}

static void move(const struct wire_command *command)
{
    size_t len = bytes_left(&command->payload);
    struct wire_command moved = *command;
    uint8_t *copy = malloc(len);
    require(copy != NULL);
    memcpy(copy, command->payload.pos, len);
    wire_command_move(&moved, bytes_of(copy, len));
    require_right(&moved);
    require_equal(&moved, command);
    free(copy);
}

/* The received bytes, in a block of their own; the rest follows in another. */
static void come_in_parts(struct bytes payload, size_t first, const struct wire_command *whole)
{
    struct wire_walk walk;
    struct wire_command part;
    bool read = false;
    uint8_t *come = malloc(first + 1);
    require(come != NULL);
    memcpy(come, payload.pos, first);
    wire_walk_start(&walk, (uint32_t)bytes_left(&payload));
    require(wire_walk_feed(&walk, come, first, NULL));
    if (walk.body_found && walk.body_length <= first - walk.body_offset) {
        read = wire_command_read(&walk, bytes_of(come, first), bytes_left(&payload), &part, NULL);
        require(read);
        require_right(&part);
        require_equal(&part, whole);
        /* telemetry that has not come yet may be a sequence */
        require(wire_command_has_sequences(&part) || !wire_command_has_sequences(whole));
    }
    require(wire_walk_feed(&walk, payload.pos + first, bytes_left(&payload) - first, NULL));
    if (read)
        wire_command_come(&part, &walk, payload);
    else
        require(wire_command_read(&walk, payload, bytes_left(&payload), &part, NULL));
    require(part.list_count == whole->list_count && part.section_count == whole->section_count);
    require_right(&part);
    require_equal(&part, whole);
    free(come);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_command command;
    struct error err = {0};
    if (size < 1)
        return 0;
    struct bytes payload = bytes_of(data + 1, size - 1);
    bool ok = wire_command_read_whole(payload, &command, &err);
    require(ok == (err.code == ERROR_NONE));
    if (ok) {
        require_right(&command);
        move(&command);
        come_in_parts(payload, data[0] * bytes_left(&payload) / 255, &command);
    }
    ok = wire_command_read_legacy(payload, bytes_of("d", 1), &command, NULL);
    require(!ok || (command.legacy && bytes_left(&command.database) == 1));
    if (ok)
        require(!wire_command_has_sequences(&command) && command.section_count == 0);
    return 0;
}
