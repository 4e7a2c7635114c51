/* A whole proxy except its listeners and its topology, in this process: a worker with its thread,
 * schemas in force, merging on, and a server whose answers the caller makes. Clients are socket
 * pairs; the server is a Unix socket. For the stateful fuzzer and for the test that lets each
 * allocation fail. */
#ifndef SLUICE_FUZZ_SESSION_RIG_H
#define SLUICE_FUZZ_SESSION_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RIG_CLIENTS = 4, RIG_UPSTREAMS = 16, RIG_MESSAGE_BYTES = 4096 };

struct rig;

/* Whether clients share upstream connections. RIG_VERIFIED: they do, the proxy checks the logins of
 * a user, limits and traces clients. */
enum rig_mode { RIG_SESSION, RIG_SHARED, RIG_VERIFIED };

/* One for the process. Ends the process if a part is missing. */
struct rig *rig_open(enum rig_mode mode);
void rig_close(struct rig *rig);

/* The number of kinds of messages, and the i-th as a whole; `number` makes its requestID, its
 * document's _id and its txnNumber. Returns the length. */
size_t rig_messages(void);
size_t rig_message(size_t kind, uint32_t number, uint8_t out[RIG_MESSAGE_BYTES]);

/* A client's move. It connects first if it is not connected. Bytes that do not fit into its socket
 * are dropped, and received bytes are read and discarded. */
void rig_send(struct rig *rig, size_t client, const uint8_t *data, size_t len);
void rig_leave(struct rig *rig, size_t client, bool reset);
/* It sends nothing more, and waits for replies. */
void rig_finish(struct rig *rig, size_t client);
/* Returns whether its connection is open, as far as this end knows. */
bool rig_is_there(struct rig *rig, size_t client);
/* Bytes that clients have received so far, and whole well-formed replies among them. */
uint64_t rig_received(const struct rig *rig);

enum rig_answer {
    RIG_ANSWER_RIGHT,
    RIG_ANSWER_ERROR, /* ok: 0, of a kind that asks for a retry */
    RIG_ANSWER_WRITE_ERROR,
    RIG_ANSWER_TO_NOBODY, /* another responseTo */
    RIG_ANSWER_TWICE,
    RIG_ANSWER_MUTATED, /* a byte is another one */
    RIG_ANSWER_CUT,     /* half of it, then the connection closes */
    RIG_ANSWER_HANGUP,
    RIG_ANSWER_CODE,       /* ok: 0, with a code that `where` selects */
    RIG_ANSWER_NONE,       /* the requests are lost */
    RIG_ANSWER_IN_PARTS,   /* the second half comes later */
    RIG_ANSWER_COMPRESSED, /* in OP_COMPRESSED */
    RIG_ANSWER_LEGACY,     /* in OP_REPLY */
    RIG_ANSWER_QUESTIONS,  /* requests with documents stay unread, and all behind them */
    RIG_ANSWER_LARGE,      /* of 700 kB, as far as the proxy takes it */
    RIG_ANSWER_MORE,       /* a second one follows, as of an exhaust cursor */
    RIG_ANSWERS
};
/* The server reads all available bytes and answers the complete requests, on all its connections.
 * `where` selects the changed byte. Returns the number of requests. */
size_t rig_serve(struct rig *rig, enum rig_answer how, uint32_t where);
/* Bytes of the server's own on its newest connection. */
void rig_serve_raw(struct rig *rig, const uint8_t *data, size_t len);

/* The requestID of a client's message, for rig_watch. */
uint32_t rig_request_id(unsigned tag, uint32_t number);
/* The client's connection has this tag (less than 256). From now on the process ends if the client
 * gets a reply to a request with another tag. */
void rig_watch(struct rig *rig, size_t client, unsigned tag);

/* For a server of the caller's own. Takes over the proxy's new connections; returns the slot of the
 * last one, -1 for none. */
int rig_accept(struct rig *rig);
/* Reads the available bytes. Copies the next whole message on the connection in that slot to `out`,
 * and returns its length; 0 if there is none. Closes a connection that ended or whose next message
 * is longer than `out`. */
size_t rig_take(struct rig *rig, size_t slot, uint8_t out[RIG_MESSAGE_BYTES]);
void rig_reply(struct rig *rig, size_t slot, const uint8_t *data, size_t len);
void rig_hang_up(struct rig *rig, size_t slot);
bool rig_is_open(const struct rig *rig, size_t slot);
/* The number of connections that had the slot so far. */
uint32_t rig_slot_uses(const struct rig *rig, size_t slot);
/* How many batches of several inserts the proxy has sent. */
uint64_t rig_batches(const struct rig *rig);

enum rig_event {
    RIG_PAUSE,
    RIG_RESUME,
    RIG_MERGE_ON,
    RIG_MERGE_OFF,
    RIG_OBSERVE,   /* reads what the admin endpoint shows */
    RIG_SCHEMAS,   /* publishes the schemas anew */
    RIG_NO_SERVER, /* the server refuses connections, until the next event of this kind */
    RIG_ANSWER_VERIFIERS,
    RIG_FAIL_VERIFIERS,
    RIG_FORGET_USER,
    RIG_NO_ROOM,    /* memory_max is reached, until the next event of this kind */
    RIG_TIME,       /* passes: first some seconds, then minutes. Takes as long as a tick */
    RIG_HOUR,       /* passes at once */
    RIG_SLOW,       /* each reading of the clock takes long, until the next event of this kind */
    RIG_NARROW,     /* options with small limits */
    RIG_PROXIED,    /* options with the PROXY protocol */
    RIG_HASTE,      /* timers fire after a millisecond, until the next event of this kind */
    RIG_TCP,        /* new clients have an address, until the next event of this kind */
    RIG_NO_ADDRESS, /* the proxy knows no server for new clients, until the next of this kind */
    RIG_SEND_LARGE, /* rig_send_large */
    RIG_FINISH,     /* rig_finish */
    RIG_DRAIN,      /* the proxy ends as after TERM; rig_end_all starts it again */
    RIG_EVENTS
};
void rig_control(struct rig *rig, enum rig_event event);
/* The n-th allocation of the next start fails, and so do all later ones; then it starts. */
void rig_fail_start(struct rig *rig, long n);

/* A whole login of the user with the right key; wrong > 0: with another one. For RIG_VERIFIED. */
void rig_log_in(struct rig *rig, size_t client, unsigned wrong);

/* Sends a message of 700 kB in portions, as far as the proxy takes it: a find, or
 * by the number an insert. */
void rig_send_large(struct rig *rig, size_t client, uint32_t number);

/* Waits until the worker has handled all sent bytes. */
void rig_settle(struct rig *rig);

/* Disconnects all clients. Returns false if the worker still has one of them, or buffers, ten
 * seconds later. */
bool rig_end_all(struct rig *rig);

#endif
