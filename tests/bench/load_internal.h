/* What the parts of the load generator share: load.c has its connections, load_run.c the course of
 * a load in time. */
#ifndef SLUICE_BENCH_LOAD_INTERNAL_H
#define SLUICE_BENCH_LOAD_INTERNAL_H

#include <sys/epoll.h>

#include "bench/buffer.h"
#include "bench/load.h"
#include "bench/stream.h"

#define READ_BYTES    ((size_t)256 * 1024)
#define EVENTS_A_TURN 512

enum client_state {
    CLIENT_CLOSED,
    CLIENT_CONNECTING,
    CLIENT_SHAKING,  /* TLS */
    CLIENT_GREETING, /* its hello is sent */
    CLIENT_READY,
    CLIENT_BUSY /* a request is sent */
};

struct client {
    struct stream stream;
    enum client_state state;
    int32_t request_id; /* of the last request */
    int64_t txn_number;
    uint64_t sent_ns;   /* with a pace: its scheduled time */
    uint64_t due_ns;    /* with a pace: the time of the next one */
    uint64_t waited_ns; /* of the counted commands, together */
    uint64_t answered;  /* of the counted commands */
    size_t out_sent;
    struct bench_buffer in;  /* the start of a reply that is not complete yet */
    struct bench_buffer out; /* the rest of a request, from out_sent on */
    uint8_t lsid[REQUEST_LSID_BYTES];
};

struct load {
    struct load_options options;
    struct load_result *result; /* borrowed */
    struct request hello;
    struct request request;
    struct client *clients;
    SSL_CTX *tls; /* NULL: plain */
    int epoll_fd;
    size_t opened; /* clients tried so far */
    size_t opening;
    size_t ready;
    size_t busy;
    bool running;
    bool counting;
    uint64_t warm_from_ns; /* the warm-up may end */
    uint64_t count_from_ns;
    uint64_t end_ns;
    uint64_t answered; /* operations */
    uint64_t due_next; /* with a pace: the requests whose time has come */
    uint64_t started;  /* operations */
    uint64_t documents;
    struct epoll_event events[EVENTS_A_TURN];
    uint8_t scratch[READ_BYTES];
};

/* Keeps the first reason. */
void load_explain(struct load *load, const char *what, const char *why);
/* Sends the client's next request, unless the load has ended. */
void client_start(struct load *load, struct client *client);
/* One turn of the loop, which waits until `until_ns` at the longest. */
void load_turn(struct load *load, uint64_t until_ns);
/* Ends the warm-up, or the load, if it is time. */
void load_look(struct load *load, uint64_t now);

#endif
