/* The keywords in which two schemas differ, and the effect of each change. Pure. */
#ifndef SLUICE_COMPARE_CHANGES_H
#define SLUICE_COMPARE_CHANGES_H

#include "bson/scan.h"
#include "compare/compatibility.h"

/* One change, valid during the call. */
struct compatibility_change {
    const char *path;              /* JSON pointer into the schema */
    struct scan_element old_value; /* kind BSON_KIND_EOD: missing */
    struct scan_element new_value;
    /* narrower: NO comes with a document that OLD accepts and that NEW and this change alone
     * refuse. YES: the change refuses no document that NEW would accept without it. wider: the same
     * with OLD and NEW exchanged. */
    enum compatibility_answer keeps_old;
    enum compatibility_answer keeps_new;
    struct bytes refused_by_new;
    struct bytes refused_by_old;
};

typedef void compatibility_change_fn(void *arg, const struct compatibility_change *change);

/* "narrower", "wider", "both", "none" or "unknown"; a static string. A proved direction counts even
 * if the other one is unknown. */
const char *compatibility_effect(const struct compatibility_change *change);

/* Reports each change from the newest schema of OLD to that of NEW. Annotations such as `title` and
 * `description` are no changes. Schemas of different dialects have one change, at "". */
bool compatibility_list_changes(const struct compatibility_side *old_side,
                                const struct compatibility_side *new_side,
                                compatibility_change_fn *report, void *arg, struct error *err);

#endif
