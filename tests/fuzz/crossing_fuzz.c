/* Stateful: authenticated sessions of two users and of none, through a whole session room that
 * merges, in front of a server that knows the user of each connection (accounts.h). Logins are
 * begun, crossed, doubled, ended, sent without replies and with any byte changed; users are dropped
 * and made anew; connections break. A document that runs on another user's connection is the
 * finding. Input: a byte for the server's manner, then moves: a byte that selects the move,
 * followed by its parameters. */
#include <stdlib.h>
#include <string.h>

#include "accounts.h"
#include "base/bytes.h"
#include "bson/build.h"
#include "bson/scan.h"
#include "wire/header.h"
#include "wire/sections.h"

#ifndef FUZZ_MODE
#define FUZZ_MODE RIG_SESSION /* the target crossing_shared defines it */
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
uint64_t crossing_batches(void); /* that were sent so far, for tests/unit/session/test_crossing.c */
uint64_t crossing_handed_over(void); /* accounts_handed_over, for the same in shared mode */

enum {
    MOVE_INSERT,
    MOVE_INSERT_NUMBERED,
    MOVE_LOGIN_STEP,
    MOVE_LOGIN_STEP_MUTATED,
    MOVE_WHOLE_LOGIN,
    MOVE_SERVE,
    MOVE_SERVE_ONE,
    MOVE_LEAVE,
    MOVES,
    MOVES_MAX = 60,    /* of one play */
    RENEW_FROM = 0xF8, /* of the byte that says the server's answer */
    REQUEST_ID_AT = 4,
    ROUNDS = 4 /* the proxy's own messages come before and behind a client's */
};

enum step {
    STEP_START,
    STEP_START_TWO,
    STEP_CONTINUE,
    STEP_CONTINUE_EMPTY,
    STEP_HELLO,
    STEP_HELLO_DISGUISED,
    STEP_HELLO_TWO,
    STEP_HELLO_ODD,
    STEP_AUTHENTICATE,
    STEP_LOGOUT,
    STEP_LOGOUT_TWO,
    STEP_PING,
    STEPS
};

struct play {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t number; /* of the next message */
    struct rig *rig;
    struct accounts *accounts;
    bool there[RIG_CLIENTS];
    accounts_life life[RIG_CLIENTS];
};

static const char *const starts[ACCOUNTS_USERS] = {"n,,n=alice,r=x", "n,,n=bob,r=x"};
static const char *const proofs[ACCOUNTS_USERS] = {"c=biws,proof=alice", "c=biws,proof=bob"};
static const char *const users[ACCOUNTS_USERS] = {"alice", "bob"};

static uint8_t next(struct play *play)
{
    return play->at < play->end ? *play->at++ : 0;
}

/* --- messages -----------------------------------------------------------------------------------
 */

static void add_binary(struct build *body, const char *name, const char *text)
{
    uint8_t value[64];
    size_t len = strlen(text);
    bytes_store_i32(value, (int32_t)len);
    value[4] = 0;
    memcpy(value + 5, text, len);
    build_value(body, name, BSON_KIND_BINARY, bytes_of(value, 5 + len));
}

static void add_start(struct build *body, unsigned user)
{
    build_int32(body, "saslStart", 1);
    build_text(body, "mechanism", "SCRAM-SHA-256");
    add_binary(body, "payload", starts[user]);
}

static void add_speculation(struct build *body, unsigned user, bool disguised)
{
    build_open_object(body, "speculativeAuthenticate");
    if (disguised) {
        build_int32(body, "authenticate", 1);
        build_text(body, "user", users[user]);
    }
    add_start(body, user);
    build_text(body, "db", "admin");
    build_close(body);
}

static void write_hello(struct build *body, enum step step, unsigned user)
{
    build_int32(body, user == 0 ? "hello" : "isMaster", 1);
    if (step == STEP_HELLO_ODD)
        build_int32(body, "speculativeAuthenticate", 1);
    if (step == STEP_HELLO_TWO)
        add_speculation(body, 1 - user, false);
    if (step != STEP_HELLO)
        add_speculation(body, user, step == STEP_HELLO_DISGUISED);
}

