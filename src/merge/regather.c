#include "merge/regather.h"

enum { US_OF_SECOND = 1000000 };

static void begin_epoch(struct regather *regather, int64_t now_us)
{
    regather->commands = 0;
    regather->inserts = 0;
    regather->since_us = now_us;
}

static void keep(struct regather *regather, bool on)
{
    regather->on = on;
    regather->trial = false;
    regather->epochs_left = REGATHER_KEPT_EPOCHS;
}

void regather_init(struct regather *regather)
{
    *regather = (struct regather){.on = true, .epochs_left = 1};
}

static void end_epoch(struct regather *regather, int64_t now_us)
{
    const uint64_t *rates = regather->rates;
    int64_t elapsed_us = now_us > regather->since_us ? now_us - regather->since_us : 1;
    regather->rates[regather->on] = regather->inserts * US_OF_SECOND / (uint64_t)elapsed_us;
    if (regather->trial) {
        keep(regather, rates[true] > rates[false] + rates[false] / REGATHER_GAIN_PART);
    } else if (--regather->epochs_left == 0) {
        regather->on = !regather->on;
        regather->trial = true;
    }
    begin_epoch(regather, now_us);
}

void regather_note_end(struct regather *regather, uint32_t inserts, int64_t now_us)
{
    regather->last_end_us = now_us;
    regather->inserts += inserts;
    if (++regather->commands == REGATHER_EPOCH_COMMANDS)
        end_epoch(regather, now_us);
}

void regather_begin(struct regather *regather, uint32_t expected, int64_t took_us, int64_t now_us)
{
    if (!regather->on)
        return;
    regather->expected = expected;
    regather->until_us = now_us + (took_us < REGATHER_MAX_US ? took_us : REGATHER_MAX_US);
}

void regather_note_sent(struct regather *regather, uint32_t waiting, int64_t now_us)
{
    bool in_vain =
        now_us >= regather->until_us && waiting < regather->expected - regather->expected / 4;
    bool was_idle = now_us - regather->last_end_us > (int64_t)2 * REGATHER_MAX_US;
    regather->expected = 0;
    if (in_vain) /* these clients do not send again at once */
        keep(regather, false);
    if (in_vain || was_idle) /* a rate counts only what is busy */
        begin_epoch(regather, now_us);
}
