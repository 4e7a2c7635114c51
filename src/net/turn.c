#include "net/turn.h"

#include <utlist.h>

void turn_wait(struct turn *turn, struct turn_waiter *waiter)
{
    if (waiter->waits)
        return;
    waiter->waits = true;
    DL_APPEND(turn->waiters, waiter);
}

void turn_forget(struct turn *turn, struct turn_waiter *waiter)
{
    if (!waiter->waits)
        return;
    waiter->waits = false;
    DL_DELETE(turn->waiters, waiter);
}

static void send_held(struct turn *turn)
{
    if (!outbox_is_empty(&turn->outbox))
        turn->send_held(turn);
}

int64_t turn_end(struct turn *turn)
{
    send_held(turn);
    while (turn->waiters != NULL) {
        struct turn_waiter *waiter = turn->waiters;
        turn_note(turn);
        turn_forget(turn, waiter);
        waiter->run(waiter->arg);
        if (clock_now_us() - turn->began_us >= TURN_HEAVY_US)
            break;
    }
    send_held(turn);
    if (turn->began_us == 0)
        return 0;
    int64_t us = clock_now_us() - turn->began_us;
    turn->began_us = 0;
    return us;
}
