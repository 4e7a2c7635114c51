/* Descriptors of the simulated process, and the ends of connections under them. */
#include "process.h"

#include <stdlib.h>
#include <string.h>

#include "world_internal.h"

struct process *the_process;

struct descriptor *descriptor_find(int fd)
{
    size_t at = (size_t)(fd - DESCRIPTOR_FIRST);
    if (the_process == NULL || fd < DESCRIPTOR_FIRST || at >= the_process->descriptor_count)
        return NULL;
    return the_process->descriptors[at];
}

/* Takes the lowest free number, as the kernel does. */
struct descriptor *descriptor_new(enum descriptor_kind kind)
{
    struct process *process = the_process;
    size_t at = 0;
    while (at < process->descriptor_count && process->descriptors[at] != NULL)
        at++;
    if (at == process->descriptor_capacity) {
        process->descriptor_capacity = at == 0 ? 64 : at * 2;
        process->descriptors = simulation_resize(
            process->descriptors, process->descriptor_capacity * sizeof(struct descriptor *));
    }
    if (at == process->descriptor_count)
        process->descriptor_count++;
    struct descriptor *descriptor = simulation_alloc(sizeof *descriptor);
    descriptor->kind = kind;
    descriptor->fd = DESCRIPTOR_FIRST + (int)at;
    descriptor->mark = 1;
    process->descriptors[at] = descriptor;
    return descriptor;
}

static struct event_base *base_of(const struct descriptor *descriptor)
{
    if (descriptor->reader != NULL)
        return descriptor->reader->ev_base;
    return descriptor->writer != NULL ? descriptor->writer->ev_base : NULL;
}

static size_t arrived(const struct descriptor *descriptor)
{
    return descriptor->in_end - descriptor->in_start;
}

bool descriptor_is_readable(const struct descriptor *descriptor)
{
    if (descriptor->kind == DESCRIPTOR_LISTENER)
        return descriptor->waiting_count > 0;
    return descriptor->failed || descriptor->finished || arrived(descriptor) >= descriptor->mark;
}

bool descriptor_is_writable(const struct descriptor *descriptor)
{
    return descriptor->kind == DESCRIPTOR_SOCKET &&
           (descriptor->failed || (descriptor->connected && descriptor->end != NULL &&
                                   end_untaken_bytes(descriptor->end) < descriptor->out_limit));
}

void descriptor_look(struct descriptor *descriptor)
{
    bool ready = (descriptor->reader != NULL && descriptor_is_readable(descriptor)) ||
                 (descriptor->writer != NULL && descriptor_is_writable(descriptor));
    if (ready && descriptor->ready_at == NULL) {
        descriptor->ready_at = base_of(descriptor);
        TAILQ_INSERT_TAIL(&descriptor->ready_at->ready, descriptor, ready);
        loop_wake(descriptor->ready_at);
    } else if (!ready && descriptor->ready_at != NULL) {
        TAILQ_REMOVE(&descriptor->ready_at->ready, descriptor, ready);
        descriptor->ready_at = NULL;
    }
}

/* --- the end of a connection --- */

static void opened(void *arg, struct end *end)
{
    struct descriptor *descriptor = arg;
    (void)end;
    descriptor->connected = true;
    descriptor_look(descriptor);
}

static void came(void *arg, struct end *end, const uint8_t *data, size_t len)
{
    struct descriptor *descriptor = arg;
    if (descriptor->in_start == descriptor->in_end) {
        descriptor->in_start = 0;
        descriptor->in_end = 0;
    }
    if (descriptor->in_end + len > descriptor->in_capacity) {
        descriptor->in_capacity = (descriptor->in_end + len) * 2;
        descriptor->in = simulation_resize(descriptor->in, descriptor->in_capacity);
    }
    memcpy(descriptor->in + descriptor->in_end, data, len);
    descriptor->in_end += len;
    if (arrived(descriptor) >= descriptor->in_limit) {
        descriptor->stopped = true;
        end_read(end, false);
    }
    descriptor_look(descriptor);
}

static void ended(void *arg, struct end *end, bool reset)
{
    struct descriptor *descriptor = arg;
    (void)end;
    descriptor->end = NULL;
    descriptor->failed = reset;
    descriptor->finished = true;
    if (reset)
        descriptor->in_start = descriptor->in_end; /* the kernel drops them */
    descriptor_look(descriptor);
}

static void finished(void *arg, struct end *end)
{
    struct descriptor *descriptor = arg;
    (void)end;
    descriptor->finished = true;
    descriptor_look(descriptor);
}

static void taken(void *arg, struct end *end)
{
    (void)end;
    descriptor_look(arg);
}

static const struct end_handler handler = {opened, came, ended, finished, taken};

