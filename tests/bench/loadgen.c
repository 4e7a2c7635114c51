/* The load generator: many raw connections that speak MongoDB's wire protocol, and the time of each
 * command. It is C so that the client does not dominate the measurement (a Python client takes
 * about 350 µs for an insert, a proxy's hop about 20). */
#include <errno.h>
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
#include "bench/cpu_watch.h"
#include "bench/load.h"
#include "bench/load_arguments.h"

struct thread {
    pthread_t id;
    struct load *load;
    struct load_result result;
    size_t wanted;
    size_t connected;
    size_t still_open;
    const struct load_arguments *arguments;
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
    pthread_barrier_wait(thread->all_connected); /* the main thread is prepared */
    if (thread->arguments->idle) {
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

static bool find_address(const struct load_arguments *arguments, struct load_options *load)
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

static uint64_t pace_of(const struct load_arguments *arguments)
{
    return arguments->rate > 0 ? to_ns((double)arguments->active / arguments->rate) : 0;
}

static bool make_loads(const struct load_arguments *arguments, struct thread *threads,
                       struct cpu_watch *cpu)
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
        load.warmup_answers = load.active * arguments->warmup_answers;
        load.run_answers = load.active * arguments->answers;
        load.cpu = i == 0 && cpu->count > 0 ? cpu : NULL;
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
    struct cpu_watch cpu; /* of other processes, while commands are counted */
    size_t connected;
    size_t still_open;
    double operations_a_second;
};

static void add_up(const struct load_arguments *arguments, const struct thread *threads,
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

static void print_load_json(const struct load_arguments *arguments, const struct totals *totals)
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
    fputs(", ", stdout);
    cpu_watch_print(&totals->cpu);
    puts("}");
}

static void print_load(const struct load_arguments *arguments, const struct totals *totals)
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

static void print_idle(const struct load_arguments *arguments, const struct totals *totals)
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
static bool run_threads(const struct load_arguments *arguments, struct thread *threads,
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
    }
    pthread_barrier_wait(&all_connected);
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
    struct load_arguments arguments;
    if (!load_arguments_read(argc, argv, &arguments))
        return 2;
    raise_file_limit();
    totals.cpu = arguments.cpu;
    struct thread *threads = memory_array(arguments.threads, sizeof *threads);
    if (threads == NULL)
        return 1;
    bool clean =
        make_loads(&arguments, threads, &totals.cpu) && run_threads(&arguments, threads, &totals);
    if (arguments.idle)
        print_idle(&arguments, &totals);
    else
        print_load(&arguments, &totals);
    for (size_t i = 0; i < arguments.threads; i++)
        load_free(threads[i].load);
    memory_free(threads);
    return clean ? 0 : 1;
}
