/* net/connector.h over the simulated network. */
#include "net/connector.h"

#include <stdio.h>
#include <string.h>

#include "base/host_port.h"
#include "base/memory.h"
#include "process.h"

struct connector {
    connector_done done;
    void *arg;
    struct descriptor *descriptor;
    struct event *event;
};

static void connected(evutil_socket_t fd, short what, void *arg)
{
    struct connector one = *(struct connector *)arg;
    (void)what;
    event_free(one.event);
    memory_free(arg);
    if (!one.descriptor->failed) {
        one.descriptor->handed = true;
        one.done(one.arg, fd, NULL);
        return;
    }
    descriptor_close(one.descriptor, false);
    one.done(one.arg, -1, "Connection refused");
}

struct connector *connector_start(struct worker *worker, const char *address, connector_done done,
                                  void *arg)
{
    struct connector *connector = memory_zalloc(sizeof *connector);
    if (connector == NULL) {
        done(arg, -1, "out of memory");
        return NULL;
    }
    connector->done = done;
    connector->arg = arg;
    connector->descriptor = descriptor_dial(
        address,
        strcmp(worker_base(worker)->name, "control") == 0 ? SOCKET_CONTROL : SOCKET_UPSTREAM);
    connector->event =
        event_new(worker_base(worker), connector->descriptor->fd, EV_WRITE, connected, connector);
    (void)event_add(connector->event, NULL);
    return connector;
}

void connector_cancel(struct connector *connector)
{
    event_free(connector->event);
    descriptor_close(connector->descriptor, false);
    memory_free(connector);
}

void connector_tune_socket(int fd)
{
    (void)fd;
}

bool connector_split_address(const char *address, char host[256], char port[8])
{
    struct host_port read;
    if (!host_port_read(address, strlen(address), &read))
        return false;
    memcpy(host, read.host, sizeof read.host);
    (void)snprintf(port, 8, "%u", read.has_port ? read.port : 27017);
    return true;
}
