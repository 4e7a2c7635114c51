#include "otlp/exporter_settings.h"

#include <string.h>

#include "base/memory.h"
#include "base/name_values.h"
#include "net/tls.h"

void exporter_settings_free(struct exporter_settings *settings)
{
    if (settings == NULL)
        return;
    tls_context_release(settings->tls);
    for (size_t i = 1; i < settings->header_count; i++) {
        memory_free((void *)settings->headers[i].name);
        memory_free((void *)settings->headers[i].value);
    }
    memory_free((void *)settings->resource.service_name);
    memory_free((void *)settings->resource.attributes);
    memory_free((void *)settings->resource.instance);
    memory_free(settings->text);
    memory_free(settings);
}

static char *copy_bytes(const char *text, size_t len)
{
    char *copy = memory_alloc(len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

static bool add_header(struct exporter_settings *settings, const struct name_value *pair,
                       struct error *err)
{
    char value[NAME_VALUE_BYTES];
    size_t len = name_value_decode(pair, value);
    struct http_header *header = &settings->headers[settings->header_count];
    if (settings->header_count > EXPORTER_HEADERS_MAX)
        return error_set(err, ERROR_BAD_VALUE, "tracing.headers: more than %d headers",
                         EXPORTER_HEADERS_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < ' ')
            return error_set(err, ERROR_BAD_VALUE,
                             "tracing.headers: a value has a control character");
    settings->header_count++;
    header->name = copy_bytes(pair->name, pair->name_len);
    header->value = copy_bytes(value, len);
    return (header->name != NULL && header->value != NULL) ||
           error_no_memory(err, "the headers for the collector");
}

static bool read_headers(struct exporter_settings *settings, const char *rest, struct error *err)
{
    struct name_value pair;
    settings->headers[0] = (struct http_header){"Content-Type", "application/x-protobuf"};
    settings->header_count = 1;
    while (name_values_next(&rest, &pair))
        if (!add_header(settings, &pair, err))
            return false;
    return true;
}

static bool read_endpoint(struct exporter_settings *settings,
                          const struct exporter_options *options, struct error *err)
{
    struct tls_client_options tls = {.ca_file = options->ca_file[0] != 0 ? options->ca_file : NULL};
    if (!http_url_read(settings->text, &settings->url))
        return error_set(err, ERROR_BAD_VALUE, "tracing.endpoint: \"%.200s\" is no URL",
                         settings->text);
    if (settings->url.port == 0)
        settings->url.port = EXPORTER_PORT;
    if (settings->url.tls)
        settings->tls = tls_context_new_client(&tls, err);
    return !settings->url.tls || settings->tls != NULL;
}

static bool fill(struct exporter_settings *settings, const struct exporter_options *options,
                 struct error *err)
{
    enum { MS = 1000 };
    settings->period_ms = options->period_ms;
    settings->timeout_seconds = (int)((options->timeout_ms + MS - 1) / MS);
    settings->off = options->endpoint[0] == 0;
    settings->resource.service_version = SLUICE_VERSION;
    settings->text = memory_copy_string(options->endpoint);
    settings->resource.service_name = memory_copy_string(options->service_name);
    settings->resource.attributes = memory_copy_string(options->resource_attributes);
    settings->resource.instance = memory_copy_string(options->instance);
    if (settings->text == NULL || settings->resource.service_name == NULL ||
        settings->resource.attributes == NULL || settings->resource.instance == NULL)
        return error_no_memory(err, "the settings of tracing");
    return settings->off ||
           (read_headers(settings, options->headers, err) && read_endpoint(settings, options, err));
}

struct exporter_settings *exporter_settings_new(const struct exporter_options *options,
                                                struct error *err)
{
    struct exporter_settings *settings = memory_zalloc(sizeof *settings);
    if (settings == NULL) {
        (void)error_no_memory(err, "the settings of tracing");
        return NULL;
    }
    if (fill(settings, options, err))
        return settings;
    exporter_settings_free(settings);
    return NULL;
}

const char *exporter_settings_path(const struct exporter_settings *settings)
{
    const char *path = settings->url.path;
    return path[0] == 0 || strcmp(path, "/") == 0 ? "/v1/traces" : path;
}
