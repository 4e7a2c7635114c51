#include "upstream/runtime.h"

#include "base/log.h"

#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local char *capture_text = NULL;
static _Thread_local size_t capture_cap = 0;
static char id[17];

static void capture(const char *message)
{
    size_t used = strlen(capture_text);
    (void)snprintf(capture_text + used, capture_cap - used, "%s%s", used > 0 ? "; " : "", message);
}

static void on_message(mongoc_log_level_t level, const char *domain, const char *message, void *arg)
{
    (void)arg;
    if (capture_text != NULL)
        capture(message);
    else
        LOG_D(LOG_TOPOLOGY, 5001, "libmongoc", message, LOG_STR("domain", domain),
              LOG_STR("severity", mongoc_log_level_str(level)));
}

/* Without random bytes it has no id, and nobody looks for one. */
static void make_id(void)
{
    uint8_t bytes[8];
    char version[64];
    if (getentropy(bytes, sizeof bytes) != 0)
        return;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    (void)snprintf(version, sizeof version, SLUICE_VERSION " %s", id);
    (void)mongoc_handshake_data_append("mongosluice", version, NULL);
}

const char *runtime_id(void)
{
    return id;
}

static void start(void)
{
    mongoc_log_set_handler(on_message, NULL); /* first: mongoc_init logs */
    mongoc_init();
    make_id();
    (void)atexit(mongoc_cleanup);
}

void runtime_start(void)
{
    (void)pthread_once(&once, start);
}

void runtime_capture_begin(char *text, size_t cap)
{
    text[0] = '\0';
    capture_cap = cap;
    capture_text = text;
}

void runtime_capture_end(void)
{
    capture_text = NULL;
}
