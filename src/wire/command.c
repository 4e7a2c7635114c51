#include "wire/command.h"

#include <stddef.h>

#include "bson/scan.h"

/* --- fields -------------------------------------------------------------------------------------
 */

/* The last one counts, and it is known that there were others. */
static void read_database(struct wire_command *command, const struct scan_element *element)
{
    const char *text = NULL;
    size_t len = 0;
    bool named = scan_as_string(element, &text, &len) && len > 0 && memchr(text, 0, len) == NULL;
    command->database_unclear = !named || command->has_database;
    command->has_database = true;
    if (text != NULL)
        command->database = bytes_of(text, len);
}

static void read_number(struct wire_command *command, const struct scan_element *element)
{
    command->number_kind = element->kind;
    command->number = 0;
    command->number_is_whole = scan_as_int64(element, &command->number);
}

/* An array of documents, or statements. Others are found by nobody. */
static void read_list(struct wire_command *command, const struct scan_element *element)
{
    if ((element->kind != BSON_KIND_ARRAY && element->kind != BSON_KIND_OBJECT) ||
        command->list_count == WIRE_LISTS_MAX)
        return;
    command->lists[command->list_count++] = (struct document_list){.name = element->name,
                                                                   .name_len = element->name_len,
                                                                   .content = element->value,
                                                                   .in_body = true};
}

static void read_field(struct wire_command *command, enum field_name known,
                       const struct scan_element *element)
{
    switch (known) {
    case FIELD_DB:
        read_database(command, element);
        break;
    case FIELD_AUTOCOMMIT:
        command->in_transaction = !scan_is_true(element);
        break;
    case FIELD_START_TRANSACTION:
        command->starts_transaction = scan_is_true(element);
        break;
    case FIELD_LSID:
        command->lsid = lsid_read(element, &command->lsid_alone);
        break;
    case FIELD_TXN_NUMBER:
        read_number(command, element);
        break;
    case FIELD_DOCUMENTS:
    case FIELD_UPDATES:
    case FIELD_OPS:
    case FIELD_NS_INFO:
        read_list(command, element);
        break;
    default:
        break;
    }
}

static void read_name(struct wire_command *command, const struct scan_element *own)
{
    const char *text = NULL;
    size_t len = 0;
    command->name = own->name_len > 0 ? own->name : "";
    command->name_len = own->name_len;
    command->known = command_name_find(own->name, own->name_len);
    if (scan_as_string(own, &text, &len))
        command->collection = bytes_of(text, len);
}

/* --- the body -----------------------------------------------------------------------------------
 */

/* No command has a hundred; those of five million take a tenth of a second to look at. */
enum { FIELDS_MAX = 65536 };

/* Notes where the field stands; without room for it, that it and all behind it are not noted. */
static inline void note_field(struct wire_command *command, enum field_name known,
                              const struct scan_element *element)
{
    const uint8_t *body = command->body.pos;
    const uint8_t *name = (const uint8_t *)element->name;
    if (command->more_fields.pos != command->more_fields.end)
        return;
    if (command->field_count == WIRE_FIELDS_MAX || element->name_len > UINT16_MAX) {
        command->more_fields.pos = name - 1; /* its kind */
        return;
    }
    command->fields[command->field_count++] =
        (struct wire_field){.name = (uint32_t)(name - body),
                            .value = (uint32_t)(element->value.pos - body),
                            .end = (uint32_t)(element->value.end - body),
                            .name_len = (uint16_t)element->name_len,
                            .kind = element->kind,
                            .known = (uint8_t)known};
}

static bool refuse_fields(struct error *err)
{
    return error_set(err, ERROR_FAILED_TO_PARSE,
                     "the command has more than %d fields at its top level; no command has so many",
                     FIELDS_MAX);
}

static bool read_fields(struct wire_command *command, struct scan *scan, struct error *err)
{
    struct scan_element element;
    unsigned count = 1;
    command->more_fields = (struct bytes){scan->rest.end, scan->rest.end};
    if (!scan_next(scan, &element))
        return true;
    read_name(command, &element);
    note_field(command, field_name_find(element.name, element.name_len), &element);
    for (; scan_next(scan, &element); count++) {
        if (count == FIELDS_MAX)
            return refuse_fields(err);
        enum field_name known = field_name_find(element.name, element.name_len);
        read_field(command, known, &element);
        if (element.name_len == command->name_len &&
            memcmp(element.name, command->name, element.name_len) == 0)
            command->repeats_name = true;
        note_field(command, known, &element);
    }
    return true;
}

static bool read_body(struct wire_command *command, struct error *err)
{
    struct scan scan;
    command->name = "";
    command->name_len = 0;
    command->database = command->collection = bytes_of("", 0);
    command->more_fields = command->database;
    if (!scan_open(&scan, command->body))
        scan.broken = true;
    else if (!read_fields(command, &scan, err))
        return false;
    command->database_unclear = command->database_unclear || !command->has_database;
    return !scan.broken ||
           error_set(err, ERROR_INVALID_BSON, "the command's body is malformed BSON");
}

/* --- the message --------------------------------------------------------------------------------
 */

static void begin(struct wire_command *command)
{
    memset(command, 0, offsetof(struct wire_command, lists));
}

