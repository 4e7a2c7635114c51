/* The load generator: many raw connections that speak MongoDB's wire protocol, and the time of each
 * command. It is C so that the client does not dominate the measurement (a Python client takes
 * about 350 µs for an insert, a proxy's hop about 20). */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/resource.h>
#include <sys/un.h>

#include "base/memory.h"
#include "bench/clock.h"
#include "bench/load.h"
#include "wire/compressed.h"

#define MAX_THREADS     64
#define MAX_CONNECTIONS 1000000
#define MAX_SECONDS     86400

struct arguments {
    const char *host;
    const char *port;
    const char *socket; /* a path, instead of host and port; NULL: none */
    size_t connections;
    size_t active; /* 0: all */
    size_t threads;
    bool idle;
    bool json;
    bool tls;
    uint8_t compressor;
    double hold_seconds;
    double seconds;
    double warmup_seconds;
    uint64_t operations;
    double rate; /* total commands a second; 0: as fast as the replies come */
    struct request_options request;
};

static const char usage[] =
    "loadgen --port PORT | --socket PATH [option…]\n"
    "  --host HOST            127.0.0.1\n"
    "  --connections N        1; each has one command at a time\n"
    "  --active N             all; the other connections say hello and stay idle\n"
    "  --threads N            1\n"
    "  --command NAME         ping (default), hello, insert, find\n"
    "  --seconds S            10\n"
    "  --operations N         stop after N commands instead\n"
    "  --rate N               commands a second of all connections, each at fixed times, from "
    "which\n"
    "                         its latency counts; else each sends after its answer\n"
    "  --warmup-seconds S     0; commands begun in it are not counted\n"
    "  --documents N          1; in one insert, or the limit of a find\n"
    "  --document-bytes N     pad the six-field document up to that size\n"
    "  --retryable            inserts carry lsid and txnNumber, as drivers send them to a replica "
    "set\n"
    "  --unordered            inserts say ordered: false\n"
    "  --db NAME              bench\n"
    "  --collection NAME      items\n"
    "  --tls                  without checking the certificate\n"
    "  --compress NAME        requests travel compressed: snappy, zlib, zstd\n"
    "  --json                 print the result as one JSON object\n"
    "  --idle N               instead of a load: open N connections, each says hello and is then\n"
    "                         idle for --hold-seconds S (10); prints 'ready N' once all are open\n"
    "Ends with 0 if there was no error, 1 if there was, 2 if an option is wrong.\n";

static bool read_real(const char *name, const char *text, double min, double max, double *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtod(text, &end);
    if (errno == 0 && end != text && *end == '\0' && *out >= min && *out <= max)
        return true;
    fprintf(stderr, "loadgen: --%s '%s' is not a number from %.0f to %.0f\n", name, text, min, max);
    return false;
}

static bool read_count(const char *name, const char *text, double min, double max, size_t *out)
{
    double value = 0;
    if (!read_real(name, text, min, max, &value))
        return false;
    *out = (size_t)value;
    return true;
}

static bool read_command(const char *text, enum request_command *out)
{
    static const char *const names[] = {"ping", "hello", "insert", "find"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum request_command)i;
            return true;
        }
    fprintf(stderr, "loadgen: --command '%s' is none of ping, hello, insert, find\n", text);
    return false;
}

static bool read_compressor(const char *text, uint8_t *out)
{
    static const char *const names[] = {"", "snappy", "zlib", "zstd"};
    for (uint8_t i = WIRE_COMPRESSOR_SNAPPY; i <= WIRE_COMPRESSOR_ZSTD; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    fprintf(stderr, "loadgen: --compress '%s' is none of snappy, zlib, zstd\n", text);
    return false;
}

enum option_id {
    OPTION_HOST = 1,
    OPTION_PORT,
    OPTION_CONNECTIONS,
    OPTION_ACTIVE,
    OPTION_THREADS,
    OPTION_COMMAND,
    OPTION_SECONDS,
    OPTION_OPERATIONS,
    OPTION_RATE,
    OPTION_WARMUP,
    OPTION_DOCUMENTS,
    OPTION_DOCUMENT_BYTES,
    OPTION_RETRYABLE,
    OPTION_UNORDERED,
    OPTION_SOCKET,
    OPTION_DB,
    OPTION_COLLECTION,
    OPTION_TLS,
    OPTION_COMPRESS,
    OPTION_JSON,
    OPTION_IDLE,
    OPTION_HOLD,
    OPTION_HELP
};

static const struct option options[] = {
    {"host", required_argument, NULL, OPTION_HOST},
    {"port", required_argument, NULL, OPTION_PORT},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"active", required_argument, NULL, OPTION_ACTIVE},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"command", required_argument, NULL, OPTION_COMMAND},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"operations", required_argument, NULL, OPTION_OPERATIONS},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"warmup-seconds", required_argument, NULL, OPTION_WARMUP},
    {"documents", required_argument, NULL, OPTION_DOCUMENTS},
    {"document-bytes", required_argument, NULL, OPTION_DOCUMENT_BYTES},
    {"retryable", no_argument, NULL, OPTION_RETRYABLE},
    {"unordered", no_argument, NULL, OPTION_UNORDERED},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"db", required_argument, NULL, OPTION_DB},
    {"collection", required_argument, NULL, OPTION_COLLECTION},
    {"tls", no_argument, NULL, OPTION_TLS},
    {"compress", required_argument, NULL, OPTION_COMPRESS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"idle", required_argument, NULL, OPTION_IDLE},
    {"hold-seconds", required_argument, NULL, OPTION_HOLD},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

