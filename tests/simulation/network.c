/* Connections between hosts: two ways each, which carry pieces of bytes with a delay. */
#include "world_internal.h"

#include <stdlib.h>
#include <string.h>

enum { HOST_BYTES = 24, PIECES_MAX = 48 };

struct host {
    char name[HOST_BYTES];
    uint64_t dials;
};

struct listening {
    char address[32];
    void (*accepted)(void *arg, struct end *end);
    void *arg;
};

struct parting {
    unsigned a, b; /* hosts; ANY: all */
    bool any_a, any_b;
};

struct piece {
    struct piece *next;
    int64_t at_us;
    size_t len;
    size_t start; /* bytes before it were taken */
    bool fin;
    uint8_t data[];
};

/* The bytes towards one end. */
struct way {
    struct piece *first;
    struct piece **last;
    struct timer *arrival; /* of the first piece */
    int64_t last_us;       /* the latest arrival so far */
    size_t bytes;          /* under way */
    struct stream stream;
    size_t cut_after;
    bool cuts;
    bool fin; /* sent */
};

struct end {
    struct connection *connection;
    const struct end_handler *handler;
    void *arg;
    unsigned host;
    bool alive; /* the actor has it */
    bool stops_reading;
    struct timer *breaks; /* a reset is under way to it */
    bool break_held;      /* and a partition holds it */
    struct way in;
};

/* How sends become pieces. */
enum style { WHOLE, SOMETIMES_CUT, CRUMBS };

struct connection {
    struct world *world;
    unsigned number;
    enum style style;
    char address[32];   /* dialled */
    struct end ends[2]; /* the first one dialled */
    struct timer *dial;
    struct timer *keep_alive;
    bool dial_held;
    bool black_hole;
    bool gone;
    struct connection *next;
};

static struct end *peer_of(const struct end *end)
{
    struct connection *connection = end->connection;
    return end == &connection->ends[0] ? &connection->ends[1] : &connection->ends[0];
}

/* --- hosts ------------------------------------------------------------------------------------ */

static unsigned host_number(struct world *world, const char *name, size_t len)
{
    struct network *net = &world->network;
    if (len >= HOST_BYTES)
        len = HOST_BYTES - 1;
    for (size_t i = 0; i < net->host_count; i++)
        if (strncmp(net->hosts[i].name, name, len) == 0 && net->hosts[i].name[len] == '\0')
            return (unsigned)i;
    net->hosts = simulation_resize(net->hosts, (net->host_count + 1) * sizeof *net->hosts);
    struct host *host = &net->hosts[net->host_count];
    *host = (struct host){0};
    memcpy(host->name, name, len);
    return (unsigned)net->host_count++;
}

static bool are_parted(const struct world *world, unsigned a, unsigned b)
{
    const struct network *net = &world->network;
    for (size_t i = 0; i < net->parting_count; i++) {
        const struct parting *parting = &net->partings[i];
        bool straight = (parting->any_a || parting->a == a) && (parting->any_b || parting->b == b);
        bool across = (parting->any_a || parting->a == b) && (parting->any_b || parting->b == a);
        if (straight || across)
            return true;
    }
    return false;
}

static bool is_held(const struct connection *connection)
{
    return connection->world->network.parting_count > 0 &&
           are_parted(connection->world, connection->ends[0].host, connection->ends[1].host);
}

static int64_t draw_latency(struct world *world, struct stream *stream)
{
    int64_t span = world->network.most_us - world->network.least_us;
    return world->network.least_us + (int64_t)stream_below(stream, (uint32_t)span + 1);
}

void world_latency(struct world *world, int64_t least_us, int64_t most_us)
{
    struct network *net = &world->network;
    bool first = least_us == 0 && most_us == 0;
    net->least_us = first ? net->first_least_us : least_us;
    net->most_us = first ? net->first_most_us : most_us;
    if (net->most_us < net->least_us)
        net->most_us = net->least_us;
}

/* --- the end of connections ------------------------------------------------------------------- */

