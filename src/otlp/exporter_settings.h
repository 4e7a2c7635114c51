/* The options of an exporter, read and resolved. For the files of this room. */
#ifndef SLUICE_OTLP_EXPORTER_SETTINGS_H
#define SLUICE_OTLP_EXPORTER_SETTINGS_H

#include "base/http_url.h"
#include "net/http_client.h"
#include "otlp/exporter_options.h"
#include "trace/trail_spans.h"

enum { EXPORTER_HEADERS_MAX = 16, EXPORTER_PORT = 4318 };

struct exporter_settings {
    struct http_url url; /* its path points into `text` */
    struct tls_context *tls;
    struct trail_resource resource;                       /* its strings are owned */
    struct http_header headers[EXPORTER_HEADERS_MAX + 1]; /* owned, except the first one */
    size_t header_count;
    int64_t period_ms;
    int timeout_seconds;
    bool off;
    char *text; /* the endpoint */
};

/* NULL on failure. */
struct exporter_settings *exporter_settings_new(const struct exporter_options *options,
                                                struct error *err);
void exporter_settings_free(struct exporter_settings *settings); /* NULL is allowed */

/* The path of the endpoint, with the default of OTLP. */
const char *exporter_settings_path(const struct exporter_settings *settings);

#endif
