/* The program: runs histories under seeds. The first failure is shrunk, and its trace printed. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history.h"
#include "shrink.h"

struct options {
    double seconds;
    uint64_t histories;
    uint64_t seed;
    const char *seeds; /* a file */
    bool trace;
    bool direct;
    bool shrinks;
    bool goes_on; /* after a failure */
    bool twice;   /* runs each history again, and compares */
};

struct figures {
    uint64_t histories, events, failed;
    double virtual_seconds;
    uint64_t operations[PLAN_OPERATION_KINDS];
    uint64_t faults[PLAN_FAULT_KINDS];
    uint64_t hash;
};

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count_plan(struct figures *figures, const struct plan *plan)
{
    for (unsigned i = 0; i < plan->client_count; i++)
        for (unsigned j = 0; j < plan->clients[i].operation_count; j++)
            figures->operations[plan->clients[i].operations[j].kind]++;
    for (unsigned i = 0; i < plan->fault_count; i++)
        figures->faults[plan->faults[i].kind]++;
}

/* The shrunk history, in a form for people. It runs in a process of its own: it may abort. */
static void print_shrunk(struct plan *plan, const char *check)
{
    enum { ATTEMPTS_MAX = 300 };
    char name[SHRINK_CHECK_BYTES];
    struct world_failure failure;
    (void)snprintf(name, sizeof name, "%s", check);
    unsigned attempts = shrink_plan(plan, name, ATTEMPTS_MAX);
    (void)printf("shrunk in %u attempts:\n", attempts);
    plan_print(plan, stdout);
    (void)fflush(stdout);
    (void)history_run(plan, stdout, &failure);
    (void)fflush(stdout);
}

static void report(const struct options *options, struct plan *plan,
                   const struct history_outcome *outcome)
{
    (void)printf("failed \"%s\" with seed %" PRIu64 "%s after %.3f s: %s\n", outcome->failure.check,
                 plan->seed, plan->direct ? " --direct" : "", (double)outcome->failure.at_us / 1e6,
                 outcome->failure.text);
    (void)fflush(stdout);
    if (options->shrinks)
        print_shrunk(plan, outcome->failure.check);
}

static void check_replay(const struct plan *plan, const struct history_outcome *first)
{
    struct history_outcome second;
    (void)history_measure(plan, NULL, &second);
    if (second.hash == first->hash && second.events == first->events)
        return;
    (void)printf("failed \"same seed, same history\" with seed %" PRIu64 ": %" PRIu64
                 " events, then %" PRIu64 "\n",
                 plan->seed, first->events, second.events);
    exit(EXIT_FAILURE);
}

static void run_seed(const struct options *options, uint64_t seed, struct figures *figures)
{
    struct plan plan;
    struct history_outcome outcome;
    plan_make(seed, &plan);
    plan.direct = plan.direct || options->direct;
    if (options->trace)
        plan_print(&plan, stdout);
    bool held = history_measure(&plan, options->trace ? stdout : NULL, &outcome);
    if (options->twice)
        check_replay(&plan, &outcome);
    figures->histories++;
    figures->events += outcome.events;
    figures->virtual_seconds += (double)outcome.lasted_us / 1e6;
    figures->hash = (figures->hash ^ outcome.hash) * 0x9E3779B97F4A7C15U;
    count_plan(figures, &plan);
    if (held)
        return;
    figures->failed++;
    report(options, &plan, &outcome);
}

static bool goes_on(const struct options *options, const struct figures *figures)
{
    return options->goes_on || figures->failed == 0;
}

/* Lines of the file: a seed, and a word on its find. False: it cannot be read. */
static bool run_file(const struct options *options, struct figures *figures)
{
    char line[512];
    FILE *file = fopen(options->seeds, "r");
    if (file == NULL)
        return false;
    while (goes_on(options, figures) && fgets(line, sizeof line, file) != NULL)
        if (line[0] >= '0' && line[0] <= '9')
            run_seed(options, strtoull(line, NULL, 10), figures);
    (void)fclose(file);
    return true;
}

static void print_figures(const struct figures *figures, uint64_t seed, double seconds)
{
    double cpu_s = (double)clock() / CLOCKS_PER_SEC;
    (void)printf("seeds from %" PRIu64 ": %" PRIu64
                 " histories in %.1f s (%.0f a second of CPU), %.0f s of virtual time, %" PRIu64
                 " events, %" PRIu64 " failed, hash %016" PRIx64 "\n",
                 seed, figures->histories, seconds, (double)figures->histories / cpu_s,
                 figures->virtual_seconds, figures->events, figures->failed, figures->hash);
    (void)printf("operations:");
    for (unsigned i = 0; i < PLAN_OPERATION_KINDS; i++)
        (void)printf(" %s %" PRIu64, plan_operation_name((enum plan_operation)i),
                     figures->operations[i]);
    (void)printf("\nfaults:");
    for (unsigned i = 0; i < PLAN_FAULT_KINDS; i++)
        (void)printf(" %s %" PRIu64, plan_fault_name((enum plan_fault_kind)i), figures->faults[i]);
    (void)printf("\n");
}

static bool read_options(int argc, char **argv, struct options *out)
{
    static const struct option names[] = {
        {"seconds", required_argument, NULL, 's'}, {"histories", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 'S'},    {"seeds", required_argument, NULL, 'F'},
        {"trace", no_argument, NULL, 't'},         {"direct", no_argument, NULL, 'd'},
        {"no-shrink", no_argument, NULL, 'k'},     {"go-on", no_argument, NULL, 'g'},
        {"twice", no_argument, NULL, '2'},         {NULL, 0, NULL, 0}};
    *out = (struct options){.seed = 1, .shrinks = true};
    for (int got; (got = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (got) {
        case 's':
            out->seconds = strtod(optarg, NULL);
            break;
        case 'n':
            out->histories = strtoull(optarg, NULL, 10);
            break;
        case 'S':
            out->seed = strtoull(optarg, NULL, 10);
            break;
        case 'F':
            out->seeds = optarg;
            break;
        case 't':
            out->trace = true;
            break;
        case 'd':
            out->direct = true;
            break;
        case 'k':
            out->shrinks = false;
            break;
        case '2':
            out->twice = true;
            break;
        case 'g':
            out->goes_on = true;
            out->shrinks = false;
            break;
        default:
            return false;
        }
    if (out->histories == 0 && out->seconds == 0 && out->seeds == NULL)
        out->histories = 1;
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct options options;
    struct figures figures = {0};
    if (!read_options(argc, argv, &options)) {
        (void)fputs("usage: simulate [--seconds N | --histories N] [--seed S] [--seeds FILE] "
                    "[--trace] [--direct] [--no-shrink] [--go-on] [--twice]\n",
                    stderr);
        return 2;
    }
    double began_s = now_s();
    if (options.seeds != NULL && !run_file(&options, &figures)) {
        (void)fprintf(stderr, "simulate: cannot read %s\n", options.seeds);
        return 2;
    }
    for (uint64_t i = 0; goes_on(&options, &figures) &&
                         (i < options.histories || now_s() - began_s < options.seconds);
         i++)
        run_seed(&options, options.seed + i, &figures);
    print_figures(&figures, options.seed, now_s() - began_s);
    return figures.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
