/* Runs libmongoc in this process: starts it once and sends its messages to our log. For
 * src/upstream only. */
#ifndef SLUICE_UPSTREAM_RUNTIME_H
#define SLUICE_UPSTREAM_RUNTIME_H

#include <stddef.h>

/* Starts libmongoc at the first call and ends it at exit. Thread-safe. */
void runtime_start(void);

/* A random text that identifies this process. All clients of libmongoc in it send it in their
 * metadata: the driver's version ends with it. Call runtime_start before. */
const char *runtime_id(void);

/* Collects libmongoc's messages of this thread in `text` (cut to fit, joined with "; ") until
 * runtime_capture_end, and does not log them: messages about a connection string may quote it. */
void runtime_capture_begin(char *text, size_t cap);
void runtime_capture_end(void);

#endif
