/* mongosluice: arguments, signals, and the life of the process. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/keyed_hash.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "cli/subcommands.h"
#include "main/notify.h"
#include "main/prepare.h"
#include "main/proxy.h"

enum { EXIT_USAGE = 2, DRAIN_POLL_MS = 50 };

static void print_text(void (*write_text)(struct text *out))
{
    struct text text = text_growing();
    write_text(&text);
    (void)fputs(text.data != NULL ? text.data : "", stdout);
    text_release(&text);
}

static int show(struct config *config, enum config_command what)
{
    struct text listing = text_growing();
    switch (what) {
    case CONFIG_HELP:
        print_text(config_write_help);
        break;
    case CONFIG_MARKDOWN:
        print_text(config_write_markdown);
        break;
    case CONFIG_MAN:
        print_text(config_write_man);
        break;
    case CONFIG_SCHEMA:
        print_text(config_write_schema);
        break;
    case CONFIG_TABLE:
        print_text(config_write_table);
        break;
    case CONFIG_VERSION:
        (void)printf("mongosluice %s\n", SLUICE_VERSION);
        break;
    case CONFIG_CHECK:
        config_write_listing(config, &listing);
        (void)fputs(listing.data != NULL ? listing.data : "", stdout);
        text_release(&listing);
        break;
    case CONFIG_RUN:
        break;
    }
    config_release(config);
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Each client needs two descriptors. */
static void raise_descriptor_limit(const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    uint64_t wanted = 2 * (uint64_t)config->max_client_conn + 256;
    if (limit.rlim_cur < wanted)
        LOG_W(LOG_CONTROL, 1050, "main",
              "The limit on open files is too low for max_client_conn; raise it (ulimit -n, "
              "LimitNOFILE)",
              LOG_INT("limit", (int64_t)limit.rlim_cur), LOG_INT("wanted", (int64_t)wanted));
}

static void block_signals(sigset_t *set)
{
    static const int waited[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof waited / sizeof waited[0]; i++)
        sigaddset(set, waited[i]);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Waits until all clients left, the time is over, or a signal ends the wait. */
static void drain(struct proxy *proxy, const sigset_t *signals)
{
    int64_t since_ms = clock_now_ms();
    struct error ignored;
    const struct timespec poll = {.tv_nsec = DRAIN_POLL_MS * 1000000L};
    LOG_I(LOG_CONTROL, 1051, "main",
          "Draining: the proxy accepts no new connections and lets running commands finish",
          LOG_INT("clients", proxy_clients(proxy)),
          LOG_INT("drainTimeoutMillis", proxy_drain_timeout_ms(proxy)));
    proxy_drain(proxy);
    notify_stopping();
    while (proxy_clients(proxy) > 0) {
        int got = sigtimedwait(signals, NULL, &poll);
        (void)proxy_tick(proxy, &ignored);
        if (got == SIGTERM || got == SIGINT || got == SIGQUIT) {
            LOG_W(LOG_CONTROL, 1052, "main", "Second signal: the proxy ends at once",
                  LOG_INT("clients", proxy_clients(proxy)));
            return;
        }
        if (clock_now_ms() - since_ms >= proxy_drain_timeout_ms(proxy)) {
            LOG_W(LOG_CONTROL, 1053, "main",
                  "Drain timeout: the proxy closes the remaining connections",
                  LOG_INT("clients", proxy_clients(proxy)));
            return;
        }
    }
}

static void log_unknown_variable(void *arg, const char *problem)
{
    (void)arg;
    LOG_W(LOG_CONTROL, 1056, "main", "Unknown variable in the environment",
          LOG_STR("problem", problem));
}

static void report_failed_start(const struct error *err)
{
    LOG_F(LOG_CONTROL, 1054, "main", "Cannot start", LOG_STR("error", err->message));
    (void)fprintf(stderr, "mongosluice: %s\n", err->message);
}

/* 0: the time is over. */
static int wait_for_signal(const sigset_t *signals, int wait_ms)
{
    const struct timespec limit = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000L};
    int got = sigtimedwait(signals, NULL, &limit);
    return got < 0 ? 0 : got;
}