/* Buffers of the kernel: mostly large, sometimes so small that messages take many turns. */
static size_t draw_limit(struct stream *stream)
{
    if (stream_chance(stream, 850))
        return 256 * 1024;
    return (size_t)stream_skewed(stream, 60, 8192);
}

static void begin_socket(struct descriptor *descriptor, struct end *end)
{
    descriptor->end = end;
    descriptor->connection = end_connection(end);
    (void)snprintf(descriptor->peer, sizeof descriptor->peer, "%s", end_peer(end));
    descriptor->stream =
        stream_make(world_seed(the_process->world), descriptor->peer, descriptor->connection);
    descriptor->in_limit = draw_limit(&descriptor->stream);
    descriptor->out_limit = draw_limit(&descriptor->stream);
}

void descriptor_attach(struct descriptor *descriptor, struct end *end)
{
    end_handle(end, &handler, descriptor);
    descriptor->connected = true;
    begin_socket(descriptor, end);
}

struct descriptor *descriptor_dial(const char *address, enum socket_kind socket)
{
    struct descriptor *descriptor = descriptor_new(DESCRIPTOR_SOCKET);
    descriptor->socket = socket;
    begin_socket(descriptor,
                 world_dial(the_process->world, the_process->host, address, &handler, descriptor));
    return descriptor;
}

void descriptor_close(struct descriptor *descriptor, bool reset)
{
    struct process *process = the_process;
    if (descriptor->ready_at != NULL)
        TAILQ_REMOVE(&descriptor->ready_at->ready, descriptor, ready);
    if (descriptor->kind == DESCRIPTOR_LISTENER) {
        world_unlisten(process->world, descriptor->address);
        for (size_t i = 0; i < descriptor->waiting_count; i++)
            descriptor_close(descriptor_find(descriptor->waiting[i]), true);
    }
    /* as the kernel: unread bytes make a close a reset */
    if (descriptor->end != NULL && (reset || arrived(descriptor) > 0))
        end_reset(descriptor->end);
    else if (descriptor->end != NULL)
        end_close(descriptor->end);
    process->descriptors[descriptor->fd - DESCRIPTOR_FIRST] = NULL;
    free(descriptor->waiting);
    free(descriptor->in);
    free(descriptor);
}

/* The number of messages that these bytes end. */
static uint64_t count_messages(struct framing *framing, const uint8_t *data, size_t len)
{
    uint64_t messages = 0;
    while (len > 0) {
        if (framing->left == 0) {
            framing->length[framing->have++] = *data++;
            len--;
            if (framing->have < 4)
                continue;
            uint32_t length = framing->length[0] | (uint32_t)framing->length[1] << 8 |
                              (uint32_t)framing->length[2] << 16 |
                              (uint32_t)framing->length[3] << 24;
            framing->left = length > 4 ? length - 4 : 1;
            framing->have = 0;
            continue;
        }
        size_t part = len < framing->left ? len : framing->left;
        framing->left -= (uint32_t)part;
        data += part;
        len -= part;
        messages += framing->left == 0;
    }
    return messages;
}

void descriptor_count(struct descriptor *descriptor, const uint8_t *data, size_t len, bool read)
{
    struct traffic *traffic =
        read ? &the_process->in[descriptor->socket] : &the_process->out[descriptor->socket];
    traffic->bytes += len;
    traffic->messages += count_messages(read ? &descriptor->came : &descriptor->went, data, len);
}

/* --- the process --- */

void process_begin(struct world *world, const char *host, unsigned number)
{
    struct process *process = simulation_alloc(sizeof *process);
    process->world = world;
    process->host = host;
    process->number = number;
    process->random = stream_make(world_seed(world), "random", number);
    process->timing = stream_make(world_seed(world), "timing", number);
    the_process = process;
}

unsigned process_open_count(void)
{
    unsigned count = 0;
    for (size_t i = 0; i < the_process->descriptor_count; i++)
        count += the_process->descriptors[i] != NULL;
    return count;
}

unsigned process_socket_count(enum socket_kind kind)
{
    unsigned count = 0;
    for (size_t i = 0; i < the_process->descriptor_count; i++) {
        const struct descriptor *descriptor = the_process->descriptors[i];
        count += descriptor != NULL && descriptor->kind == DESCRIPTOR_SOCKET &&
                 descriptor->handed && descriptor->socket == kind;
    }
    return count;
}

void process_end(bool crash)
{
    struct process *process = the_process;
    for (size_t i = 0; i < process->descriptor_count; i++)
        if (process->descriptors[i] != NULL)
            descriptor_close(process->descriptors[i], crash);
    the_process = NULL;
    free(process->descriptors);
    free(process);
}
