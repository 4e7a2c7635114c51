/* Connects again and again: each time a new connection, a TLS handshake, a hello and its reply, and
 * the end of the connection. It is C, so that the client does not dominate the measurement. */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "base/memory.h"
#include "bench/clock.h"
#include "bench/cpu_watch.h"
#include "bench/histogram.h"
#include "bench/request.h"
#include "wire/header.h"

#define REPLY_BYTES   16384
#define MAX_THREADS   512
#define MAX_SECONDS   3600
#define REASON_BYTES  256
#define REPLY_SECONDS 30

static const char usage[] =
    "dialgen --port PORT [option…]\n"
    "  --host HOST            127.0.0.1\n"
    "  --connections N        16; at a time\n"
    "  --seconds S            10\n"
    "  --warmup-seconds S     0; connections that are answered in it are not counted\n"
    "  --tls                  without checking the certificate; each handshake is a full one\n"
    "  --resume               each connection resumes the TLS session of the one before\n"
    "  --cpu-of PID[,PID…]    tell the CPU time that these processes use while connections are "
    "counted\n"
    "Prints {\"connections\", \"seconds\", \"connections_per_second\", \"resumed\", \"errors\", "
    "\"latency_us\", \"cpu_seconds\", \"reason\"}.\n";

static struct {
    struct addrinfo *address;
    const char *host;
    const char *port;
    size_t connections;
    double seconds;
    double warmup_seconds;
    bool resume;
    SSL_CTX *tls; /* NULL: plain */
    struct request hello;
    struct cpu_watch cpu;
    uint64_t count_from_ns;
    uint64_t end_ns;
} work = {.host = "127.0.0.1", .connections = 16, .seconds = 10};

struct worker {
    pthread_t thread;
    struct histogram times;
    SSL_SESSION *session; /* of the last connection, if sessions are resumed */
    uint64_t resumed;
    uint64_t errors;
    char reason[REASON_BYTES];
    uint8_t reply[REPLY_BYTES];
};

static bool explain(struct worker *worker, const char *what)
{
    if (worker->reason[0] == '\0')
        snprintf(worker->reason, sizeof worker->reason, "%s (errno %d)", what, errno);
    return false;
}

static ssize_t send_some(int fd, SSL *tls, const uint8_t *data, size_t len)
{
    return tls != NULL ? SSL_write(tls, data, (int)len) : send(fd, data, len, MSG_NOSIGNAL);
}

static ssize_t receive_some(int fd, SSL *tls, uint8_t *data, size_t len)
{
    return tls != NULL ? SSL_read(tls, data, (int)len) : recv(fd, data, len, 0);
}

/* One hello and its reply. */
static bool greet(struct worker *worker, int fd, SSL *tls)
{
    if (send_some(fd, tls, work.hello.bytes, work.hello.len) != (ssize_t)work.hello.len)
        return explain(worker, "hello cannot be sent");
    size_t have = 0;
    size_t wanted = WIRE_HEADER_BYTES;
    while (have < wanted) {
        ssize_t got = receive_some(fd, tls, worker->reply + have, REPLY_BYTES - have);
        if (got <= 0)
            return explain(worker, "the connection ended before hello's reply");
        have += (size_t)got;
        if (have >= WIRE_HEADER_BYTES) {
            int32_t length = wire_header_read(worker->reply).length;
            if (length < WIRE_HEADER_BYTES || length > REPLY_BYTES)
                return explain(worker, "hello's reply has a wrong length");
            wanted = (size_t)length;
        }
    }
    enum reply_verdict verdict =
        reply_check(bytes_of(worker->reply, wanted), 1, 0, worker->reason, sizeof worker->reason);
    return verdict == REPLY_OK;
}

/* The session of this connection replaces the last one. */
static void keep_session(struct worker *worker, SSL *tls)
{
    if (SSL_session_reused(tls))
        worker->resumed++;
    SSL_SESSION_free(worker->session);
    worker->session = SSL_get1_session(tls);
}

static bool greet_by_tls(struct worker *worker, int fd)
{
    SSL *tls = SSL_new(work.tls);
    bool done = tls != NULL && SSL_set_fd(tls, fd) == 1 &&
                (worker->session == NULL || SSL_set_session(tls, worker->session) == 1);
    if (!done)
        explain(worker, "no memory for TLS");
    else if (SSL_connect(tls) != 1)
        done = explain(worker, "TLS handshake");
    else
        done = greet(worker, fd, tls);
    if (done && work.resume)
        keep_session(worker, tls);
    if (done)
        (void)SSL_shutdown(tls);
    SSL_free(tls);
    return done;
}

