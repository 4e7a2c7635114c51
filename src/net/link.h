/* One side of a session: a transport with its events and its bytes in waiting. Knows nothing of
 * messages. A worker's own thread only. */
#ifndef SLUICE_NET_LINK_H
#define SLUICE_NET_LINK_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "net/buffer.h"
#include "net/transport.h"
#include "net/turn.h"

enum link_state {
    LINK_NONE,    /* nothing behind it yet: what is sent waits */
    LINK_PEEKING, /* plain or TLS? the peer's first bytes tell */
    LINK_SHAKING, /* TLS handshake */
    LINK_OPEN,
    LINK_CLOSED
};

/* A callback may close the link; it must not free it before the loop turn ends. */
struct link_handler {
    void (*opened)(void *arg);
    void (*readable)(void *arg);
    void (*drained)(void *arg); /* all that was sent is written */
    void (*ended)(void *arg);   /* the peer closed: called by the owner that read EOF */
    void (*failed)(void *arg, const char *cause);
};

struct link {
    struct transport transport;
    struct event read_event;
    struct event write_event;
    struct budget *budget; /* borrowed; for both buffers */
    struct turn *turn;     /* borrowed; of the worker's loop */
    struct turn_waiter waiter;
    struct buffer in;  /* read, not yet consumed by the owner */
    struct buffer out; /* sent by the owner, not yet written */
    const struct link_handler *handler;
    void *arg;
    struct tls_context *peek_context; /* owned reference, while peeking */
    enum link_state state;
    bool reading;
    bool watched;          /* the read event is added: pausing leaves it so until it fires */
    bool read_wants_write; /* TLS: the next read needs the descriptor to be writable */
    bool much_came;        /* with the last read */
    bool later_read;       /* both: while the waiter waits */
    bool later_write;
    int mark; /* how many bytes make the descriptor readable (SO_RCVLOWAT) */
};

/* Before anything else; budget and turn outlive the link. What is sent is kept until the link
 * opens. */
void link_init(struct link *link, struct budget *budget, struct turn *turn,
               const struct link_handler *handler, void *arg);

/* The transport is connected: handshakes, then calls `opened` (from within this call for a plain
 * one) and reads. */
void link_start(struct link *link, struct event_base *base);

/* The same for a plain transport whose peer may begin with a TLS handshake: then it becomes a TLS
 * server's with that context (retained until known). */
void link_start_peeking(struct link *link, struct event_base *base, struct tls_context *context);

/* Reads into `data`. TRANSPORT_WANT_READ means that nothing is there (also where TLS wants to write
 * first: the link comes back by itself). */
enum transport_status link_read(struct link *link, void *data, size_t cap, size_t *got,
                                struct error *err);

/* Fewer than that many bytes more are of no use: where the transport can tell, they are not
 * reported while they are all that came. So who sends byte by byte costs a few turns a message and
 * not one a byte. 1: any. */
void link_expect(struct link *link, size_t bytes);

/* How many bytes have come that link_expect keeps from being reported. */
size_t link_unreported_bytes(const struct link *link);

/* Writes what it can, up to a bound; keeps the rest. False when the link failed, or the rest passes
 * the budget. */
bool link_send(struct link *link, const void *data, size_t len, struct error *err);

/* The same for the first `len` bytes of a buffer, which are consumed; what cannot be written at
 * once changes hands instead of being copied. */
bool link_send_buffer(struct link *link, struct buffer *from, size_t len, struct error *err);

/* Whether bytes wait to be written. */
static inline bool link_is_blocked(const struct link *link)
{
    return link->out.end > link->out.start;
}

/* A paused link reports nothing of its peer: see link_look_at_peer. */
void link_pause(struct link *link);
void link_resume(struct link *link);

enum link_peer {
    LINK_PEER_THERE,
    LINK_PEER_ENDED, /* it sends nothing more, and what it sent was read; it may still read */
    LINK_PEER_LOST   /* the connection is reset */
};

/* For a paused link, asked from time to time. Not an event: libevent reports a reset only to those
 * who read or write, and for the others the loop would spin. */
enum link_peer link_look_at_peer(struct link *link);

/* No more will be sent: FIN, after what waits was written by the owner. */
void link_finish_sending(struct link *link);

/* Closes, and gives all memory back. Idempotent. */
void link_close(struct link *link);

#endif
