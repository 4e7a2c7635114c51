/* Limits the rate of reading. Pure: the time is a parameter. */
#ifndef SLUICE_AUDIT_AUDIT_PACE_H
#define SLUICE_AUDIT_AUDIT_PACE_H

#include <stdint.h>

struct audit_pace {
    int64_t rate;     /* documents a second; 0: no limit */
    int64_t since_us; /* the time of the first document */
    uint64_t documents;
};

/* Counts one document. Returns the time to wait before the next one, in microseconds. The rate
 * since the first document never exceeds `rate`, and time lost in a pause is not made up. */
int64_t audit_pace_next(struct audit_pace *pace, int64_t now_us);

/* The number of documents for one reply: a tenth of a second's, so that the server reads no more
 * than the limit allows. 0: as many as fit. */
int32_t audit_pace_batch(int64_t rate);

#endif
