/* The parts of the session rig that its files share. */
#ifndef SLUICE_FUZZ_SESSION_RIG_INTERNAL_H
#define SLUICE_FUZZ_SESSION_RIG_INTERNAL_H

#include <string.h>

#include "session/session.h"
#include "session_rig.h"
#include "wire/header.h"

#define RIG_OWN_ID "rig-own-id"

enum { RIG_READ_BYTES = 65536, RIG_CURSOR = 55 /* of the server */ };

struct rig_upstream {
    int fd; /* -1: none */
    uint32_t uses;
    size_t have;
    uint8_t in[RIG_READ_BYTES];
    struct sasl_conversation *login; /* that the proxy has begun; NULL: none */
    bool logged_in;                  /* as RIG_USER */
};

/* The replies of a client's connection, as far as they were read. */
struct rig_watching {
    unsigned tag; /* 0: none */
    size_t have;  /* of the header */
    size_t left;  /* of the message after its header */
    uint8_t header[WIRE_HEADER_BYTES];
};

struct rig {
    struct session_shared shared;
    struct session_worker *worker;
    struct worker *loop; /* of the hello streams; NULL: none */
    enum rig_mode mode;
    struct session_settings *merging;
    struct session_settings *plain;
    struct session_settings *narrow;
    struct session_settings *proxied;
    int listen_fd;
    int tcp_fd;        /* the server's port */
    int entrance_fd;   /* the port that makes connections of clients with an address */
    char tcp_path[32]; /* host:port of the server */
    char folder[32];
    char path[48];
    bool is_away;             /* the server refuses connections */
    bool has_no_room;         /* memory_max is reached */
    bool has_no_address;      /* the proxy knows no server for new clients */
    bool uses_tcp;            /* new clients have addresses */
    bool drains;              /* the worker takes no more transactions, and is made anew */
    long start_fails_at;      /* the allocation that fails while it starts; 0: none */
    unsigned times;           /* that time passed */
    int clients[RIG_CLIENTS]; /* -1: none */
    struct rig_watching watches[RIG_CLIENTS];
    struct rig_upstream upstreams[RIG_UPSTREAMS];
    uint64_t received;
};

/* Ends the process with this message unless the condition holds. */
void rig_require(bool holds, const char *what);

static inline uint8_t *rig_put(uint8_t *at, const void *data, size_t len)
{
    memcpy(at, data, len);
    return at + len;
}

/* --- the one user of a rig that checks logins (rig_logins.c) --- */

#define RIG_USER "ann"
struct verifiers;
/* The verifiers of the proxy, which hold the user. */
struct verifiers *rig_open_verifiers(struct rig *rig);
/* If the message is a step of a login, writes the document of the answer and returns its end. NULL:
 * it is another one. */
uint8_t *rig_answer_login(struct rig_upstream *upstream, struct bytes payload, uint8_t *at);
void rig_end_login(struct rig_upstream *upstream);
/* The source of verifiers answers all questions: with the user, or that it is away. */
void rig_answer_verifiers(struct rig *rig, bool exists);
void rig_forget_user(struct rig *rig);
/* The bytes that the client's socket holds, in `out`. */
struct bytes rig_receive(struct rig *rig, size_t client, uint8_t out[RIG_MESSAGE_BYTES]);

/* A message of 700 kB: a find, or by the number an insert with a schema or without one. */
const uint8_t *rig_large_message(uint32_t number, size_t *len);

void rig_hang_up_upstream(struct rig_upstream *upstream);
/* Reads the available bytes. False when the connection is gone. */
bool rig_read_more(struct rig_upstream *upstream);

#endif