static bool read_number_option(int option, const char *text, struct arguments *arguments)
{
    const char *name = options[option - 1].name;
    size_t count = 0;
    switch (option) {
    case OPTION_IDLE:
        arguments->idle = true;
        return read_count(name, text, 1, MAX_CONNECTIONS, &arguments->connections);
    case OPTION_CONNECTIONS:
        return read_count(name, text, 1, MAX_CONNECTIONS, &arguments->connections);
    case OPTION_ACTIVE:
        return read_count(name, text, 1, MAX_CONNECTIONS, &arguments->active);
    case OPTION_THREADS:
        return read_count(name, text, 1, MAX_THREADS, &arguments->threads);
    case OPTION_SECONDS:
        return read_real(name, text, 0, MAX_SECONDS, &arguments->seconds);
    case OPTION_WARMUP:
        return read_real(name, text, 0, MAX_SECONDS, &arguments->warmup_seconds);
    case OPTION_RATE:
        return read_real(name, text, 1, 1e9, &arguments->rate);
    case OPTION_HOLD:
        return read_real(name, text, 0, MAX_SECONDS, &arguments->hold_seconds);
    case OPTION_OPERATIONS:
        return read_count(name, text, 1, 1e15, &arguments->operations);
    case OPTION_DOCUMENT_BYTES:
        return read_count(name, text, 0, 16 * 1024 * 1024, &arguments->request.document_bytes);
    default: /* OPTION_DOCUMENTS */
        if (!read_count(name, text, 1, 1000000, &count))
            return false;
        arguments->request.documents = (int32_t)count;
        return true;
    }
}

static bool read_option(int option, const char *text, struct arguments *arguments)
{
    switch (option) {
    case OPTION_HOST:
        arguments->host = text;
        return true;
    case OPTION_PORT:
        arguments->port = text;
        return true;
    case OPTION_SOCKET:
        arguments->socket = text;
        return true;
    case OPTION_COMMAND:
        return read_command(text, &arguments->request.command);
    case OPTION_DB:
        arguments->request.database = text;
        return true;
    case OPTION_COLLECTION:
        arguments->request.collection = text;
        return true;
    case OPTION_RETRYABLE:
        arguments->request.retryable = true;
        return true;
    case OPTION_UNORDERED:
        arguments->request.unordered = true;
        return true;
    case OPTION_TLS:
        arguments->tls = true;
        return true;
    case OPTION_COMPRESS:
        return read_compressor(text, &arguments->compressor);
    case OPTION_JSON:
        arguments->json = true;
        return true;
    case OPTION_HELP:
    case '?':
        fputs(usage, stderr);
        return false;
    default:
        return read_number_option(option, text, arguments);
    }
}

static bool read_arguments(int argc, char **argv, struct arguments *arguments)
{
    int option = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!read_option(option, optarg, arguments))
            return false;
    if (optind != argc || (arguments->port == NULL) == (arguments->socket == NULL)) {
        fputs(usage, stderr);
        return false;
    }
    if (arguments->active == 0 || arguments->active > arguments->connections)
        arguments->active = arguments->connections;
    if (arguments->threads > arguments->active)
        arguments->threads = arguments->active;
    return true;
}

struct thread {
    pthread_t id;
    struct load *load;
    struct load_result result;
    size_t wanted;
    size_t connected;
    size_t still_open;
    const struct arguments *arguments;
    pthread_barrier_t *all_connected;
};

