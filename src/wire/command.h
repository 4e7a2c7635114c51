/* A command, parsed once: the sections of its message as the walk over them found them, and the top
 * level of its body. Routing, enforcing and merging read it; none of them parses the message again.
 * Nothing is owned; all pointers are into the message. Pure.
 *
 * Sources: specification "OP_MSG"; the fields that all commands share are those of the driver
 * specifications (sessions, transactions). */
#ifndef SLUICE_WIRE_COMMAND_H
#define SLUICE_WIRE_COMMAND_H

#include "wire/command_names.h"
#include "wire/document_list.h"
#include "wire/field_names.h"
#include "wire/lsid.h"
#include "wire/sections.h"

/* The sequences that a walk notes, and arrays of the body. */
enum { WIRE_LISTS_MAX = 5 };

/* No command of a driver has more. Fields behind them are read from the body each time. */
enum { WIRE_FIELDS_MAX = 20 };

/* A field of the body, in bytes from the body's start. */
struct wire_field {
    uint32_t name;
    uint32_t value;
    uint32_t end;
    uint16_t name_len;
    uint8_t kind;
    uint8_t known; /* enum field_name */
};

struct wire_command {
    struct bytes payload; /* of OP_MSG: flags, sections, perhaps a checksum; as far as it came */
    size_t payload_bytes; /* of the whole */
    struct bytes body;
    uint32_t flags;
    enum command_name known; /* the number of its name */
    const char *name;
    size_t name_len;
    struct bytes collection; /* the first field's value, where that is a string; else empty */
    struct bytes database;   /* $db; empty when the command has none */
    struct bytes telemetry;  /* the document of that section, once it has come; else empty */
    const uint8_t *lsid;     /* LSID_BYTES of the session's id; NULL without one */
    int64_t number;          /* txnNumber */
    uint8_t number_kind;     /* its type, 0 without one */
    bool number_is_whole;    /* else `number` is not set */
    bool lsid_alone;         /* lsid has nothing beside the id */
    bool legacy;             /* it came as OP_QUERY */
    bool repeats_name;       /* another field has the name of the first one, the command's */
    bool has_database;
    bool database_unclear; /* $db is not given once, as a string that can name a database */
    bool in_transaction;   /* autocommit: false */
    bool starts_transaction;
    bool lists_left_out; /* it has more sequences than stand in `lists` */
    uint8_t list_count;
    uint8_t section_count;
    uint8_t field_count;
    struct bytes more_fields; /* behind those in `fields`, to before the body's end */
    struct document_list lists[WIRE_LISTS_MAX]; /* the sequences first */
    struct wire_section
        sections[WIRE_SECTIONS_MAX]; /* in their order; all, unless lists_left_out */
    struct wire_field fields[WIRE_FIELDS_MAX];
};

/* Reads the command of an OP_MSG. `payload` is what has come, with the whole body; `walk` has
 * walked over it, and payload_bytes is how long it will be. False when the body is broken at its
 * top level, or has more fields than any command. */
bool wire_command_read(const struct wire_walk *walk, struct bytes payload, size_t payload_bytes,
                       struct wire_command *out, struct error *err);

/* The same for a whole payload, whose sections are walked first. */
bool wire_command_read_whole(struct bytes payload, struct wire_command *out, struct error *err);

/* The same for an OP_QUERY, which has nothing but a body and the name of its database. */
bool wire_command_read_legacy(struct bytes body, struct bytes database, struct wire_command *out,
                              struct error *err);

/* More of the message has come since it was read, and it may stand elsewhere. */
void wire_command_come(struct wire_command *command, const struct wire_walk *walk,
                       struct bytes payload);

/* The message stands elsewhere now. */
void wire_command_move(struct wire_command *command, struct bytes payload);

/* Whether all of it has come. */
static inline bool wire_command_is_whole(const struct wire_command *command)
{
    return bytes_left(&command->payload) == command->payload_bytes;
}

/* Whether there is anything beside the body and the telemetry section that has come; bytes that
 * have not come yet count. */
bool wire_command_has_sequences(const struct wire_command *command);

/* The index-th list that is a sequence; NULL behind the last. Look at lists_left_out, too. */
struct document_list *wire_command_sequence(struct wire_command *command, size_t index);

/* The list with that content; NULL where there is none. */
struct document_list *wire_command_list_of(struct wire_command *command, struct bytes content);

/* A walk over the fields of the body, the command's name first. */
struct wire_fields {
    const struct wire_command *command;
    unsigned next;
    enum field_name known; /* the number of the last one's name */
    struct scan more;
};

static inline void wire_fields_open(struct wire_fields *fields, const struct wire_command *command)
{
    fields->command = command;
    fields->next = 0;
    fields->more = (struct scan){.rest = command->more_fields};
}

/* Those that are not in command->fields. */
bool wire_fields_next_slowly(struct wire_fields *fields, struct scan_element *element);

static inline bool wire_fields_next(struct wire_fields *fields, struct scan_element *element)
{
    const struct wire_command *command = fields->command;
    if (fields->next == command->field_count)
        return wire_fields_next_slowly(fields, element);
    const struct wire_field *field = &command->fields[fields->next++];
    const uint8_t *body = command->body.pos;
    fields->known = (enum field_name)field->known;
    *element = (struct scan_element){.kind = field->kind,
                                     .name = (const char *)body + field->name,
                                     .name_len = field->name_len,
                                     .value = {body + field->value, body + field->end}};
    return true;
}

/* The first field of that name. */
bool wire_command_find(const struct wire_command *command, const char *name,
                       struct scan_element *element);

#endif