static bool dial(struct worker *worker)
{
    const struct timeval patience = {.tv_sec = REPLY_SECONDS};
    int on = 1;
    int fd = socket(work.address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return explain(worker, "socket");
    bool done = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
                connect(fd, work.address->ai_addr, work.address->ai_addrlen) == 0;
    if (!done)
        explain(worker, "connect");
    else
        done = work.tls != NULL ? greet_by_tls(worker, fd) : greet(worker, fd, NULL);
    close(fd);
    return done;
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    uint64_t begin = clock_now_ns();
    while (begin < work.end_ns) {
        bool counted = begin >= work.count_from_ns;
        uint64_t resumed = worker->resumed;
        bool done = dial(worker);
        uint64_t now = clock_now_ns();
        if (!done)
            worker->errors++;
        else if (now >= work.count_from_ns && now < work.end_ns)
            histogram_record(&worker->times, now - begin);
        if (!counted)
            worker->resumed = resumed;
        if (!done && worker->errors > 100)
            break; /* a server that refuses at once */
        begin = now;
    }
    return NULL;
}

static bool read_number(const char *name, const char *text, double least, double most, double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    if (end != text && *end == '\0' && *out >= least && *out <= most)
        return true;
    fprintf(stderr, "dialgen: --%s '%s' is not a number from %.0f to %.0f\n", name, text, least,
            most);
    return false;
}

static bool read_option(int option, const char *text, bool *tls)
{
    double number = 0;
    switch (option) {
    case 'h':
        work.host = text;
        return true;
    case 'p':
        work.port = text;
        return true;
    case 'c':
        if (!read_number("connections", text, 1, MAX_THREADS, &number))
            return false;
        work.connections = (size_t)number;
        return true;
    case 's':
        return read_number("seconds", text, 0, MAX_SECONDS, &work.seconds);
    case 'w':
        return read_number("warmup-seconds", text, 0, MAX_SECONDS, &work.warmup_seconds);
    case 't':
        *tls = true;
        return true;
    case 'r':
        *tls = true;
        work.resume = true;
        return true;
    case 'u':
        if (cpu_watch_read(text, &work.cpu))
            return true;
        fprintf(stderr, "dialgen: --cpu-of '%s' is not up to %d ids of running processes\n", text,
                CPU_WATCH_MOST);
        return false;
    default:
        fputs(usage, stderr);
        return false;
    }
}

static bool read_arguments(int argc, char **argv)
{
    static const struct option options[] = {{"host", required_argument, NULL, 'h'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"connections", required_argument, NULL, 'c'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"warmup-seconds", required_argument, NULL, 'w'},
                                            {"tls", no_argument, NULL, 't'},
                                            {"resume", no_argument, NULL, 'r'},
                                            {"cpu-of", required_argument, NULL, 'u'},
                                            {NULL, 0, NULL, 0}};
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int option = 0;
    bool tls = false;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!read_option(option, optarg, &tls))
            return false;
    if (optind != argc || work.port == NULL) {
        fputs(usage, stderr);
        return false;
    }
    int error = getaddrinfo(work.host, work.port, &hints, &work.address);
    if (error != 0) {
        fprintf(stderr, "dialgen: %s port %s: %s\n", work.host, work.port, gai_strerror(error));
        return false;
    }
    if (tls)
        work.tls = SSL_CTX_new(TLS_client_method());
    return !tls || work.tls != NULL;
}

static void print_result(const struct histogram *times, uint64_t resumed, uint64_t errors,
                         const char *reason)
{
    printf("{\"connections\": %llu, \"seconds\": %.3f, \"connections_per_second\": %.1f, "
           "\"resumed\": %llu, \"errors\": %llu, \"latency_us\": {\"p50\": %.1f, \"p99\": %.1f}, ",
           (unsigned long long)times->total, work.seconds, (double)times->total / work.seconds,
           (unsigned long long)resumed, (unsigned long long)errors,
           (double)histogram_percentile(times, 50) / 1000,
           (double)histogram_percentile(times, 99) / 1000);
    cpu_watch_print(&work.cpu);
    printf(", \"reason\": \"%s\"}\n", reason);
}

static bool make_hello(void)
{
    const struct request_options options = {.command = REQUEST_HELLO};
    const struct request_stamp stamp = {.request_id = 1};
    if (!request_make(&options, &work.hello))
        return false;
    request_set(&work.hello, &stamp);
    return true;
}

static uint64_t to_ns(double seconds)
{
    return (uint64_t)(seconds * (double)CLOCK_NS_A_SECOND);
}

/* Returns the number of errors. */
static uint64_t finish(struct worker *workers)
{
    static struct histogram times;
    const char *reason = "";
    uint64_t errors = 0;
    uint64_t resumed = 0;
    for (size_t i = 0; i < work.connections; i++) {
        pthread_join(workers[i].thread, NULL);
        histogram_merge(&times, &workers[i].times);
        errors += workers[i].errors;
        resumed += workers[i].resumed;
        if (reason[0] == '\0')
            reason = workers[i].reason;
        SSL_SESSION_free(workers[i].session);
    }
    print_result(&times, resumed, errors, reason);
    return errors;
}

int main(int argc, char **argv)
{
    if (!read_arguments(argc, argv))
        return 2;
    struct worker *workers = memory_array(work.connections, sizeof *workers);
    if (workers == NULL || !make_hello())
        return 1;
    work.count_from_ns = clock_now_ns() + to_ns(work.warmup_seconds);
    work.end_ns = work.count_from_ns + to_ns(work.seconds);
    for (size_t i = 0; i < work.connections; i++)
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0) {
            fputs("dialgen: cannot start a thread\n", stderr);
            return 1; /* ends the others */
        }
    cpu_watch_between(&work.cpu, work.count_from_ns, work.end_ns);
    uint64_t errors = finish(workers);
    SSL_CTX_free(work.tls);
    request_free(&work.hello);
    freeaddrinfo(work.address);
    memory_free(workers);
    return errors > 0 ? 1 : 0;
}
