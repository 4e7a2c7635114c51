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

#include "base/host_port.h"
#include "base/memory.h"

/* One dead address of a name must not cost connect_timeout_ms: while an attempt hangs, the next
 * address is tried beside it, and the first connection wins. Source: RFC 8305 ("Happy Eyeballs"),
 * section 5. */
enum { ATTEMPT_DELAY_MS = 250, ATTEMPTS_MAX = 8 };

/* A peer that acknowledges nothing for this time is dead. */
enum {
    KEEPALIVE_IDLE_S = 120,
    KEEPALIVE_INTERVAL_S = 10,
    KEEPALIVE_PROBES = 9,
    DEAD_AFTER_S = KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S * KEEPALIVE_PROBES
};

struct attempt {
    struct connector *connector;
    struct event *event; /* NULL: the attempt ended */
    int fd;
};

struct connector {
    struct worker *worker;
    connector_done done;
    void *arg;
    struct evdns_getaddrinfo_request *lookup; /* while the lookup runs */
    struct evutil_addrinfo *addresses;        /* all answers, owned */
    struct evutil_addrinfo *next;             /* the next of them to try */
    struct event *timer;                      /* while another address waits */
    struct attempt attempts[ATTEMPTS_MAX];
    unsigned attempt_count;
    unsigned under_way;
    int fd;         /* connected; -1 before that */
    bool starting;  /* inside connector_start, which then frees it */
    bool cancelled; /* while the lookup unwinds */
    bool ended;
    char cause[160];
};

static void attempt_end(struct attempt *attempt)
{
    if (attempt->event == NULL)
        return;
    event_free(attempt->event);
    attempt->event = NULL;
    attempt->connector->under_way--;
    if (attempt->fd >= 0)
        close(attempt->fd);
    attempt->fd = -1;
}

static void connector_free(struct connector *connector)
{
    for (unsigned i = 0; i < connector->attempt_count; i++)
        attempt_end(&connector->attempts[i]);
    if (connector->timer != NULL)
        event_free(connector->timer);
    if (connector->fd >= 0)
        close(connector->fd);
    if (connector->addresses != NULL)
        evutil_freeaddrinfo(connector->addresses);
    memory_free(connector);
}

/* Passes the result on and frees the connector. */
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

static void connect_finished(evutil_socket_t fd, short what, void *arg)
{
    struct attempt *attempt = arg;
    struct connector *connector = attempt->connector;
    int failure = 0;
    socklen_t len = sizeof failure;
    (void)what;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0)
        failure = errno;
    if (failure != 0) {
        set_cause(connector, strerror(failure));
        attempt_end(attempt);
        try_next(connector);
        return;
    }
    connector->fd = attempt->fd;
    attempt->fd = -1;
    attempt_end(attempt);
    connector_end(connector);
}

/* True if the attempt is under way. */
static bool connect_begin(struct connector *connector, const struct sockaddr *address,
                          socklen_t len)
{
    struct attempt *attempt = &connector->attempts[connector->attempt_count];
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        set_cause(connector, strerror(errno));
        return false;
    }
    connector_tune_socket(fd);
    unsigned dead_after_ms = DEAD_AFTER_S * 1000;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_after_ms, sizeof dead_after_ms);
    if (connect(fd, address, len) != 0 && errno != EINPROGRESS) {
        set_cause(connector, strerror(errno));
        close(fd);
        return false;
    }
    struct event *event =
        event_new(worker_base(connector->worker), fd, EV_WRITE, connect_finished, attempt);
    if (event == NULL || event_add(event, NULL) != 0) {
        set_cause(connector, "out of memory");
        if (event != NULL)
            event_free(event);
        close(fd);
        return false;
    }
    *attempt = (struct attempt){.connector = connector, .event = event, .fd = fd};
    connector->attempt_count++;
    connector->under_way++;
    return true;
}

static void delay_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    try_next(arg);
}

/* Starts the next address soon, if there is one, even if this attempt hangs. */
static void start_delay(struct connector *connector)
{
    static const struct timeval delay = {.tv_usec = (suseconds_t)ATTEMPT_DELAY_MS * 1000};
    if (connector->next == NULL)
        return;
    if (connector->timer == NULL)
        connector->timer = evtimer_new(worker_base(connector->worker), delay_over, connector);
    if (connector->timer != NULL)
        (void)evtimer_add(connector->timer, &delay);
}

static void try_next(struct connector *connector)
{
    while (connector->next != NULL && connector->attempt_count < ATTEMPTS_MAX) {
        struct evutil_addrinfo *address = connector->next;
        connector->next = address->ai_next;
        if (connect_begin(connector, address->ai_addr, (socklen_t)address->ai_addrlen)) {
            start_delay(connector);
            return;
        }
    }
    if (connector->under_way == 0)
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

bool connector_split_address(const char *address, char host[256], char port[8])
{
    enum { DEFAULT_PORT = 27017 };
    struct host_port read;
    size_t len = strlen(address);
    if (len > 0 && address[len - 1] == ':') /* the default port */
        len--;
    if (!host_port_read(address, len, &read) || (read.has_port && read.port == 0))
        return false;
    memcpy(host, read.host, sizeof read.host);
    (void)snprintf(port, 8, "%u", read.has_port ? read.port : DEFAULT_PORT);
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
    /* without AI_ADDRCONFIG, because libevent then rejects [::1] */
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    if (!connector_split_address(address, host, port)) {
        set_cause(connector, "the address is not HOST:PORT");
        connector_end(connector);
        return;
    }
    struct evdns_getaddrinfo_request *lookup =
        evdns_getaddrinfo(worker_dns(connector->worker), host, port, &hints, resolved, connector);
    if (!connector->ended && connector->under_way == 0)
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
    evdns_getaddrinfo_cancel(connector->lookup); /* `resolved` is called and frees it */
}

void connector_tune_socket(int fd)
{
    int on = 1;
    int idle_s = KEEPALIVE_IDLE_S;
    int interval_s = KEEPALIVE_INTERVAL_S;
    int probes = KEEPALIVE_PROBES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}
