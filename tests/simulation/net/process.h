/* The operating system that the proxy sees in a simulated world: descriptors, event loops, clock,
 * random numbers, files, memory. One process at a time; its functions have the names of the real
 * ones (src/net, libevent, --wrap), so the rooms above are the object code of the product. */
#ifndef SIMULATION_PROCESS_H
#define SIMULATION_PROCESS_H

#include <stddef.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "world.h"

struct worker;

enum { DESCRIPTOR_FIRST = 1 << 16 };

/* Messages of one way of a connection, counted by their lengths. */
struct framing {
    uint8_t length[4];
    unsigned have;
    uint32_t left; /* of the message under way */
};

/* What went through sockets of one kind. */
struct traffic {
    uint64_t messages, bytes;
};

/* Whose peer is what. */
enum socket_kind { SOCKET_CLIENT, SOCKET_UPSTREAM, SOCKET_CONTROL, SOCKET_KINDS };

enum descriptor_kind {
    DESCRIPTOR_SOCKET,
    DESCRIPTOR_LISTENER,
    DESCRIPTOR_FILE /* a simulated file or folder that was opened */
};

struct descriptor {
    enum descriptor_kind kind;
    int fd;
    struct end *end; /* NULL: it ended */
    bool connected;
    bool failed;   /* reset, or not connected */
    bool finished; /* the peer sends nothing more */
    bool stopped;  /* reading is stopped: the buffer is full */
    uint8_t *in;   /* arrived and not read */
    size_t in_start, in_end, in_capacity;
    size_t in_limit, out_limit; /* of the kernel's buffers */
    size_t mark;                /* SO_RCVLOWAT */
    unsigned connection;
    char peer[24]; /* host */
    enum socket_kind socket;
    bool handed; /* to the rooms above: accepted, or the connector has told */
    struct framing came, went;
    struct stream stream;
    struct event *reader, *writer;
    struct event_base *ready_at; /* the loop whose list it is in; NULL: none */
    TAILQ_ENTRY(descriptor) ready;
    char path[64]; /* of a file that is written */
    /* a listener */
    char address[32];
    int *waiting; /* accepted by the kernel, not by the process */
    size_t waiting_count, waiting_capacity;
};

TAILQ_HEAD(ready_list, descriptor);
TAILQ_HEAD(active_list, event_callback);

/* An event loop with its thread. */
struct event_base {
    char name[16];
    struct worker *worker; /* NULL: none */
    struct ready_list ready;
    struct active_list active;
    struct timer *turn;
    int64_t busy_until_us;
    struct stream stream;
    bool runs;
    bool job_waits;
    bool in_turn;
    LIST_ENTRY(event_base) next;
};

struct process {
    struct world *world;
    const char *host;
    unsigned number; /* of the proxies of a history */
    struct descriptor **descriptors;
    size_t descriptor_count;
    size_t descriptor_capacity;
    struct stream random; /* RAND_bytes and the like */
    struct stream timing;
    struct traffic in[SOCKET_KINDS], out[SOCKET_KINDS];
    uint64_t accepted; /* clients */
    /* the clock */
    int64_t turn_cost_us; /* of the running turn so far */
    int64_t call_cost_us; /* of one look at the clock in this turn */
    unsigned looks;       /* at the clock in this turn */
    int64_t last_us;
    int64_t lag_us; /* the monotonic clock stood still so long; below 0: it leapt ahead */
    int64_t stands_at_us, stands_until_us;
    bool catches_up;
    struct evhttp *http; /* of the admin endpoint; NULL: none */
    /* Signal TERM. */
    void (*told_to_end)(void *arg);
    void *told_to_end_arg;
    LIST_HEAD(, event_base) bases;
    LIST_HEAD(, event) timed; /* events with a timer */
};

/* The process that runs; never NULL between process_begin and process_end. */
extern struct process *the_process;

void process_begin(struct world *world, const char *host, unsigned number);
/* Closes what is open, as the kernel does (orderly; or, after a crash, with resets), and frees. */
void process_end(bool crash);
/* The descriptors that are open. */
unsigned process_open_count(void);
/* Sockets of a kind that the rooms above have. */
unsigned process_socket_count(enum socket_kind kind);

/* --- descriptors --- */

/* NULL: no such one. */
struct descriptor *descriptor_find(int fd);
struct descriptor *descriptor_new(enum descriptor_kind kind);
void descriptor_close(struct descriptor *descriptor, bool reset);
/* Puts it into the list of its loop, or takes it out. After each change of its state. */
void descriptor_look(struct descriptor *descriptor);
bool descriptor_is_readable(const struct descriptor *descriptor);
bool descriptor_is_writable(const struct descriptor *descriptor);
/* From now on the descriptor's bytes come and go by this end. */
void descriptor_attach(struct descriptor *descriptor, struct end *end);
struct descriptor *descriptor_dial(const char *address, enum socket_kind socket);
/* Counts bytes that the process read or wrote. */
void descriptor_count(struct descriptor *descriptor, const uint8_t *data, size_t len, bool read);

/* --- loops --- */

void loop_init(struct event_base *base, const char *name, struct worker *worker);
/* A turn follows soon. */
void loop_wake(struct event_base *base);
/* One turn, now. */
void loop_turn(struct event_base *base);
void loop_release(struct event_base *base);
/* No loop has a turn for this time. */
void loops_suspend(int64_t lasts_us);
/* Moves the timers of all events: `later_us` later (or earlier), and not before `earliest_us`. */
void loops_move_timers(int64_t later_us, int64_t earliest_us);
/* At the end of a turn: true if another must follow at once. */
bool worker_turn_ends(struct worker *worker);
/* Activates the event of waiting jobs. */
void worker_take_jobs(struct worker *worker);

/* --- clock --- */

int64_t process_clock_us(void);
/* The monotonic clock stands still for this time; the timers of the loops follow it. */
void process_clock_stand(int64_t lasts_us, bool catches_up);
void process_clock_leap(int64_t by_us);
/* The time until a timer of `us` by this clock runs. */
int64_t process_clock_wait(int64_t us);
void process_clock_begin_turn(void);
int64_t process_clock_end_turn(void); /* its cost */

/* The loops that have jobs run, while the running one waits for them. */
void loops_serve_jobs(void);

/* --- HTTP --- */

struct http_answer {
    int status; /* 0: the endpoint ended first */
    char type[64];
    char *body; /* NUL-terminated */
    size_t len;
};

struct http_question {
    int method; /* enum evhttp_cmd_type */
    const char *uri;
    const char *body, *authorization, *accept; /* NULL: none; `accept` is static */
    /* Called once, in the turn that answers. */
    void (*answered)(void *arg, const struct http_answer *answer);
    void *arg;
};

/* Sends a request from this machine to the admin endpoint. False: there is none. */
bool process_http_ask(const struct http_question *question);

/* --- memory --- */

/* Blocks of base/memory.h that live. */
long memory_live_blocks(void);
uint64_t memory_allocations(void);

/* --- files --- */

/* Simulated files, by path below "/simulated/". The text is copied. NULL: removes it. */
void files_put(const char *path, const char *text);
void files_clear(void);
const char *files_find(const char *path);

#endif
