#include "main/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

enum { STATUS_BYTES = 512 };

static struct {
    struct sockaddr_un address;
    socklen_t address_len; /* 0: no service manager */
    int64_t watchdog_ms;
    char status[STATUS_BYTES]; /* the last one sent */
} manager;

/* Half the time that the manager allows, as sd_watchdog_enabled(3) advises. */
static int64_t read_watchdog_ms(void)
{
    const char *us = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (us == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
        return 0;
    long long allowed_us = strtoll(us, NULL, 10);
    return allowed_us < 2000 ? 0 : allowed_us / 2000;
}

/* A path, or "@NAME" for an abstract socket. */
static bool read_address(const char *name)
{
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof manager.address.sun_path)
        return false;
    manager.address.sun_family = AF_UNIX;
    memcpy(manager.address.sun_path, name, len);
    if (name[0] == '@')
        manager.address.sun_path[0] = '\0';
    manager.address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

void notify_init(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    if (name != NULL && name[0] != '\0' && !read_address(name))
        LOG_W(LOG_CONTROL, 1057, "main",
              "NOTIFY_SOCKET names no socket; the service manager is told nothing",
              LOG_STR("socket", name));
    manager.watchdog_ms = manager.address_len > 0 ? read_watchdog_ms() : 0;
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

static void send_message(const char *message)
{
    if (manager.address_len == 0)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* The manager's queue may be full for a moment; the proxy must not wait for long. */
    const struct timeval limit = {.tv_usec = 200000};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (sendto(fd, message, strlen(message), MSG_NOSIGNAL,
               (const struct sockaddr *)&manager.address, manager.address_len) < 0)
        LOG_D(LOG_CONTROL, 1058, "main", "Cannot tell the service manager",
              LOG_STR("message", message));
    (void)close(fd);
}

void notify_ready(void)
{
    send_message("READY=1");
}

void notify_reloading(void)
{
    struct timespec now;
    char message[64];
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                   (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    send_message(message);
}

void notify_reloaded(void)
{
    send_message("READY=1");
}

void notify_stopping(void)
{
    send_message("STOPPING=1");
}

void notify_status(const char *status)
{
    char message[STATUS_BYTES + 8];
    char line[STATUS_BYTES];
    (void)snprintf(line, sizeof line, "%s", status);
    for (char *c = line; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    if (strcmp(line, manager.status) == 0)
        return;
    memcpy(manager.status, line, sizeof line);
    (void)snprintf(message, sizeof message, "STATUS=%s", line);
    send_message(message);
}

int64_t notify_watchdog_ms(void)
{
    return manager.watchdog_ms;
}

void notify_alive(void)
{
    send_message("WATCHDOG=1");
}
