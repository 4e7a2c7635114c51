/* One side of a session: a transport with its events and its waiting bytes. Does not know messages.
 * For the worker's own thread only. */
#ifndef SLUICE_NET_LINK_H
#define SLUICE_NET_LINK_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "net/buffer.h"
#include "net/proxy_header.h"
#include "net/transport.h"
#include "net/turn.h"

/* The maximum of one write, about 80 µs of work: a peer that reads as fast as we write must not
 * delay the others. Equal to one read (WORKER_SCRATCH_BYTES). */
enum { LINK_WRITE_BYTES = 256 * 1024 };

enum link_state {
    LINK_NONE,    /* no transport yet: sent bytes wait */
    LINK_HEADER,  /* waits for the PROXY protocol header */
    LINK_PEEKING, /* waits for the peer's first bytes, to tell plain from TLS */
    LINK_SHAKING, /* TLS handshake */
    LINK_OPEN,
    LINK_CLOSED
};

/* A callback may close the link. It must not free it before the loop turn ends. */
struct link_handler {
    void (*opened)(void *arg);
    void (*readable)(void *arg);
    void (*drained)(void *arg); /* all sent bytes are written */
    void (*ended)(void *arg);   /* the peer closed; the owner calls it after reading EOF */
    void (*failed)(void *arg, const char *cause);
    /* the PROXY protocol header came; the owner now starts the link. NULL without
     * link_start_header. */
    void (*introduced)(void *arg, const struct proxy_header *header);
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
    struct tls_context *peek_context; /* owned reference, during LINK_PEEKING */
    enum link_state state;
    bool reading;
    bool watched;          /* the read event is active; a pause leaves it active until it fires */
    bool read_wants_write; /* TLS: the next read needs a writable descriptor */
    bool much_came;        /* the last read brought much */
    bool later_read;       /* these: the waiter waits for this */
    bool later_write;
    const char *failure; /* a held message could not be sent: why; static, or NULL */
    unsigned held;       /* entries of the turn's outbox */
    int mark;            /* the bytes that make the descriptor readable (SO_RCVLOWAT) */
};

/* Call it first; budget and turn must outlive the link. The link keeps sent bytes until it opens.
 */
void link_init(struct link *link, struct budget *budget, struct turn *turn,
               const struct link_handler *handler, void *arg);

/* The transport is connected: starts the handshake, then calls `opened` (during this call for a
 * plain transport) and reads. */
void link_start(struct link *link, struct event_base *base);

/* Does the same for a plain transport whose peer may start with a TLS handshake. The transport then
 * becomes a TLS server's with this context (retained until the answer is known). */
void link_start_peeking(struct link *link, struct event_base *base, struct tls_context *context);

/* Reads the header of the PROXY protocol from a connected plain transport, and calls `introduced`.
 * Then the link is not started yet. */
void link_start_header(struct link *link, struct event_base *base);

/* Reads into `data`. TRANSPORT_WANT_READ means that no bytes are there. If TLS must write first,
 * the link handles that itself. */
enum transport_status link_read(struct link *link, void *data, size_t cap, size_t *got,
                                struct error *err);

/* The link reports no new data until at least `bytes` more have arrived, if the transport can delay
 * it. A client that sends single bytes then costs a few turns per message and not one per byte. 1
 * means no delay. */
void link_expect(struct link *link, size_t bytes);

/* The number of arrived bytes that link_expect keeps unreported. */
size_t link_unreported_bytes(const struct link *link);

/* Writes as much as possible up to a bound and keeps the rest. False if the link failed or the rest
 * exceeds the budget. A short message of an open link is written at the end of the turn, or after
 * OUTBOX_HOLD_US; if that fails, `failed` is called. */
bool link_send(struct link *link, const void *data, size_t len, struct error *err);

/* Does the same for the first `len` bytes of a buffer and consumes them. Bytes that cannot be
 * written at once are handed over, not copied. */
bool link_send_buffer(struct link *link, struct buffer *from, size_t len, struct error *err);

/* Writes what the turn holds for this link: call it before a decision that must know whether all
 * sent bytes are written. */
void link_settle(struct link *link);

/* True if bytes wait to be written; those that only wait for the end of the turn do not count. */
static inline bool link_is_blocked(const struct link *link)
{
    return link->out.end > link->out.start;
}

/* A paused link reports nothing about its peer: see link_look_at_peer. */
void link_pause(struct link *link);
void link_resume(struct link *link);

enum link_peer {
    LINK_PEER_THERE,
    LINK_PEER_ENDED, /* it sends nothing more, and all its bytes were read; it may still read */
    LINK_PEER_LOST   /* the connection is reset */
};

/* For a paused link; the owner asks from time to time. There is no event for it: libevent reports a
 * reset only to readers and writers, and the loop would spin otherwise. */
enum link_peer link_look_at_peer(struct link *link);

/* Announces the end: sends FIN after the held bytes; no others may wait. */
void link_finish_sending(struct link *link);

/* For link_send.c: waits until the descriptor is writable. */
void link_want_write(struct link *link);

/* Closes the link and releases all memory. Idempotent. */
void link_close(struct link *link);

#endif
