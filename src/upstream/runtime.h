/* libmongoc as a library of the process: started once, its messages sent to our log. Inside
 * src/upstream only. */
#ifndef SLUICE_UPSTREAM_RUNTIME_H
#define SLUICE_UPSTREAM_RUNTIME_H

#include <stddef.h>

/* Starts libmongoc at the first call and ends it at exit. Thread-safe. */
void runtime_start(void);

/* Messages of libmongoc on this thread are gathered in `text` (cut to fit, joined with "; ") until
 * runtime_capture_end, instead of being logged: while it parses a connection string they may quote
 * from it. */
void runtime_capture_begin(char *text, size_t cap);
void runtime_capture_end(void);

#endif
