/* Follows the deployment's change stream on its own thread, to learn of changes to collections by
 * all clients. A deployment without change streams (a standalone, or credentials without the
 * privilege) is asked again from time to time. Source: "Change Streams", "Change Events". */
#ifndef SLUICE_CATALOG_CHANGE_STREAM_H
#define SLUICE_CATALOG_CHANGE_STREAM_H

#include "base/error.h"
#include "catalog/suspensions.h"

struct change_stream;
struct uri;

struct change_stream_settings {
    int64_t retry_ms; /* between two attempts without a stream */
    /* On that thread: collections changed. */
    void (*changed)(void *arg, const struct suspension_scope *scope);
    /* On that thread: the stream starts; earlier changes are unknown. */
    void (*begins)(void *arg);
    void *arg;
};

/* `uri` is borrowed during the call. */
struct change_stream *change_stream_start(const struct uri *uri,
                                          const struct change_stream_settings *settings,
                                          struct error *err);
/* Waits for a current answer; no callback comes after it. NULL is allowed. */
void change_stream_stop(struct change_stream *stream);

#endif
