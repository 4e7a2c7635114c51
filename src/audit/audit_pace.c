#include "audit/audit_pace.h"

enum { US_A_SECOND = 1000000, BATCH_MAX = 1000 };

int64_t audit_pace_next(struct audit_pace *pace, int64_t now_us)
{
    if (pace->rate == 0)
        return 0;
    if (pace->documents == 0)
        pace->since_us = now_us;
    pace->documents++;
    int64_t due_us =
        pace->since_us + (int64_t)(pace->documents * US_A_SECOND / (uint64_t)pace->rate);
    if (due_us <= now_us) { /* late: the limit counts from now */
        pace->since_us = now_us;
        pace->documents = 1;
        return US_A_SECOND / pace->rate;
    }
    return due_us - now_us;
}

int32_t audit_pace_batch(int64_t rate)
{
    if (rate == 0)
        return 0;
    int64_t batch = rate / 10;
    /* 1 would end the cursor on old servers */
    return (int32_t)(batch < 2 ? 2 : batch > BATCH_MAX ? BATCH_MAX : batch);
}