static int run(struct config *config)
{
    sigset_t signals;
    struct error err;
    memory_map_large_blocks();
    block_signals(&signals);
    if (!log_open_file(config->log.file, config->log.format, config->log.level, &err)) {
        (void)fprintf(stderr, "mongosluice: %s\n", err.message);
        config_release(config);
        return EXIT_FAILURE;
    }
    notify_init();
    config_each_unknown_variable(log_unknown_variable, NULL);
    raise_descriptor_limit(config);
    struct proxy *proxy = proxy_start(config, &err);
    if (proxy == NULL) {
        report_failed_start(&err);
        return EXIT_FAILURE;
    }
    notify_ready();
    for (;;) {
        int wait_ms = proxy_tick(proxy, &err);
        if (wait_ms < 0) {
            report_failed_start(&err);
            proxy_stop(proxy);
            return EXIT_FAILURE;
        }
        int got = wait_for_signal(&signals, wait_ms);
        if (got == SIGHUP)
            proxy_reload(proxy);
        if (got == SIGUSR1)
            proxy_pause(proxy);
        if (got == SIGUSR2)
            proxy_resume(proxy);
        if (got == SIGTERM || got == SIGINT) {
            drain(proxy, &signals);
            break;
        }
        if (got == SIGQUIT)
            break;
    }
    proxy_stop(proxy);
    log_sample_flush(true);
    LOG_I(LOG_CONTROL, 1055, "main", "Ended");
    return EXIT_SUCCESS;
}

struct subcommand {
    const char *name;
    const char *full_name; /* in messages */
    int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    {"audit", "mongosluice audit", command_audit},
    {"check", "mongosluice check", command_check},
    {"schema", "mongosluice schema", command_schema},
    {"status", "mongosluice status", command_status},
    {"top", "mongosluice top", command_top},
};

/* Runs the subcommand of the first word, unless it is a flag. */
static int run_subcommand(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++) {
        if (strcmp(argv[0], subcommands[i].name) != 0)
            continue;
        argv[0] = (char *)subcommands[i].full_name;
        int code = subcommands[i].run(argc, argv);
        if (fflush(stdout) == 0 && ferror(stdout) == 0)
            return code;
        (void)fputs("mongosluice: cannot write to standard output\n", stderr);
        return EXIT_USAGE;
    }
    (void)fprintf(stderr,
                  "mongosluice: unknown command \"%.100s\"; the commands are audit, check, schema, "
                  "status and top; without a command the proxy starts: mongosluice --help\n",
                  argv[0]);
    return EXIT_USAGE;
}

static void print_unknown_variable(void *arg, const char *problem)
{
    (void)arg;
    (void)fprintf(stderr, "mongosluice: warning: %s\n", problem);
}

/* Reports errors on standard error, without log lines. */
static bool check_is_good(struct config *config)
{
    config_each_unknown_variable(print_unknown_variable, NULL);
    log_configure(STDERR_FILENO, LOG_FORMAT_TEXT, LOG_FATAL);
    return prepare_check(config);
}

/* The key must be secret, so that nobody can choose bytes with equal hashes. */
static bool set_hash_key(void)
{
    uint8_t key[KEYED_HASH_KEY_BYTES];
    if (getentropy(key, sizeof key) != 0)
        return false;
    keyed_hash_set_key(key);
    return true;
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    enum config_command what = CONFIG_RUN;
    struct error err;
    if (!set_hash_key()) {
        (void)fprintf(stderr, "mongosluice: the system's random source provides no hash key: %s\n",
                      strerror(errno));
        return EXIT_FAILURE;
    }
    if (argc > 1 && argv[1][0] != '-')
        return run_subcommand(argc - 1, argv + 1);
    if (!config_load(argc, argv, &config, &what, &err)) {
        (void)fprintf(stderr, "mongosluice: %s\n", err.message);
        return EXIT_USAGE;
    }
    if (what == CONFIG_CHECK && !check_is_good(config)) {
        config_release(config);
        return EXIT_USAGE;
    }
    return what == CONFIG_RUN ? run(config) : show(config, what);
}