static void drop_pieces(struct way *way)
{
    while (way->first != NULL) {
        struct piece *piece = way->first;
        way->first = piece->next;
        free(piece);
    }
    way->last = &way->first;
    way->bytes = 0;
}

static void cancel(struct world *world, struct timer **timer)
{
    world_cancel(world, *timer);
    *timer = NULL;
}

static void bury(struct connection *connection)
{
    struct world *world = connection->world;
    if (connection->gone || connection->ends[0].alive || connection->ends[1].alive)
        return;
    connection->gone = true;
    cancel(world, &connection->dial);
    cancel(world, &connection->keep_alive);
    for (int i = 0; i < 2; i++) {
        cancel(world, &connection->ends[i].in.arrival);
        cancel(world, &connection->ends[i].breaks);
    }
    struct network *net = &world->network;
    struct connection **at = &net->first;
    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
    if (net->last == &connection->next)
        net->last = at;
    connection->next = net->gone;
    net->gone = connection;
}

void network_sweep(struct world *world)
{
    struct network *net = &world->network;
    while (net->gone != NULL) {
        struct connection *connection = net->gone;
        net->gone = connection->next;
        drop_pieces(&connection->ends[0].in);
        drop_pieces(&connection->ends[1].in);
        free(connection);
    }
}

/* The end is no longer its actor's. */
static void end_ends(struct end *end, bool reset)
{
    if (!end->alive)
        return;
    end->alive = false;
    struct world *world = end->connection->world;
    cancel(world, &end->in.arrival);
    cancel(world, &end->breaks);
    world_mix(world, (uint64_t)end->connection->number << 8 | 0x40 | reset);
    if (world->trace != NULL)
        world_trace(world, "net", "#%u %s at %s", end->connection->number,
                    reset ? "is reset" : "ends", world->network.hosts[end->host].name);
    if (end->handler != NULL && end->handler->ended != NULL)
        end->handler->ended(end->arg, end, reset);
    bury(end->connection);
}

static void break_now(void *arg)
{
    struct end *end = arg;
    end->breaks = NULL;
    end->break_held = is_held(end->connection);
    if (!end->break_held)
        end_ends(end, true);
}

static void break_later(struct end *end)
{
    struct world *world = end->connection->world;
    if (end->alive && end->breaks == NULL && !end->connection->black_hole)
        end->breaks = world_after(world, draw_latency(world, &end->in.stream), break_now, end);
}

