#include "net/connector.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"

struct connector {
    struct worker *worker;
    connector_done done;
    void *arg;
    struct evdns_getaddrinfo_request *lookup; /* while the name is being resolved */
    struct evutil_addrinfo *addresses;        /* all answers, owned */
    struct evutil_addrinfo *next;             /* of them, the next to try */
    struct event *event;                      /* while a connect is under way */
    int fd;
    bool starting;  /* still inside connector_start: freed there */
    bool cancelled; /* while the lookup unwinds */
    bool ended;
    char cause[160];
};

static void connector_free(struct connector *connector)
{
    if (connector->event != NULL)
        event_free(connector->event);
    if (connector->fd >= 0)
        close(connector->fd);
    if (connector->addresses != NULL)
        evutil_freeaddrinfo(connector->addresses);
    memory_free(connector);
}

/* Hands over and goes. */
static void connector_end(struct connector *connector)
{
    connector_done done = connector->done;
    void *arg = connector->arg;
    int fd = connector->fd;
    char cause[sizeof connector->cause];
    memcpy(cause, connector->cause, sizeof cause);
    connector->fd = -1;
    connector->ended = true;
    if (!connector->starting)
        connector_free(connector);
    done(arg, fd, fd >= 0 ? NULL : cause);
}

static void set_cause(struct connector *connector, const char *what)
{
    (void)snprintf(connector->cause, sizeof connector->cause, "%s", what);
}

static void try_next(struct connector *connector);

static void connect_failed(struct connector *connector, const char *what)
{
    set_cause(connector, what);
    if (connector->event != NULL)
        event_free(connector->event);
    connector->event = NULL;
    if (connector->fd >= 0)
        close(connector->fd);
    connector->fd = -1;
}

static void connect_finished(evutil_socket_t fd, short what, void *arg)
{
    struct connector *connector = arg;
    int failure = 0;
    socklen_t len = sizeof failure;
    (void)what;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0)
        failure = errno;
    if (failure != 0) {
        connect_failed(connector, strerror(failure));
        try_next(connector);
        return;
    }
    connector_end(connector);
}

/* True when it connected or is under way. */
static bool connect_begin(struct connector *connector, const struct sockaddr *address,
                          socklen_t len)
{
    connector->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connector->fd < 0) {
        connect_failed(connector, strerror(errno));
        return false;
    }
    connector_tune_socket(connector->fd);
    if (connect(connector->fd, address, len) != 0 && errno != EINPROGRESS) {
        connect_failed(connector, strerror(errno));
        return false;
    }
    connector->event = event_new(worker_base(connector->worker), connector->fd, EV_WRITE,
                                 connect_finished, connector);
    if (connector->event == NULL || event_add(connector->event, NULL) != 0) {
        connect_failed(connector, "out of memory");
        return false;
    }
    return true;
}

static void try_next(struct connector *connector)
{
    while (connector->next != NULL) {
        struct evutil_addrinfo *address = connector->next;
        connector->next = address->ai_next;
        if (connect_begin(connector, address->ai_addr, (socklen_t)address->ai_addrlen))
            return;
    }
    connector_end(connector);
}

static void resolved(int result, struct evutil_addrinfo *addresses, void *arg)
{
    struct connector *connector = arg;
    connector->lookup = NULL;
    connector->addresses = addresses;
    connector->next = addresses;
    if (connector->cancelled) {
        connector_free(connector);
        return;
    }
    if (result != 0) {
        (void)snprintf(connector->cause, sizeof connector->cause, "name not resolved: %s",
                       evutil_gai_strerror(result));
        connector_end(connector);
        return;
    }
    try_next(connector);
}

static bool is_port(const char *text)
{
    char *end = NULL;
    unsigned long port = strtoul(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && strlen(text) <= 5 && *end == 0 && port >= 1 &&
           port <= UINT16_MAX;
}

bool connector_split_address(const char *address, char host[256], char port[8])
{
    const char *host_end = NULL;
    const char *colon = strchr(address, ':');
    if (address[0] == '[') {
        host_end = strchr(++address, ']');
        if (host_end == NULL || (host_end[1] != 0 && host_end[1] != ':'))
            return false;
        colon = host_end[1] == ':' ? host_end + 1 : NULL;
    } else {
        host_end = colon != NULL ? colon : address + strlen(address);
    }
    size_t len = (size_t)(host_end - address);
    const char *port_text = colon != NULL && colon[1] != 0 ? colon + 1 : "27017";
    if (len == 0 || len > 255 || !is_port(port_text))
        return false;
    memcpy(host, address, len);
    host[len] = 0;
    (void)snprintf(port, 8, "%s", port_text);
    return true;
}

static void start_unix(struct connector *connector, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        set_cause(connector, "the path of a Unix socket is too long");
        connector_end(connector);
        return;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (!connect_begin(connector, (struct sockaddr *)&address, sizeof address))
        connector_end(connector);
}

static void start_lookup(struct connector *connector, const char *address)
{
    char host[256];
    char port[8];
    /* without AI_ADDRCONFIG, for which libevent takes [::1] for an address of nobody's */
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    if (!connector_split_address(address, host, port)) {
        set_cause(connector, "the address is not HOST:PORT");
        connector_end(connector);
        return;
    }
    struct evdns_getaddrinfo_request *lookup =
        evdns_getaddrinfo(worker_dns(connector->worker), host, port, &hints, resolved, connector);
    if (!connector->ended && connector->event == NULL)
        connector->lookup = lookup;
}

struct connector *connector_start(struct worker *worker, const char *address, connector_done done,
                                  void *arg)
{
    struct connector *connector = memory_zalloc(sizeof *connector);
    if (connector == NULL) {
        done(arg, -1, "out of memory");
        return NULL;
    }
    connector->worker = worker;
    connector->done = done;
    connector->arg = arg;
    connector->fd = -1;
    connector->starting = true;
    if (address[0] == '/')
        start_unix(connector, address);
    else
        start_lookup(connector, address);
    connector->starting = false;
    if (!connector->ended)
        return connector;
    connector_free(connector);
    return NULL;
}

void connector_cancel(struct connector *connector)
{
    if (connector->lookup == NULL) {
        connector_free(connector);
        return;
    }
    connector->cancelled = true;
    evdns_getaddrinfo_cancel(connector->lookup); /* `resolved` follows and frees */
}

void connector_tune_socket(int fd)
{
    int on = 1;
    int idle_s = 120;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
}
