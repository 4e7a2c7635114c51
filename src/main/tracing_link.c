#include "main/tracing_link.h"

#include <stdio.h>
#include <unistd.h>

bool tracing_link_configure(struct exporter *exporter, const struct config *config,
                            struct error *err)
{
    char host[256] = "";
    char instance[sizeof host + 16];
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(instance, sizeof instance, "%s-%ld", host, (long)getpid());
    const struct exporter_options options = {.endpoint = config->tracing.endpoint,
                                             .headers = config->tracing.headers,
                                             .ca_file = config->tracing.ca_file,
                                             .service_name = config->tracing.service,
                                             .resource_attributes =
                                                 config->tracing.resource_attributes,
                                             .instance = instance,
                                             .period_ms = config->tracing.period_ms,
                                             .timeout_ms = config->tracing.timeout_ms};
    return exporter_configure(exporter, &options, err);
}

struct exporter *tracing_link_start(const struct config *config, unsigned workers,
                                    struct error *err)
{
    struct exporter *exporter = exporter_create(workers, (size_t)config->tracing.queue_max);
    if (exporter == NULL) {
        (void)error_no_memory(err, "the queues of spans");
        return NULL;
    }
    if (tracing_link_configure(exporter, config, err))
        return exporter;
    exporter_stop(exporter);
    return NULL;
}
