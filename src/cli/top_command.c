/* mongosluice top: the same screen, live, until q is pressed. Uses plain ANSI sequences, which
 * every terminal since the VT100 knows. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/subcommands.h"
#include "cli/view.h"

#define ENTER   "\033[?1049h\033[?25l" /* the alternate screen, without a cursor */
#define LEAVE   "\033[?25h\033[?1049l"
#define HOME    "\033[H"
#define TO_END  "\033[K" /* clears the rest of the line */
#define TO_LAST "\033[J" /* clears what is below */

static const char usage[] =
    "usage: mongosluice top --admin HOST:PORT|--config FILE [--interval MILLISECONDS]\n"
    "                       [--token-file FILE] [--ca-file FILE]\n"
    "Shows the state of a running proxy from its admin endpoint until you press q. --config takes\n"
    "the address and the token from the proxy's configuration. https://HOST:PORT uses TLS.\n";

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = number;
}

static void watch_signals(void)
{
    /* without SA_RESTART, so that poll returns */
    struct sigaction action = {.sa_handler = on_signal};
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        (void)sigaction(ends[i], &action, NULL);
    struct sigaction resized = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGWINCH, &resized, NULL); /* the next screen reads the size in any case */
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Reads single keys without echo. False if standard input is no terminal. */
static bool quiet_terminal(struct termios *before)
{
    if (tcgetattr(STDIN_FILENO, before) != 0)
        return false;
    struct termios quiet = *before;
    quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    return tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
}

static void measure(struct view_options *options)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    options->width = size.ws_col;
    options->rows =
        size.ws_row > 2 ? size.ws_row - 2U : 1; /* one line is empty, the last one is the help */
}

/* Overwrites the screen line by line, so that nothing flickers. */
static bool draw(const struct text *screen, const char *foot)
{
    struct text out = text_growing();
    text_add(&out, HOME);
    for (const char *c = screen->data != NULL ? screen->data : ""; *c != 0; c++) {
        if (*c == '\n')
            text_add(&out, TO_END "\r\n");
        else
            text_add_bytes(&out, c, 1);
    }
    text_format(&out, TO_LAST "\r\n\033[2m%s\033[0m" TO_END, foot);
    bool ok = !out.cut && fputs(out.data, stdout) >= 0 && fflush(stdout) == 0;
    text_release(&out);
    return ok;
}

static bool refresh(const struct ask *ask)
{
    char foot[160];
    struct error err;
    bson_t *status = NULL;
    bson_t *connections = NULL;
    struct text screen = text_growing();
    struct view_options options = {.colour = getenv("NO_COLOR") == NULL, .history = true};
    measure(&options);
    bool got = ask_bson(ask, "/status?since=0", &status, &err) &&
               ask_bson(ask, "/connections", &connections, &err);
    if (got)
        view_write(ask_bytes(status), ask_bytes(connections), &options, &screen);
    else
        text_format(&screen, "  \033[31m%.*s\033[0m\n", (int)options.width - 3, err.message);
    (void)snprintf(foot, sizeof foot, "%.*s", (int)(options.width < 150 ? options.width : 150),
                   got ? "  q quits" : "  trying again   q quits");
    bool ok = draw(&screen, foot);
    text_release(&screen);
    if (connections != NULL)
        bson_destroy(connections);
    if (status != NULL)
        bson_destroy(status);
    return ok;
}

/* True to end: q was pressed, or a signal came. */
static bool wait_for_key(unsigned ms, bool has_keys)
{
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;
    int got = poll(&keys, has_keys ? 1 : 0, (int)ms);
    if (stopped != 0)
        return true;
    return got > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q');
}

int command_top(int argc, char **argv)
{
    struct ask ask;
    struct termios before;
    int code = 0;
    if (!ask_begin(argc, argv, usage, &ask, &code))
        return code;
    if (isatty(STDOUT_FILENO) == 0) {
        (void)fputs("mongosluice: top needs a terminal; `mongosluice status` prints one screen\n",
                    stderr);
        ask_end(&ask);
        return 2;
    }
    watch_signals();
    bool has_keys = quiet_terminal(&before);
    (void)fputs(ENTER, stdout);
    while (refresh(&ask) && !wait_for_key(ask.interval_ms, has_keys)) {
    }
    (void)fputs(LEAVE, stdout);
    (void)fflush(stdout);
    if (has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    ask_end(&ask);
    return 0;
}