/* The sequences that have come as a whole. */
static void take_sections(struct wire_command *command, const struct wire_walk *walk)
{
    const uint8_t *from = command->payload.pos;
    size_t have = bytes_left(&command->payload);
    size_t count =
        walk->section_count < WIRE_SECTIONS_MAX ? walk->section_count : WIRE_SECTIONS_MAX;
    command->lists_left_out = walk->section_count > WIRE_SECTIONS_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct wire_section *section = &walk->sections[i];
        if (section->content == 0 || section->end > have)
            break;
        command->sections[command->section_count++] = *section;
        if (section->kind == WIRE_SECTION_TELEMETRY)
            command->telemetry = (struct bytes){from + section->content, from + section->end};
        if (section->kind != WIRE_SECTION_SEQUENCE)
            continue;
        uint32_t name = wire_section_name(section);
        command->lists[command->list_count++] =
            (struct document_list){.name = (const char *)from + name,
                                   .name_len = section->content - name - 1,
                                   .content = {from + section->content, from + section->end}};
    }
}

bool wire_command_read(const struct wire_walk *walk, struct bytes payload, size_t payload_bytes,
                       struct wire_command *out, struct error *err)
{
    begin(out);
    out->payload = payload;
    out->payload_bytes = payload_bytes;
    out->flags = walk->flags;
    out->body = bytes_of(payload.pos + walk->body_offset, walk->body_length);
    take_sections(out, walk);
    return read_body(out, err);
}

bool wire_command_read_whole(struct bytes payload, struct wire_command *out, struct error *err)
{
    struct wire_walk walk;
    size_t len = bytes_left(&payload);
    wire_walk_start(&walk, (uint32_t)len);
    begin(out);
    return wire_walk_feed(&walk, payload.pos, len, err) &&
           wire_command_read(&walk, payload, len, out, err);
}

bool wire_command_read_legacy(struct bytes body, struct bytes database, struct wire_command *out,
                              struct error *err)
{
    begin(out);
    out->payload = out->body = body;
    out->payload_bytes = bytes_left(&body);
    out->legacy = true;
    if (!read_body(out, err))
        return false;
    out->database = database;
    return true;
}

static void move_text(const char **text, size_t len, ptrdiff_t moved)
{
    if (len > 0)
        *text += moved;
}

static void move_bytes(struct bytes *bytes, ptrdiff_t moved)
{
    if (bytes_left(bytes) > 0)
        bytes_move(bytes, moved);
}

void wire_command_move(struct wire_command *command, struct bytes payload)
{
    ptrdiff_t moved = (ptrdiff_t)((uintptr_t)payload.pos - (uintptr_t)command->payload.pos);
    command->payload = payload;
    if (moved == 0)
        return;
    bytes_move(&command->body, moved);
    move_text(&command->name, command->name_len, moved);
    move_bytes(&command->collection, moved);
    move_bytes(&command->database, moved);
    move_bytes(&command->more_fields, moved);
    move_bytes(&command->telemetry, moved);
    if (command->lsid != NULL)
        command->lsid += moved;
    for (size_t i = 0; i < command->list_count; i++) {
        command->lists[i].name += moved;
        bytes_move(&command->lists[i].content, moved);
    }
}

void wire_command_come(struct wire_command *command, const struct wire_walk *walk,
                       struct bytes payload)
{
    struct document_list in_body[WIRE_LISTS_MAX];
    size_t count = 0;
    wire_command_move(command, payload);
    for (size_t i = 0; i < command->list_count; i++)
        if (command->lists[i].in_body)
            in_body[count++] = command->lists[i];
    command->list_count = 0;
    command->section_count = 0;
    take_sections(command, walk);
    for (size_t i = 0; i < count && command->list_count < WIRE_LISTS_MAX; i++)
        command->lists[command->list_count++] = in_body[i];
}

bool wire_command_has_sequences(const struct wire_command *command)
{
    /* flags and the body's kind */
    enum { HEAD_BYTES = 5, CHECKSUM_BYTES = 4 };
    size_t trailer = (command->flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? CHECKSUM_BYTES : 0;
    size_t telemetry = bytes_left(&command->telemetry);
    if (telemetry > 0)
        telemetry++; /* its kind */
    return !command->legacy &&
           command->payload_bytes > HEAD_BYTES + bytes_left(&command->body) + telemetry + trailer;
}

struct document_list *wire_command_sequence(struct wire_command *command, size_t index)
{
    return index < command->list_count && !command->lists[index].in_body ? &command->lists[index]
                                                                         : NULL;
}

struct document_list *wire_command_list_of(struct wire_command *command, struct bytes content)
{
    for (size_t i = 0; i < command->list_count; i++)
        if (command->lists[i].content.pos == content.pos)
            return &command->lists[i];
    return NULL;
}

bool wire_fields_next_slowly(struct wire_fields *fields, struct scan_element *element)
{
    if (!scan_next(&fields->more, element))
        return false;
    fields->known = field_name_find(element->name, element->name_len);
    return true;
}

bool wire_command_find(const struct wire_command *command, const char *name,
                       struct scan_element *element)
{
    struct wire_fields fields;
    size_t len = strlen(name);
    wire_fields_open(&fields, command);
    while (wire_fields_next(&fields, element))
        if (element->name_len == len && memcmp(element->name, name, len) == 0)
            return true;
    return false;
}