static uint64_t to_ns(double seconds)
{
    return (uint64_t)(seconds * (double)CLOCK_NS_A_SECOND);
}

static void *thread_main(void *argument)
{
    struct thread *thread = argument;
    thread->connected = load_connect(thread->load);
    pthread_barrier_wait(thread->all_connected);
    if (thread->arguments->idle) {
        pthread_barrier_wait(thread->all_connected); /* the main thread says `ready` before it */
        thread->still_open = load_hold(thread->load, to_ns(thread->arguments->hold_seconds));
    } else {
        load_run(thread->load);
    }
    return NULL;
}

static bool use_socket(const char *path, struct load_options *load)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "loadgen: the path of a Unix socket is too long: %s\n", path);
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    memcpy(&load->address, &address, sizeof address);
    load->address_len = sizeof address;
    return true;
}

static bool find_address(const struct arguments *arguments, struct load_options *load)
{
    if (arguments->socket != NULL)
        return use_socket(arguments->socket, load);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(arguments->host, arguments->port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "loadgen: %s port %s: %s\n", arguments->host, arguments->port,
                gai_strerror(error));
        return false;
    }
    memcpy(&load->address, found->ai_addr, found->ai_addrlen);
    load->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* The share of the i-th of n in `all`. */
static uint64_t share(uint64_t all, size_t i, size_t n)
{
    return all / n + (i < all % n);
}

static uint64_t pace_of(const struct arguments *arguments)
{
    return arguments->rate > 0 ? to_ns((double)arguments->active / arguments->rate) : 0;
}

static bool make_loads(const struct arguments *arguments, struct thread *threads)
{
    struct load_options load = {.request = arguments->request,
                                .tls = arguments->tls,
                                .compressor = arguments->compressor,
                                .pace_ns = pace_of(arguments),
                                .warmup_ns = to_ns(arguments->warmup_seconds),
                                .run_ns = to_ns(arguments->seconds)};
    if (!find_address(arguments, &load))
        return false;
    for (size_t i = 0; i < arguments->threads; i++) {
        threads[i].wanted = share(arguments->connections, i, arguments->threads);
        load.connections = threads[i].wanted;
        load.active = share(arguments->active, i, arguments->threads);
        load.operations = share(arguments->operations, i, arguments->threads);
        load.first_number = (uint64_t)i << 33;
        threads[i].arguments = arguments;
        threads[i].load = load_make(&load, &threads[i].result);
        if (threads[i].load == NULL) {
            fprintf(stderr, "loadgen: memory is out, or an insert would be over 48000000 bytes\n");
            return false;
        }
    }
    return true;
}

struct totals {
    struct load_result result;
    size_t connected;
    size_t still_open;
    double operations_a_second;
};

static void add_up(const struct arguments *arguments, const struct thread *threads,
                   struct totals *totals)
{
    struct load_result *all = &totals->result;
    for (size_t i = 0; i < arguments->threads; i++) {
        const struct load_result *one = &threads[i].result;
        histogram_merge(&all->latencies, &one->latencies);
        histogram_merge(&all->waits, &one->waits);
        all->sent += one->sent;
        all->errors += one->errors;
        all->lost_connections += one->lost_connections;
        if (one->elapsed_ns > 0)
            totals->operations_a_second +=
                (double)one->latencies.total * (double)CLOCK_NS_A_SECOND / (double)one->elapsed_ns;
        if (one->elapsed_ns > all->elapsed_ns)
            all->elapsed_ns = one->elapsed_ns;
        if (all->reason[0] == '\0')
            memcpy(all->reason, one->reason, sizeof all->reason);
        totals->still_open += threads[i].still_open;
    }
}

static double microseconds(const struct histogram *histogram, double percent)
{
    return (double)histogram_percentile(histogram, percent) / 1000;
}

static void print_json_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

