#include "bench/nulloptions.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_US 60000000

static const char usage[] =
    "nullserver [--host 127.0.0.1] [--port 0] [--replica-set NAME] [--delay-us N]\n"
    "           [--find-documents N] [--document-bytes N] [--commit-us LEAST-MOST]\n"
    "           [--default-w 1|majority] [--cpu-us "
    "COMMAND,DOCUMENT[,RETRYABLE,STATEMENT[,DURABLE]]]\n"
    "           [--tls-cert FILE]\n"
    "Acknowledges every command and stores nothing. Port 0 takes a free port; the first line of\n"
    "the output names the address. On TERM it prints its counters, as JSON.\n"
    "  --delay-us   every reply but hello's comes so much later\n"
    "  --commit-us  writes with w: \"majority\" (or j, or w above 1) wait for a journal: it "
    "commits so\n"
    "               long after the first one that waits, and then all that came are answered, in "
    "order\n"
    "  --default-w  the write concern of writes that have none (1)\n"
    "  --cpu-us     CPU time of an insert: for the command, for each document; more with a "
    "txnNumber,\n"
    "               and for each document then; more with a write concern that waits for the "
    "journal\n"
    "  --tls-cert   TLS, with the certificate and key of a PEM file\n";

static bool read_number(const char *text, long max, long *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *out >= 0 && *out <= max)
        return true;
    fprintf(stderr, "nullserver: '%s' is not a number from 0 to %ld\n", text, max);
    return false;
}

static bool read_commit(const char *text, struct null_server_options *options)
{
    char *end = NULL;
    long least = strtol(text, &end, 10);
    long most = *end == '-' ? strtol(end + 1, &end, 10) : least;
    if (end == text || *end != '\0' || least < 0 || most < least || most < 1 || most > MOST_US) {
        fprintf(stderr, "nullserver: --commit-us '%s' is not LEAST-MOST in microseconds\n", text);
        return false;
    }
    options->commit_least_ns = (uint64_t)least * 1000;
    options->commit_most_ns = (uint64_t)most * 1000;
    return true;
}

static bool read_costs(const char *text, struct null_server_options *options)
{
    const char *at = text;
    char *end = NULL;
    for (int i = 0; i < NULL_COSTS; i++) {
        double us = strtod(at, &end);
        if (end == at || !(us >= 0 && us <= MOST_US) || (*end != ',' && *end != '\0'))
            break;
        options->cpu_us[i] = us;
        options->costs = options->costs || us > 0;
        if (*end == '\0')
            return true;
        at = end + 1;
    }
    fprintf(stderr, "nullserver: --cpu-us '%s' is not up to %d times in microseconds\n", text,
            NULL_COSTS);
    return false;
}

static bool read_default_w(const char *text, struct null_server_options *options)
{
    options->replies.default_majority = strcmp(text, "majority") == 0;
    if (options->replies.default_majority || strcmp(text, "1") == 0)
        return true;
    fprintf(stderr, "nullserver: --default-w '%s' is neither 1 nor majority\n", text);
    return false;
}

static bool read_option(int option, char *text, struct null_server_options *options)
{
    long number = 0;
    switch (option) {
    case 'h':
        options->host = text;
        return true;
    case 'p':
        if (!read_number(text, UINT16_MAX, &number))
            return false;
        options->port = (uint16_t)number;
        return true;
    case 'r':
        options->replies.replica_set = text;
        return true;
    case 'd':
        if (!read_number(text, MOST_US, &number))
            return false;
        options->delay_ns = (uint64_t)number * 1000;
        return true;
    case 'n':
        if (!read_number(text, 1000000, &number))
            return false;
        options->replies.find_documents = (int32_t)number;
        return true;
    case 'b':
        if (!read_number(text, 16777216, &number))
            return false;
        options->replies.document_bytes = (size_t)number;
        return true;
    case 'c':
        return read_commit(text, options);
    case 'w':
        return read_default_w(text, options);
    case 'u':
        return read_costs(text, options);
    case 't':
        options->certificate_file = text;
        return true;
    default:
        fputs(usage, stderr);
        return false;
    }
}

bool null_server_options_read(int argc, char **argv, struct null_server_options *options)
{
    static const struct option names[] = {{"host", required_argument, NULL, 'h'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"replica-set", required_argument, NULL, 'r'},
                                          {"delay-us", required_argument, NULL, 'd'},
                                          {"find-documents", required_argument, NULL, 'n'},
                                          {"document-bytes", required_argument, NULL, 'b'},
                                          {"commit-us", required_argument, NULL, 'c'},
                                          {"default-w", required_argument, NULL, 'w'},
                                          {"cpu-us", required_argument, NULL, 'u'},
                                          {"tls-cert", required_argument, NULL, 't'},
                                          {"help", no_argument, NULL, '?'},
                                          {NULL, 0, NULL, 0}};
    int option = 0;
    *options = (struct null_server_options){.host = "127.0.0.1", .replies = {.find_documents = 1}};
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
        if (!read_option(option, optarg, options))
            return false;
    if (optind == argc)
        return true;
    fprintf(stderr, "nullserver: '%s' is not an option\n%s", argv[optind], usage);
    return false;
}
