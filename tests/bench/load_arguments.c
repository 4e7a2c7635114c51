#include "bench/load_arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/compressed.h"

#define MAX_THREADS     64
#define MAX_CONNECTIONS 1000000
#define MAX_SECONDS     86400

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
    "  --warmup-seconds S     0; it begins when all connections are open, and commands answered in "
    "it\n"
    "                         are not counted\n"
    "  --warmup-answers N     0; it lasts until there are N answers for each connection, too, but "
    "3\n"
    "                         seconds more at most\n"
    "  --answers N            0; so does the time that counts\n"
    "  --documents N          1; in one insert, or the limit of a find\n"
    "  --document-bytes N     pad the six-field document up to that size\n"
    "  --retryable            inserts carry lsid and txnNumber, as drivers send them to a replica "
    "set\n"
    "  --write-concern W      inserts say writeConcern: {w: W}, a number or a word such as "
    "majority\n"
    "  --unordered            inserts say ordered: false\n"
    "  --db NAME              bench\n"
    "  --collection NAME      items\n"
    "  --tls                  without checking the certificate\n"
    "  --compress NAME        requests travel compressed: snappy, zlib, zstd\n"
    "  --cpu-of PID[,PID…]    tell the CPU time that these processes use after the warm-up\n"
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
    for (int i = WIRE_COMPRESSOR_SNAPPY; i <= WIRE_COMPRESSOR_ZSTD; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (uint8_t)i;
            return true;
        }
    fprintf(stderr, "loadgen: --compress '%s' is none of snappy, zlib, zstd\n", text);
    return false;
}

static bool read_processes(const char *text, struct cpu_watch *cpu)
{
    if (cpu_watch_read(text, cpu))
        return true;
    fprintf(stderr, "loadgen: --cpu-of '%s' is not up to %d ids of running processes\n", text,
            CPU_WATCH_MOST);
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
    OPTION_WARMUP_ANSWERS,
    OPTION_ANSWERS,
    OPTION_DOCUMENTS,
    OPTION_DOCUMENT_BYTES,
    OPTION_RETRYABLE,
    OPTION_UNORDERED,
    OPTION_WRITE_CONCERN,
    OPTION_CPU_OF,
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
    {"warmup-answers", required_argument, NULL, OPTION_WARMUP_ANSWERS},
    {"answers", required_argument, NULL, OPTION_ANSWERS},
    {"documents", required_argument, NULL, OPTION_DOCUMENTS},
    {"document-bytes", required_argument, NULL, OPTION_DOCUMENT_BYTES},
    {"retryable", no_argument, NULL, OPTION_RETRYABLE},
    {"unordered", no_argument, NULL, OPTION_UNORDERED},
    {"write-concern", required_argument, NULL, OPTION_WRITE_CONCERN},
    {"cpu-of", required_argument, NULL, OPTION_CPU_OF},
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

static bool read_number_option(int option, const char *text, struct load_arguments *arguments)
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
    case OPTION_WARMUP_ANSWERS:
        return read_count(name, text, 0, 1e6, &arguments->warmup_answers);
    case OPTION_ANSWERS:
        return read_count(name, text, 0, 1e6, &arguments->answers);
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

static bool read_option(int option, const char *text, struct load_arguments *arguments)
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
    case OPTION_WRITE_CONCERN:
        arguments->request.write_concern = text;
        return true;
    case OPTION_CPU_OF:
        return read_processes(text, &arguments->cpu);
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

bool load_arguments_read(int argc, char **argv, struct load_arguments *arguments)
{
    int option = 0;
    *arguments = (struct load_arguments){
        .host = "127.0.0.1",
        .connections = 1,
        .threads = 1,
        .hold_seconds = 10,
        .seconds = 10,
        .request = {.database = "bench", .collection = "items", .documents = 1}};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!read_option(option, optarg, arguments))
            return false;
    if (arguments->cpu.count > 0 && !arguments->json) {
        fputs("loadgen: --cpu-of needs --json\n", stderr);
        return false;
    }
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
