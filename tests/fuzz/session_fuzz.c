/* Stateful: a whole session room with its worker thread, up to four clients and a server. The input
 * is a play: the clients' messages, whole or cut or mutated, the server's answers, the clients that
 * leave, and the operator's actions. In the end all clients leave, and none of their resources may
 * be left. Input: moves: a byte that selects the move, followed by its parameters. */
#include <stdlib.h>

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
    MOVES_MAX = 40 /* of one play */
};

struct play {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t number; /* of the next message */
};

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
        rig_send(rig, client, message, first);
        rig_settle(rig);
        rig_send(rig, client, message + first, len - first);
        return;
    }
    rig_send(rig, client, message, len);
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
        (void)rig_serve(rig, next(play) % RIG_ANSWERS, (uint32_t)next(play) << 8 | next(play));
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
        rig_control(rig, next(play) % RIG_EVENTS);
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