static void write_step(struct build *body, enum step step, unsigned user)
{
    switch (step) {
    case STEP_START:
        add_start(body, user);
        break;
    case STEP_START_TWO:
        add_start(body, user);
        add_binary(body, "payload", starts[1 - user]);
        break;
    case STEP_CONTINUE:
    case STEP_CONTINUE_EMPTY:
        build_int32(body, "saslContinue", 1);
        build_int32(body, "conversationId", 1);
        add_binary(body, "payload", step == STEP_CONTINUE ? proofs[user] : "");
        break;
    case STEP_AUTHENTICATE:
        build_int32(body, "authenticate", 1);
        build_text(body, "user", users[user]);
        build_text(body, "key", proofs[user]);
        break;
    case STEP_LOGOUT:
    case STEP_LOGOUT_TWO:
        build_int32(body, "logout", 1);
        if (step == STEP_LOGOUT_TWO)
            build_text(body, "$db", user == 0 ? "admin" : "other");
        build_text(body, "$db", user == 0 && step == STEP_LOGOUT_TWO ? "other" : "admin");
        return;
    case STEP_PING:
        build_int32(body, "ping", 1);
        break;
    default:
        write_hello(body, step, user);
        break;
    }
    build_text(body, "$db", "admin");
}

/* Frames the body, with room behind it for more. */
static uint8_t *frame_body(struct build *body, uint32_t flags, uint8_t *out)
{
    struct bytes document;
    if (!build_finish(body, &document))
        abort();
    uint8_t *at = out + WIRE_HEADER_BYTES;
    bytes_store_i32(at, (int32_t)flags);
    at[4] = 0;
    memcpy(at + 5, document.pos, bytes_left(&document));
    at += 5 + bytes_left(&document);
    build_free(body);
    return at;
}

static size_t finish_frame(struct play *play, accounts_life life, uint8_t *out, const uint8_t *end)
{
    uint32_t id = rig_request_id(accounts_tag(life), ++play->number);
    struct wire_header header = {
        .length = (int32_t)(end - out), .request_id = (int32_t)id, .opcode = WIRE_OP_MSG};
    wire_header_write(out, &header);
    return (size_t)(end - out);
}

static size_t make_step(struct play *play, accounts_life life, enum step step, unsigned user,
                        uint32_t flags, uint8_t *out)
{
    struct build body;
    build_begin(&body, RIG_MESSAGE_BYTES);
    write_step(&body, step, user);
    uint8_t *end = frame_body(&body, flags, out);
    return finish_frame(play, life, out, end);
}

/* Few sessions and few numbers, so that retries are met. */
static void add_session(struct build *body, uint8_t which)
{
    uint8_t id[21] = {16, 0, 0, 0, 4};
    memset(id + 5, which & 3, 16);
    build_open_object(body, "lsid");
    build_value(body, "id", BSON_KIND_BINARY, bytes_of(id, sizeof id));
    build_close(body);
    build_int64(body, "txnNumber", which >> 2);
}

static size_t make_insert(struct play *play, accounts_life life, bool numbered, uint8_t *out)
{
    static const char name[] = "documents";
    struct build body;
    build_begin(&body, RIG_MESSAGE_BYTES);
    build_text(&body, "insert", "c");
    build_bool(&body, "ordered", false);
    if (numbered)
        add_session(&body, next(play));
    build_text(&body, "$db", "d");
    uint8_t *at = frame_body(&body, 0, out);
    *at = 1;
    uint8_t *document = at + 5 + sizeof name;
    memcpy(at + 5, name, sizeof name);
    size_t len = accounts_document(life, play->number + 1, document);
    bytes_store_i32(at + 1, (int32_t)(4 + sizeof name + len));
    return finish_frame(play, life, out, document + len);
}

/* --- moves --------------------------------------------------------------------------------------
 */

/* Starts a new client, with a message that reveals its upstream connection. */
static void be_there(struct play *play, size_t client)
{
    uint8_t message[RIG_MESSAGE_BYTES];
    if (play->there[client] && rig_is_there(play->rig, client))
        return;
    accounts_life life = accounts_next(play->accounts);
    size_t len = make_step(play, life, STEP_PING, 0, 0, message);
    rig_leave(play->rig, client, false);
    rig_watch(play->rig, client, accounts_tag(life));
    rig_send(play->rig, client, message, len);
    play->life[client] = accounts_begin(play->accounts);
    play->there[client] = true;
}

/* A client that the proxy closed stays closed until its next move. */
static void send_message(struct play *play, size_t client, const uint8_t *message, size_t len)
{
    if (rig_is_there(play->rig, client))
        rig_send(play->rig, client, message, len);
}

