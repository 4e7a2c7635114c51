/* The keywords in which two schemas differ, and what each of the changes does by itself. Pure. */
#ifndef SLUICE_COMPARE_CHANGES_H
#define SLUICE_COMPARE_CHANGES_H

#include "bson/scan.h"
#include "compare/compatibility.h"

/* One change. All of it is lent for the call. */
struct compatibility_change {
    const char *path;              /* JSON pointer into the schema */
    struct scan_element old_value; /* kind BSON_KIND_EOD: it is not there */
    struct scan_element new_value;
    /* narrower: NO, with a document that OLD accepts and NEW refuses, and that this change alone
     * refuses too. YES: it refuses nothing that NEW does not accept all the same. wider: the same
     * with OLD and NEW exchanged. */
    enum compatibility_answer keeps_old;
    enum compatibility_answer keeps_new;
    struct bytes refused_by_new;
    struct bytes refused_by_old;
};

typedef void compatibility_change_fn(void *arg, const struct compatibility_change *change);

/* "narrower", "wider", "both", "none" or "unknown". A static string. What is proved counts, though
 * the other direction may be unknown. */
const char *compatibility_effect(const struct compatibility_change *change);

/* Reports each change from the newest schema of OLD to that of NEW. `title`, `description` and
 * other annotations are no changes. Schemas of different dialects have one change, at "". */
bool compatibility_list_changes(const struct compatibility_side *old_side,
                                const struct compatibility_side *new_side,
                                compatibility_change_fn *report, void *arg, struct error *err);

#endif
