/* Schemas, commands and replies as extended JSON, for the tests of the room. */
#ifndef SLUICE_TESTS_ENFORCE_SUPPORT_H
#define SLUICE_TESTS_ENFORCE_SUPPORT_H

#include "../json_document.h"

#include "enforce/enforce.h"

/* An entry from a schema file's text. */
struct registry_entry *support_entry(const char *text, enum registry_origin origin);

/* A message as a test writes it. */
struct support_message {
    uint32_t flags;
    const char *body;      /* JSON; its first field is the command */
    const char *name;      /* of a sequence, or NULL */
    const char *documents; /* of it: a JSON array */
    const char *name_2;    /* of another one */
    const char *documents_2;
    bool sequence_first; /* before the body */
    bool in_transaction;
};

/* The payload of the message; memory_free'd by the caller. With the flag for it, a checksum. A name
 * "?type" becomes "$type", which extended JSON has for something else. */
uint8_t *support_payload(const struct support_message *message, size_t *len);

/* Parses the command in that payload into *parsed; its database is "d" unless it names another. */
struct enforce_command support_command(const struct support_message *message, struct bytes payload,
                                       struct wire_command *parsed);

/* The room in which commands are checked, and the result of the last check. */
struct fixture {
    struct registry *registry;
    struct schema_scratch *scratch;
    struct enforce_result result;
    struct error err;
    char told[2048]; /* by the observer: "ns refused|warned reason;…" */
    size_t info_len; /* of the last errInfo */
    uint64_t now;
    unsigned portions; /* that the last command was checked in: as many as can be */
    size_t room;       /* for the memory of a check; 0: no limit */
    size_t taken;      /* of it */
    uint32_t max_statements;
    struct tally *tally; /* the test's own; NULL: none */
    struct tally_writer writer;
    int64_t wall_ms;
};

/* With one schema file's text. */
void fixture_open(struct fixture *f, const char *file);
void fixture_put(struct fixture *f, const char *file);
void fixture_close(struct fixture *f);
/* The result of the last command. */
void fixture_forget(struct fixture *f);
/* Also the result of the last command is forgotten. */
bool fixture_check(struct fixture *f, const struct support_message *message);
/* The command passes unchanged, is answered with `reply`, or is replaced by `message`. */
void fixture_forwards(struct fixture *f, const struct support_message *message);
void fixture_answers(struct fixture *f, const struct support_message *message, const char *reply);
void fixture_replaces(struct fixture *f, const struct support_message *message,
                      const struct support_message *by);
void fixture_drops(struct fixture *f, const struct support_message *message);
void fixture_fails(struct fixture *f, const struct support_message *message, int code);
/* The server's reply to the message of fixture_replaces, as the client receives it. */
void fixture_splices(struct fixture *f, const char *server, const char *client);
/* Of "d.c". */
void fixture_counted(struct fixture *f, enum registry_count which, uint64_t n);

/* errInfo of a document with that _id that lacks the required field "a". */
#define LACKS_A(id)                                                                                \
    "{\"failingDocumentId\":" id ",\"details\":{\"operatorName\":\"$jsonSchema\","                 \
    "\"schemaRulesNotSatisfied\":[{\"operatorName\":\"required\",\"specifiedAs\":{\"required\":["  \
    "\"a\"]},\"missingProperties\":[\"a\"]}]}}"
/* The write error for it. */
#define ERROR_A(index, id)                                                                         \
    "{\"index\":" index ",\"code\":121,\"errInfo\":" LACKS_A(id) ",\"errmsg\":\"Document failed "  \
                                                                 "validation\"}"

#define REQUIRES_A "\"schema\":{\"required\":[\"a\"]}"

#endif