static void send_step(struct play *play, size_t client, bool mutated)
{
    uint8_t message[RIG_MESSAGE_BYTES];
    uint8_t which = next(play);
    uint32_t flags = (which & 0xC0) == 0xC0 ? WIRE_FLAG_MORE_TO_COME : 0;
    size_t len = make_step(play, play->life[client], (enum step)((which & 0x1F) % STEPS),
                           which >> 5 & 1, flags, message);
    if (mutated) {
        size_t where = ((size_t)next(play) << 8 | next(play)) % len;
        if (where >= REQUEST_ID_AT && where < REQUEST_ID_AT + 4)
            where += 4; /* the requestID tells the client */
        message[where] ^= next(play);
    }
    send_message(play, client, message, len);
}

static void send_insert(struct play *play, size_t client, bool numbered)
{
    uint8_t message[RIG_MESSAGE_BYTES];
    size_t len = make_insert(play, play->life[client], numbered, message);
    send_message(play, client, message, len);
}

/* Logs in as a driver does, with all replies. */
static void log_in(struct play *play, size_t client)
{
    uint8_t message[RIG_MESSAGE_BYTES];
    unsigned user = next(play) & 1;
    static const enum step steps[] = {STEP_START, STEP_CONTINUE, STEP_CONTINUE_EMPTY};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        size_t len = make_step(play, play->life[client], steps[i], user, 0, message);
        send_message(play, client, message, len);
        rig_settle(play->rig);
        for (int round = 0; round < (FUZZ_MODE == RIG_SHARED ? ROUNDS : 1); round++) {
            if (FUZZ_MODE == RIG_SHARED)
                accounts_serve(play->accounts, ACCOUNTS_RIGHT);
            else
                accounts_serve_one(play->accounts, play->life[client], ACCOUNTS_RIGHT);
            rig_settle(play->rig);
        }
    }
}

static enum accounts_answer answer_of(struct play *play)
{
    uint8_t how = next(play);
    if (how >= RENEW_FROM)
        accounts_renew(play->accounts, how & 1);
    return how < 0xD0   ? ACCOUNTS_RIGHT
           : how < 0xE0 ? ACCOUNTS_ERROR
           : how < 0xF0 ? ACCOUNTS_HANGUP
                        : ACCOUNTS_RIGHT;
}

static void make_move(struct play *play)
{
    uint8_t first = next(play);
    size_t client = first / MOVES % RIG_CLIENTS;
    int move = first % MOVES;
    if (move != MOVE_LEAVE)
        be_there(play, client);
    switch (move) {
    case MOVE_INSERT:
    case MOVE_INSERT_NUMBERED:
        send_insert(play, client, move == MOVE_INSERT_NUMBERED);
        return; /* the next move may come before the worker has seen it */
    case MOVE_LOGIN_STEP:
    case MOVE_LOGIN_STEP_MUTATED:
        send_step(play, client, move == MOVE_LOGIN_STEP_MUTATED);
        return;
    case MOVE_WHOLE_LOGIN:
        log_in(play, client);
        return;
    case MOVE_SERVE:
        rig_settle(play->rig);
        accounts_serve(play->accounts, answer_of(play));
        break;
    case MOVE_SERVE_ONE:
        rig_settle(play->rig);
        accounts_serve_one(play->accounts, play->life[client], answer_of(play));
        break;
    default:
        rig_leave(play->rig, client, (first & 0x80) != 0);
        play->there[client] = false;
        break;
    }
    rig_settle(play->rig);
}

static struct rig *rig;
static struct accounts *accounts;

uint64_t crossing_batches(void)
{
    return rig == NULL ? 0 : rig_batches(rig);
}

uint64_t crossing_handed_over(void)
{
    return accounts == NULL ? 0 : accounts_handed_over(accounts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (rig == NULL) {
        rig = rig_open(FUZZ_MODE);
        accounts = accounts_open(rig, FUZZ_MODE);
    }
    struct play play = {.at = data, .end = data + size, .rig = rig, .accounts = accounts};
    accounts_reset(accounts, next(&play));
    for (int i = 0; i < MOVES_MAX && play.at < play.end; i++)
        make_move(&play);
    if (!rig_end_all(rig))
        abort();
    return 0;
}
