/* Stateful: a whole session room with its worker thread, up to four clients and a server. The input
 * is a play: the clients' messages, whole or cut or mutated, the server's answers, the clients that
 * leave, and the operator's actions. In the end all clients leave, and none of their resources may
 * be left. Input: moves: a byte that selects the move, followed by its parameters. */
#include <stdlib.h>

#include "base/memory.h"
#include "session_rig.h"

#ifndef FUZZ_MODE
#define FUZZ_MODE RIG_SESSION /* the targets of shared mode define it */
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MOVE_SEND,
    MOVE_SEND_MUTATED,
    MOVE_SEND_PART,
    MOVE_SEND_RAW,
    MOVE_SERVE,
    MOVE_SERVE_RAW,
    MOVE_LEAVE,
    MOVE_CONTROL,
    MOVES,
    MOVES_MAX = 100, /* of one play */
    TIMES_MAX = 4,
    FAIL_FROM = 64,
    LOGIN_FROM = 128,
    LOGIN_WRONG_FROM = 240
};

struct play {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t number; /* of the next message */
    long fails_at;   /* the allocation of the next message or answer that fails, from 1; 0: none */
    unsigned times;  /* that time passed */
};

/* The next move's allocations fail from a number on, until settle. */
static void arm(struct play *play)
{
    if (play->fails_at > 0)
        memory_fail_after(play->fails_at);
}

static void settle(struct rig *rig, struct play *play)
{
    if (play->fails_at == 0)
        return;
    rig_settle(rig);
    memory_fail_never();
    play->fails_at = 0;
}

static uint8_t next(struct play *play)
{
    return play->at < play->end ? *play->at++ : 0;
}

static size_t take(struct play *play, size_t want, const uint8_t **data)
{
    size_t left = (size_t)(play->end - play->at);
    *data = play->at;
    play->at += want < left ? want : left;
    return want < left ? want : left;
}

/* A number from the input now and then, so that retries are met; else the next. */
static uint32_t number(struct play *play)
{
    uint8_t which = next(play);
    return which < 64 ? which : play->number++;
}

static void send_template(struct rig *rig, struct play *play, size_t client, int move)
{
    uint8_t message[RIG_MESSAGE_BYTES];
    size_t len = rig_message(next(play), number(play), message);
    if (move == MOVE_SEND_MUTATED) {
        size_t where = ((size_t)next(play) << 8 | next(play)) % len;
        message[where] ^= next(play);
    } else if (move == MOVE_SEND_PART) {
        size_t first = (size_t)next(play) * len / 256;
        arm(play);
        rig_send(rig, client, message, first);
        rig_settle(rig);
        rig_send(rig, client, message + first, len - first);
        settle(rig, play);
        return;
    }
    arm(play);
    rig_send(rig, client, message, len);
    settle(rig, play);
}

static void serve(struct rig *rig, struct play *play)
{
    uint8_t how = next(play);
    uint8_t high = next(play);
    uint8_t low = next(play);
    arm(play);
    (void)rig_serve(rig, (enum rig_answer)(how % RIG_ANSWERS), (uint32_t)high << 8 | low);
    settle(rig, play);
}

/* An operator's action, or the login of a client. */
static void control(struct rig *rig, struct play *play, size_t client)
{
    uint8_t what = next(play);
    enum rig_event event = (enum rig_event)(what % RIG_EVENTS);
    if (what >= FAIL_FROM && what < LOGIN_FROM)
        play->fails_at = what - FAIL_FROM + 1;
    else if (what >= LOGIN_FROM && FUZZ_MODE == RIG_VERIFIED)
        rig_log_in(rig, client, what > LOGIN_WRONG_FROM ? what - LOGIN_WRONG_FROM : 0);
    else if (event == RIG_SEND_LARGE)
        rig_send_large(rig, client, play->number++);
    else if (event == RIG_FINISH)
        rig_finish(rig, client);
    else if (event != RIG_TIME || play->times++ < TIMES_MAX)
        rig_control(rig, event);
    if (event == RIG_DRAIN && what < FAIL_FROM && play->fails_at > 0) {
        rig_fail_start(rig, play->fails_at);
        play->fails_at = 0;
    }
}

static void make_move(struct rig *rig, struct play *play)
{
    uint8_t first = next(play);
    size_t client = first / MOVES % RIG_CLIENTS;
    const uint8_t *raw = NULL;
    size_t len = 0;
    switch (first % MOVES) {
    case MOVE_SEND:
    case MOVE_SEND_MUTATED:
    case MOVE_SEND_PART:
        send_template(rig, play, client, first % MOVES);
        return; /* the next move may come before the worker has seen it */
    case MOVE_SEND_RAW:
        len = take(play, next(play), &raw);
        rig_send(rig, client, raw, len);
        break;
    case MOVE_SERVE:
        rig_settle(rig);
        serve(rig, play);
        break;
    case MOVE_SERVE_RAW:
        rig_settle(rig);
        len = take(play, next(play), &raw);
        rig_serve_raw(rig, raw, len);
        break;
    case MOVE_LEAVE:
        rig_leave(rig, client, (first & 0x80) != 0);
        break;
    default:
        control(rig, play, client);
        break;
    }
    rig_settle(rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig *rig;
    if (rig == NULL)
        rig = rig_open(FUZZ_MODE);
    struct play play = {.at = data, .end = data + size, .number = 64};
    for (int i = 0; i < MOVES_MAX && play.at < play.end; i++)
        make_move(rig, &play);
    if (!rig_end_all(rig))
        abort();
    return 0;
}