static void break_both(struct connection *connection)
{
    end_ends(&connection->ends[0], true);
    end_ends(&connection->ends[1], true);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void arrive(void *arg);

static void expect_arrival(struct end *end)
{
    struct way *way = &end->in;
    struct world *world = end->connection->world;
    if (way->arrival != NULL || way->first == NULL || end->stops_reading || !end->alive)
        return;
    way->arrival = world_after(world, way->first->at_us - world->now_us, arrive, end);
}

static void mix_bytes(struct world *world, const struct end *end, const uint8_t *data, size_t len)
{
    uint64_t hash = end->connection->number * UINT64_C(0xD6E8FEB86659FD93) + len;
    for (; len >= 8; data += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
        hash ^= hash >> 32;
    }
    while (len-- > 0)
        hash = (hash ^ *data++) * 0x100000001B3U;
    world_mix(world, hash);
}

static void finish_end(struct end *end)
{
    if (end->handler->finished != NULL) {
        end->handler->finished(end->arg, end);
        return;
    }
    end_finish(end);
    end_ends(end, false);
}

/* Takes the first piece, or as much of it as a cut lets through. */
static void arrive(void *arg)
{
    struct end *end = arg;
    struct connection *connection = end->connection;
    struct world *world = connection->world;
    struct way *way = &end->in;
    struct piece *piece = way->first;
    way->arrival = NULL;
    if (connection->black_hole || is_held(connection))
        return;
    way->first = piece->next;
    if (way->first == NULL)
        way->last = &way->first;
    size_t len = piece->len;
    bool cut = way->cuts && way->cut_after <= len;
    if (cut)
        len = way->cut_after;
    way->cut_after -= way->cuts ? len : 0;
    way->bytes -= piece->len;
    mix_bytes(world, end, piece->data, len);
    if (world->trace != NULL && len > 0)
        world_trace(world, "net", "#%u %s gets %zu bytes", connection->number,
                    world->network.hosts[end->host].name, len);
    struct end *peer = peer_of(end);
    if (len > 0)
        end->handler->came(end->arg, end, piece->data, len);
    bool fin = piece->fin;
    free(piece);
    if (cut) {
        break_both(connection);
        return;
    }
    if (end->alive && fin)
        finish_end(end);
    if (peer->alive && peer->handler != NULL && peer->handler->taken != NULL && len > 0)
        peer->handler->taken(peer->arg, peer);
    expect_arrival(end);
}

static void send_piece(struct end *to, const uint8_t *data, size_t len, bool fin)
{
    struct world *world = to->connection->world;
    struct way *way = &to->in;
    struct piece *piece = simulation_resize(NULL, sizeof *piece + len);
    int64_t at_us = world->now_us + draw_latency(world, &way->stream);
    if (at_us < way->last_us)
        at_us = way->last_us;
    *piece = (struct piece){.at_us = at_us, .len = len, .fin = fin};
    if (len > 0)
        memcpy(piece->data, data, len);
    way->last_us = at_us;
    way->bytes += len;
    *way->last = piece;
    way->last = &piece->next;
    expect_arrival(to);
}

static size_t draw_piece(struct end *to, size_t len, size_t whole)
{
    struct stream *stream = &to->in.stream;
    switch (to->connection->style) {
    case SOMETIMES_CUT:
        return stream_chance(stream, 700) ? len : 1 + stream_below(stream, (uint32_t)len);
    case CRUMBS: {
        size_t least = whole / PIECES_MAX + 1;
        size_t drawn = (size_t)stream_skewed(stream, 1, (int64_t)len);
        return drawn < least ? (least < len ? least : len) : drawn;
    }
    default:
        return len;
    }
}

void end_send(struct end *end, const void *data, size_t len)
{
    struct end *to = peer_of(end);
    struct connection *connection = end->connection;
    const uint8_t *bytes = data;
    if (connection->black_hole || connection->gone || to->in.fin)
        return;
    if (!to->alive) {
        break_later(end); /* nobody takes them */
        return;
    }
    for (size_t left = len; left > 0;) {
        size_t piece = draw_piece(to, left, len);
        send_piece(to, bytes, piece, false);
        bytes += piece;
        left -= piece;
    }
}

size_t end_untaken_bytes(const struct end *end)
{
    const struct end *to = peer_of(end);
    return end->connection->black_hole || !to->alive ? 0 : to->in.bytes;
}

void end_finish(struct end *end)
{
    struct end *to = peer_of(end);
    if (to->in.fin)
        return;
    to->in.fin = true;
    if (to->alive && !end->connection->black_hole)
        send_piece(to, NULL, 0, true);
}

void end_close(struct end *end)
{
    if (!end->alive)
        return;
    bool unread = end->in.bytes > 0; /* as the kernel: a close with unread bytes resets */
    end->alive = false;
    world_mix(end->connection->world, (uint64_t)end->connection->number << 8 | 0x20);
    cancel(end->connection->world, &end->in.arrival);
    cancel(end->connection->world, &end->breaks);
    end_finish(end);
    if (unread)
        break_later(peer_of(end));
    bury(end->connection);
}

void end_reset(struct end *end)
{
    if (!end->alive)
        return;
    end->alive = false;
    cancel(end->connection->world, &end->in.arrival);
    cancel(end->connection->world, &end->breaks);
    break_later(peer_of(end));
    bury(end->connection);
}

void end_read(struct end *end, bool reads)
{
    end->stops_reading = !reads;
    if (!reads)
        cancel(end->connection->world, &end->in.arrival);
    else
        expect_arrival(end);
}

void end_handle(struct end *end, const struct end_handler *handler, void *arg)
{
    end->handler = handler;
    end->arg = arg;
}

const char *end_peer(const struct end *end)
{
    return end->connection->world->network.hosts[peer_of(end)->host].name;
}

unsigned end_connection(const struct end *end)
{
    return end->connection->number;
}

/* --- dialling --------------------------------------------------------------------------------- */

static struct listening *find_listening(struct world *world, const char *address)
{
    struct network *net = &world->network;
    for (size_t i = 0; i < net->listening_count; i++)
        if (strcmp(net->listening[i].address, address) == 0)
            return &net->listening[i];
    return NULL;
}

bool world_listen(struct world *world, const char *address,
                  void (*accepted)(void *arg, struct end *end), void *arg)
{
    struct network *net = &world->network;
    if (find_listening(world, address) != NULL)
        return false;
    net->listening =
        simulation_resize(net->listening, (net->listening_count + 1) * sizeof *net->listening);
    struct listening *listening = &net->listening[net->listening_count++];
    *listening = (struct listening){.accepted = accepted, .arg = arg};
    (void)snprintf(listening->address, sizeof listening->address, "%s", address);
    return true;
}

void world_unlisten(struct world *world, const char *address)
{
    struct network *net = &world->network;
    struct listening *listening = find_listening(world, address);
    if (listening != NULL)
        *listening = net->listening[--net->listening_count];
}

static void opened(void *arg)
{
    struct connection *connection = arg;
    struct end *end = &connection->ends[0];
    connection->dial = NULL;
    if (end->alive && end->handler->opened != NULL)
        end->handler->opened(end->arg, end);
}

/* The dial reaches the other host. */
static void reach(void *arg)
{
    struct connection *connection = arg;
    struct world *world = connection->world;
    struct end *from = &connection->ends[0];
    connection->dial = NULL;
    if (is_held(connection)) {
        connection->dial_held = true;
        return;
    }
    struct listening *listening = find_listening(world, connection->address);
    if (listening == NULL) {
        break_later(from);
        return;
    }
    struct end *to = &connection->ends[1];
    int64_t back_us = draw_latency(world, &from->in.stream);
    to->alive = true;
    from->in.last_us = world->now_us + back_us;
    connection->dial = world_after(world, back_us, opened, connection);
    world_trace(world, "net", "#%u %s dialled %s", connection->number,
                world->network.hosts[from->host].name, connection->address);
    listening->accepted(listening->arg, to);
}

struct end *world_dial(struct world *world, const char *from, const char *address,
                       const struct end_handler *handler, void *arg)
{
    struct network *net = &world->network;
    struct connection *connection = simulation_alloc(sizeof *connection);
    const char *colon = strrchr(address, ':');
    unsigned host = host_number(world, from, strlen(from));
    unsigned to =
        host_number(world, address, colon != NULL ? (size_t)(colon - address) : strlen(address));
    char name[64];
    (void)snprintf(name, sizeof name, "%.20s>%.30s", from, address);
    uint64_t dial = net->hosts[host].dials++;
    *connection = (struct connection){.world = world, .number = ++net->connection_count};
    (void)snprintf(connection->address, sizeof connection->address, "%s", address);
    connection->ends[0] = (struct end){.host = host, .alive = true};
    connection->ends[1] = (struct end){.host = to};
    for (int i = 0; i < 2; i++) {
        struct end *end = &connection->ends[i];
        end->connection = connection;
        end->in.last = &end->in.first;
        end->in.stream = stream_make(world->seed, name, dial * 2 + (unsigned)i);
    }
    end_handle(&connection->ends[0], handler, arg);
    struct stream *stream = &connection->ends[1].in.stream;
    uint32_t drawn = stream_below(stream, 10);
    connection->style = drawn < 6 ? WHOLE : drawn < 9 ? SOMETIMES_CUT : CRUMBS;
    *net->last = connection;
    net->last = &connection->next;
    connection->dial = world_after(world, draw_latency(world, stream), reach, connection);
    return &connection->ends[0];
}

/* --- faults ----------------------------------------------------------------------------------- */

static void resume_all(struct world *world)
{
    for (struct connection *it = world->network.first; it != NULL; it = it->next) {
        if (is_held(it))
            continue;
        for (int i = 0; i < 2; i++) {
            expect_arrival(&it->ends[i]);
            if (it->ends[i].break_held)
                break_later(&it->ends[i]);
        }
        if (it->dial_held) {
            it->dial_held = false;
            it->dial = world_after(world, draw_latency(world, &it->ends[1].in.stream), reach, it);
        }
    }
}

void world_partition(struct world *world, const char *a, const char *b, bool cut)
{
    struct network *net = &world->network;
    struct parting parting = {.any_a = a == NULL, .any_b = b == NULL};
    if (a != NULL)
        parting.a = host_number(world, a, strlen(a));
    if (b != NULL)
        parting.b = host_number(world, b, strlen(b));
    if (cut) {
        net->partings =
            simulation_resize(net->partings, (net->parting_count + 1) * sizeof *net->partings);
        net->partings[net->parting_count++] = parting;
        return;
    }
    for (size_t i = 0; i < net->parting_count; i++) {
        struct parting *it = &net->partings[i];
        if (it->any_a == parting.any_a && it->any_b == parting.any_b && it->a == parting.a &&
            it->b == parting.b) {
            *it = net->partings[--net->parting_count];
            resume_all(world);
            return;
        }
    }
}

void end_cut(struct end *end, size_t bytes)
{
    if (bytes == 0) {
        break_later(end);
        break_later(peer_of(end));
        return;
    }
    end->in.cuts = true;
    end->in.cut_after = bytes;
}

static void keep_alive_ends(void *arg)
{
    struct connection *connection = arg;
    connection->keep_alive = NULL;
    break_both(connection);
}

void end_half_open(struct end *end)
{
    struct connection *connection = end->connection;
    if (connection->black_hole || connection->gone)
        return;
    connection->black_hole = true;
    connection->keep_alive =
        world_after(connection->world, WORLD_KEEP_ALIVE_US, keep_alive_ends, connection);
}

void world_crash_host(struct world *world, const char *host)
{
    unsigned number = host_number(world, host, strlen(host));
    bool found = true;
    while (found) {
        found = false;
        for (struct connection *it = world->network.first; it != NULL && !found; it = it->next)
            for (int i = 0; i < 2 && !found; i++)
                if (it->ends[i].alive && it->ends[i].host == number) {
                    break_later(peer_of(&it->ends[i]));
                    end_ends(&it->ends[i], true);
                    found = true;
                }
    }
}

struct end *world_connection(struct world *world, const char *a, const char *b, unsigned n)
{
    const struct host *hosts = world->network.hosts;
    for (struct connection *it = world->network.first; it != NULL; it = it->next)
        for (int i = 0; i < 2; i++) {
            struct end *end = &it->ends[i];
            if (!end->alive || !peer_of(end)->alive ||
                (a != NULL && strcmp(hosts[end->host].name, a) != 0) ||
                (b != NULL && strcmp(hosts[peer_of(end)->host].name, b) != 0))
                continue;
            if (n-- == 0)
                return end;
            break;
        }
    return NULL;
}

void network_begin(struct world *world)
{
    struct stream stream = stream_make(world->seed, "network", 0);
    struct network *net = &world->network;
    net->last = &net->first;
    net->first_least_us = stream_skewed(&stream, 5, 500);
    net->first_most_us = net->first_least_us + stream_skewed(&stream, 0, 2000);
    world_latency(world, 0, 0);
}

void network_end(struct world *world)
{
    struct network *net = &world->network;
    while (net->first != NULL) {
        struct connection *connection = net->first;
        connection->ends[0].alive = false;
        connection->ends[1].alive = false;
        bury(connection);
    }
    network_sweep(world);
    free(net->hosts);
    free(net->listening);
    free(net->partings);
}
