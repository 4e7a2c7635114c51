/* How fast documents may be read. Pure: the time is a parameter. */
#ifndef SLUICE_AUDIT_AUDIT_PACE_H
#define SLUICE_AUDIT_AUDIT_PACE_H

#include <stdint.h>

struct audit_pace {
    int64_t rate;     /* documents a second; 0: no limit */
    int64_t since_us; /* the time of the first document */
    uint64_t documents;
};

/* One document has arrived. Answers how long to wait before the next, in microseconds: never more
 * than `rate` documents a second since the first, and a pause makes up for nothing. */
int64_t audit_pace_next(struct audit_pace *pace, int64_t now_us);

/* Documents for one reply, so that the server is asked for no more than the limit needs: a tenth of
 * a second's. 0: as many as fit a reply. */
int32_t audit_pace_batch(int64_t rate);

#endif
