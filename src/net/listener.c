#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/host_port.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/connector.h"

enum { ACCEPT_RETRY_MS = 100 };

/* A flood of clients must not keep the loop from its other work, such as following the topology.
 * Four times the number that a worker takes in its turn. */
enum { ACCEPTS_A_TURN = 64 };

struct listener {
    int fd;
    struct event *acceptable;
    struct event *retry;
    void (*accepted)(void *arg, int client_fd);
    void *arg;
};

static int bind_one(const struct addrinfo *address, int backlog)
{
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    connector_tune_socket(fd); /* accepted sockets inherit it */
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, backlog) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t len = sizeof address;
    (void)getsockname(fd, &address.any, &len);
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* What to do about a failed bind; "" for other failures. */
static const char *advice_for(int failure)
{
    switch (failure) {
    case EADDRINUSE:
        return "; is another program using the port?";
    case EACCES:
        return "; ports below 1024 need the capability CAP_NET_BIND_SERVICE: give it to the "
               "process, or use a higher port";
    case EADDRNOTAVAIL:
        return "; no network interface of this machine has this address: use one of its own, or "
               "0.0.0.0 for all";
    default:
        return "";
    }
}

int listener_bind(const char *host, uint16_t port, int backlog, const char *option,
                  uint16_t *bound_port, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    char service[8];
    char address[HOST_PORT_BYTES];
    host_port_write(host, port, address, sizeof address);
    (void)snprintf(service, sizeof service, "%u", port);
    int failure = getaddrinfo(host, service, &hints, &addresses);
    if (failure != 0) {
        (void)error_set(err, ERROR_BAD_VALUE, "cannot listen on %s: %s (option %s)", address,
                        gai_strerror(failure), option);
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *a = addresses; a != NULL && fd < 0; a = a->ai_next)
        fd = bind_one(a, backlog);
    if (fd < 0)
        (void)error_set(err, ERROR_BAD_VALUE, "cannot listen on %s: %s (option %s%s)", address,
                        strerror(errno), option, advice_for(errno));
    else
        *bound_port = port_of(fd);
    freeaddrinfo(addresses);
    return fd;
}

/* --- Unix sockets ------------------------------------------------------------------------------
 *
 * Between looking at a file and removing it, another proxy could put its own file there. So the
 * folder is locked meanwhile. The lock ends with the descriptor or with the process. */

enum { LOCK_TRIES = 50, LOCK_WAIT_US = 10000 };

/* Returns a descriptor that holds the lock, or -1. */
static int lock_folder(const char *path)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *name = strrchr(path, '/');
    sluice_assert(name != NULL);
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(name - path) + 1, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
        usleep(LOCK_WAIT_US); /* after all tries it goes on without the lock: no process binds for
                                 so long */
    return fd;
}

/* The errno of a trial connection; 0: a process listens. */
static int try_to_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int failure = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
    close(fd);
    return failure == EAGAIN ? 0 : failure; /* its backlog is full */
}

/* Removes the socket of a process that crashed. Returns the reason if the file stays. */
static const char *remove_leftover(const struct sockaddr_un *address)
{
    struct stat file;
    if (lstat(address->sun_path, &file) != 0)
        return strerror(errno);
    if (!S_ISSOCK(file.st_mode))
        return "a file that is not a socket has this path; remove it";
    int failure = try_to_connect(address);
    if (failure == 0)
        return "another process listens on it; use different folders or ports";
    if (failure != ECONNREFUSED || unlink(address->sun_path) != 0)
        return "another user's socket has this path; remove it or use another folder";
    return NULL;
}

/* NULL, or the reason of the failure. No client can connect before the file has its permissions,
 * because the socket does not listen yet. */
static const char *bind_unix(int fd, const struct sockaddr_un *address, unsigned mode, int backlog,
                             struct listener_file *file)
{
    struct stat bound;
    const struct sockaddr *any = (const struct sockaddr *)address;
    if (bind(fd, any, sizeof *address) != 0) {
        const char *cause = errno == EADDRINUSE ? remove_leftover(address) : strerror(errno);
        if (cause != NULL)
            return cause;
        if (bind(fd, any, sizeof *address) != 0)
            return strerror(errno);
    }
    if (chmod(address->sun_path, mode) == 0 && listen(fd, backlog) == 0 &&
        lstat(address->sun_path, &bound) == 0) {
        *file = (struct listener_file){.device = bound.st_dev, .inode = bound.st_ino};
        return NULL;
    }
    const char *cause = strerror(errno);
    (void)unlink(address->sun_path);
    return cause;
}

int listener_bind_unix(const char *path, unsigned mode, int backlog, const char *option,
                       struct listener_file *file, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        (void)error_set(err, ERROR_BAD_VALUE,
                        "cannot listen on %s: the path of a Unix socket has at most %zu bytes "
                        "(option %s)",
                        path, sizeof address.sun_path - 1, option);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int lock = lock_folder(path);
    const char *cause = fd < 0 ? strerror(errno) : bind_unix(fd, &address, mode, backlog, file);
    if (lock >= 0)
        close(lock);
    if (cause == NULL)
        return fd;
    (void)error_set(err, ERROR_BAD_VALUE, "cannot listen on %s: %s (option %s)", path, cause,
                    option);
    if (fd >= 0)
        close(fd);
    return -1;
}

void listener_remove_file(const char *path, const struct listener_file *file)
{
    struct stat there;
    int lock = lock_folder(path);
    if (lstat(path, &there) == 0 && there.st_dev == file->device && there.st_ino == file->inode)
        (void)unlink(path);
    if (lock >= 0)
        close(lock);
}

/* --- accepting ---------------------------------------------------------------------------------
 */

static void wait_for_descriptors(struct listener *listener)
{
    struct timeval wait = {.tv_usec = ACCEPT_RETRY_MS * 1000L};
    LOG_E(LOG_NETWORK, 1010, "listener", "Cannot accept connections; the proxy tries again",
          LOG_STR("error", strerror(errno)), LOG_INT("retryMillis", ACCEPT_RETRY_MS));
    event_del(listener->acceptable);
    event_add(listener->retry, &wait);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    (void)what;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (client < 0) {
            if (errno != EAGAIN)
                wait_for_descriptors(listener);
            return;
        }
        listener->accepted(listener->arg, client);
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    event_add(((struct listener *)arg)->acceptable, NULL);
}

void listener_stop(struct listener *listener)
{
    if (listener->retry != NULL)
        event_free(listener->retry);
    if (listener->acceptable != NULL)
        event_free(listener->acceptable);
    close(listener->fd);
    memory_free(listener);
}

struct listener *listener_start(struct event_base *base, int fd,
                                void (*accepted)(void *arg, int client_fd), void *arg,
                                struct error *err)
{
    struct listener *listener = memory_zalloc(sizeof *listener);
    if (listener == NULL) {
        close(fd);
        (void)error_no_memory(err, "a listener");
        return NULL;
    }
    *listener = (struct listener){.fd = fd, .accepted = accepted, .arg = arg};
    listener->retry = event_new(base, -1, 0, on_retry, listener);
    listener->acceptable = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, listener);
    if (listener->retry != NULL && listener->acceptable != NULL &&
        event_add(listener->acceptable, NULL) == 0)
        return listener;
    listener_stop(listener);
    (void)error_no_memory(err, "a listener");
    return NULL;
}