static void print_load_json(const struct arguments *arguments, const struct totals *totals)
{
    const struct load_result *all = &totals->result;
    const struct histogram *times = &all->latencies;
    printf("{\"connections\": %zu, \"operations\": %llu, \"seconds\": %.3f, "
           "\"ops_per_second\": %.0f, \"documents_per_second\": %.0f, \"errors\": %llu, "
           "\"lost_connections\": %llu, \"sent\": %llu, ",
           totals->connected, (unsigned long long)times->total, (double)all->elapsed_ns / 1e9,
           totals->operations_a_second,
           arguments->request.command == REQUEST_INSERT
               ? totals->operations_a_second * arguments->request.documents
               : 0.0,
           (unsigned long long)all->errors, (unsigned long long)all->lost_connections,
           (unsigned long long)all->sent);
    printf("\"client_wait_us\": {\"p50\": %.1f, \"p99\": %.1f}, ", microseconds(&all->waits, 50),
           microseconds(&all->waits, 99));
    printf("\"latency_us\": {\"min\": %.1f, \"mean\": %.1f, \"p50\": %.1f, \"p90\": %.1f, "
           "\"p99\": %.1f, \"p99_9\": %.1f, \"max\": %.1f}, \"reason\": ",
           (double)times->min / 1000, histogram_mean(times) / 1000, microseconds(times, 50),
           microseconds(times, 90), microseconds(times, 99), microseconds(times, 99.9),
           (double)times->max / 1000);
    print_json_string(all->reason);
    puts("}");
}

static void print_load(const struct arguments *arguments, const struct totals *totals)
{
    if (arguments->json) {
        print_load_json(arguments, totals);
        return;
    }
    const struct histogram *times = &totals->result.latencies;
    printf("%zu connections, %llu operations, %.0f ops/s; µs: p50 %.1f, p90 %.1f, p99 %.1f, "
           "p99.9 %.1f, max %.1f; errors %llu, lost connections %llu%s%s\n",
           totals->connected, (unsigned long long)times->total, totals->operations_a_second,
           microseconds(times, 50), microseconds(times, 90), microseconds(times, 99),
           microseconds(times, 99.9), (double)times->max / 1000,
           (unsigned long long)totals->result.errors,
           (unsigned long long)totals->result.lost_connections,
           totals->result.reason[0] == '\0' ? "" : "; first: ", totals->result.reason);
}

static void print_idle(const struct arguments *arguments, const struct totals *totals)
{
    if (!arguments->json) {
        printf("%zu of %zu connections opened, %zu still open%s%s\n", totals->connected,
               arguments->connections, totals->still_open,
               totals->result.reason[0] == '\0' ? "" : "; first: ", totals->result.reason);
        return;
    }
    printf("{\"wanted\": %zu, \"opened\": %zu, \"still_open\": %zu, \"reason\": ",
           arguments->connections, totals->connected, totals->still_open);
    print_json_string(totals->result.reason);
    puts("}");
}

/* The threads connect, meet at the barrier, and run. */
static bool run_threads(const struct arguments *arguments, struct thread *threads,
                        struct totals *totals)
{
    pthread_barrier_t all_connected;
    pthread_barrier_init(&all_connected, NULL, (unsigned)arguments->threads + 1);
    for (size_t i = 0; i < arguments->threads; i++) {
        threads[i].all_connected = &all_connected;
        int error = pthread_create(&threads[i].id, NULL, thread_main, &threads[i]);
        if (error != 0) {
            fprintf(stderr, "loadgen: cannot start a thread: %s\n", strerror(error));
            exit(1); /* the started threads wait at the barrier */
        }
    }
    pthread_barrier_wait(&all_connected);
    for (size_t i = 0; i < arguments->threads; i++)
        totals->connected += threads[i].connected;
    if (arguments->idle) {
        printf("ready %zu\n", totals->connected);
        fflush(stdout);
        pthread_barrier_wait(&all_connected);
    }
    for (size_t i = 0; i < arguments->threads; i++)
        pthread_join(threads[i].id, NULL);
    pthread_barrier_destroy(&all_connected);
    add_up(arguments, threads, totals);
    return totals->connected == arguments->connections && totals->result.errors == 0 &&
           totals->result.lost_connections == 0;
}

static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    static struct totals totals;
    struct arguments arguments = {
        .host = "127.0.0.1",
        .connections = 1,
        .threads = 1,
        .hold_seconds = 10,
        .seconds = 10,
        .request = {.database = "bench", .collection = "items", .documents = 1}};
    if (!read_arguments(argc, argv, &arguments))
        return 2;
    raise_file_limit();
    struct thread *threads = memory_array(arguments.threads, sizeof *threads);
    if (threads == NULL)
        return 1;
    bool clean = make_loads(&arguments, threads) && run_threads(&arguments, threads, &totals);
    if (arguments.idle)
        print_idle(&arguments, &totals);
    else
        print_load(&arguments, &totals);
    for (size_t i = 0; i < arguments.threads; i++)
        load_free(threads[i].load);
    memory_free(threads);
    return clean ? 0 : 1;
}
