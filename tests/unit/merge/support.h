/* Insert commands as they are on the wire, and a merger with its surroundings. */
#ifndef SLUICE_TESTS_MERGE_SUPPORT_H
#define SLUICE_TESTS_MERGE_SUPPORT_H

#include "../json_document.h"

#include <stdio.h>

#include "base/memory.h"
#include "bson/scan.h"
#include "merge/merger.h"

/* An OP_MSG payload. */
struct command {
    size_t len;
    uint8_t data[4096];
};

/* Flags, a body out of extended JSON, and the documents as a sequence (NULL: none). */
struct command command_of(uint32_t flags, const char *body, const char *documents_array);
/* {insert: "c", $db: "test", ordered: true, …more} with one document {_id: id}; numbered when
 * number > 0, in the session `lsid`. */
struct command insert_of(int id, int lsid, int64_t number, const char *more);

struct bytes command_bytes(const struct command *command);
/* The lsid that insert_of makes of the number. */
void lsid_of(int lsid, uint8_t out[16]);

struct fixture {
    struct retry_table *retries;
    struct merger *merger;
    struct merger_rules rules;
    struct merger_origin origin;
    uint8_t identity[32];
    int64_t now_us;
    struct merger_answer answer; /* of the last submit */
    /* the answers that waiting retries received */
    int told;
    enum retry_result result;
    char reply[512]; /* as JSON */
};

int fixture_make(void **state);
int fixture_end(void **state);

/* Classifies and submits; the waiter's value is `waiter`. */
enum merger_outcome submit(struct fixture *f, const struct command *command, void *waiter);
/* The same with an insert_of. */
enum merger_outcome submit_id(struct fixture *f, int id, int lsid, int64_t number);
/* Makes the session known to the table: its number 1 passed directly. */
void know(struct fixture *f, int lsid);

enum { WAITERS_MAX = 8 };

/* What the waiters 1, 2, … were answered. */
struct answers {
    int count[WAITERS_MAX];
    char json[WAITERS_MAX][1024];
};

/* A batch_reply; the argument is a struct answers. */
void note(void *arg, void *waiter, struct bytes reply);
enum batch_verdict answer(struct fixture *f, struct batch *batch, const char *json,
                          struct answers *answers);

/* Waiters 1 … count wait behind an insert that was sent at once, each with the number `number` in
 * the session of its id (0: no numbers), and are taken. */
struct batch *batch_of(struct fixture *f, int count, int64_t number);

/* A resend is answered so. */
struct asked {
    enum resend_step step;
    char json[1024]; /* RESEND_ANSWER: the client's */
};
struct asked ask(struct fixture *f, struct merger_resend *resend, const char *json);

/* The body of a payload as relaxed extended JSON, into a buffer that the next call reuses. */
const char *body_json(const uint8_t *payload);
/* A document as relaxed extended JSON, likewise. */
const char *document_json(struct bytes document);
/* The number of documents in the sequence behind the body. */
size_t count_sequence(const uint8_t *payload, size_t len);

/* A document from extended JSON; the caller must call bson_destroy. */

uint64_t counted(const struct fixture *f, enum merger_counter which);
uint64_t barred(const struct fixture *f, enum grouping_bar bar);

#endif
