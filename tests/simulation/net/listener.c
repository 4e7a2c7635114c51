/* net/listener.h over the simulated network. */
#include "net/listener.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "process.h"
#include "world_internal.h"

enum { ACCEPTS_A_TURN = 64 };

struct listener {
    int fd;
    struct event *acceptable;
    void (*accepted)(void *arg, int client_fd);
    void *arg;
};

/* The kernel's part of accepting. */
static void accept_end(void *arg, struct end *end)
{
    struct descriptor *door = arg;
    struct descriptor *client = descriptor_new(DESCRIPTOR_SOCKET);
    descriptor_attach(client, end);
    if (door->waiting_count == door->waiting_capacity) {
        door->waiting_capacity = door->waiting_capacity * 2 + 8;
        door->waiting =
            simulation_resize(door->waiting, door->waiting_capacity * sizeof *door->waiting);
    }
    door->waiting[door->waiting_count++] = client->fd;
    descriptor_look(door);
}

int listener_bind(const char *host, uint16_t port, int backlog, const char *option,
                  uint16_t *bound_port, struct error *err)
{
    struct descriptor *door = descriptor_new(DESCRIPTOR_LISTENER);
    (void)host;
    (void)backlog;
    (void)snprintf(door->address, sizeof door->address, "%.20s:%u", the_process->host, port);
    *bound_port = port;
    if (world_listen(the_process->world, door->address, accept_end, door))
        return door->fd;
    (void)error_set(err, ERROR_BAD_VALUE, "cannot listen on %s: in use (option %s)", door->address,
                    option);
    door->address[0] = 0; /* another listens there */
    descriptor_close(door, false);
    return -1;
}

int listener_bind_unix(const char *path, unsigned mode, int backlog, const char *option,
                       struct listener_file *file, struct error *err)
{
    (void)mode;
    (void)backlog;
    (void)file;
    (void)error_set(err, ERROR_BAD_VALUE, "Unix sockets are not simulated: %.200s (option %s)",
                    path, option);
    return -1;
}

void listener_remove_file(const char *path, const struct listener_file *file)
{
    (void)path;
    (void)file;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    struct descriptor *door = descriptor_find(fd);
    (void)what;
    for (int i = 0; i < ACCEPTS_A_TURN && door->waiting_count > 0; i++) {
        int client = door->waiting[0];
        door->waiting_count--;
        memmove(door->waiting, door->waiting + 1, door->waiting_count * sizeof *door->waiting);
        the_process->accepted++;
        descriptor_find(client)->handed = true;
        listener->accepted(listener->arg, client);
    }
    descriptor_look(door);
}

struct listener *listener_start(struct event_base *base, int fd,
                                void (*accepted)(void *arg, int client_fd), void *arg,
                                struct error *err)
{
    struct listener *listener = memory_zalloc(sizeof *listener);
    if (listener == NULL) {
        descriptor_close(descriptor_find(fd), false);
        (void)error_no_memory(err, "a listener");
        return NULL;
    }
    *listener = (struct listener){.fd = fd, .accepted = accepted, .arg = arg};
    listener->acceptable = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, listener);
    (void)event_add(listener->acceptable, NULL);
    return listener;
}

void listener_stop(struct listener *listener)
{
    event_free(listener->acceptable);
    descriptor_close(descriptor_find(listener->fd), false);
    memory_free(listener);
}
