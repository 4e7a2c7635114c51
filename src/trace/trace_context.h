/* The context of a trace, and its text form: a traceparent of W3C Trace Context. Pure. */
#ifndef SLUICE_TRACE_TRACE_CONTEXT_H
#define SLUICE_TRACE_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRACE_ID_BYTES = 16, TRACE_SPAN_ID_BYTES = 8, TRACE_PARENT_CHARS = 55 };

struct trace_context {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[TRACE_SPAN_ID_BYTES];
    bool sampled;
};

/* Reads "00-<trace id>-<span id>-<flags>". A higher version may have more characters behind another
 * '-'. False for everything else. */
bool trace_context_read(const char *text, size_t len, struct trace_context *out);

/* Writes version 00, with a NUL. */
void trace_context_write(const struct trace_context *context, char out[TRACE_PARENT_CHARS + 1]);

/* Writes 2 * len digits in lower case, with a NUL. */
void trace_write_hex(const uint8_t *bytes, size_t len, char *out);

#endif
