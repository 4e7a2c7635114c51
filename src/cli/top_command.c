/* mongosluice top: the same screen, live, until q is pressed; it scrolls, and it sorts the
 * connections. Uses plain ANSI sequences, which every terminal since the VT100 knows. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/ask.h"
#include "cli/subcommands.h"
#include "cli/terminal_key.h"
#include "cli/view.h"
#include "cli/view_tables.h"

#define ENTER   "\033[?1049h\033[?25l" /* the alternate screen, without a cursor */
#define LEAVE   "\033[?25h\033[?1049l"
#define HOME    "\033[H"
#define TO_END  "\033[K" /* clears the rest of the line */
#define TO_LAST "\033[J" /* clears what is below */

static const char usage[] =
    "usage: mongosluice top --admin HOST:PORT|--config FILE [--interval MILLISECONDS]\n"
    "                       [--token-file FILE] [--ca-file FILE]\n"
    "Shows the state of a running proxy from its admin endpoint until you press q. --config takes\n"
    "the address and the token from the proxy's configuration. https://HOST:PORT uses TLS.\n"
    "Keys: up, down, page up, page down, home, end (or k, j, b, space, g, G) scroll; s sorts the\n"
    "connections by the next column, r reverses the order, q quits.\n";

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

/* The connections that top lists and sorts: so many pages of so many rows. */
enum { PAGES_MAX = 8, PAGE_ROWS = 500 };

struct top {
    struct ask ask;
    struct view_options options; /* the order, and the scrolled lines */
    struct view_lines lines;     /* of the last screen */
    bson_t *status;              /* NULL: the endpoint did not answer */
    bson_t *pages[PAGES_MAX];
    size_t page_count;
    bson_t *pools; /* NULL: the proxy has none, or is older */
    struct error error;
};

static void forget(struct top *top)
{
    for (size_t i = 0; i < top->page_count; i++)
        bson_destroy(top->pages[i]);
    top->page_count = 0;
    if (top->status != NULL)
        bson_destroy(top->status);
    if (top->pools != NULL)
        bson_destroy(top->pools);
    top->status = NULL;
    top->pools = NULL;
}

/* Asks for a page of connections after this id. Sets *next to the id for the next page; 0: none. */
static bool ask_page(struct top *top, int64_t after, int64_t *next)
{
    char path[80];
    bson_iter_t iter;
    bson_t *page = NULL;
    (void)snprintf(path, sizeof path, "/connections?limit=%d&after=%lld", PAGE_ROWS,
                   (long long)after);
    if (!ask_bson(&top->ask, path, &page, &top->error))
        return false;
    top->pages[top->page_count++] = page;
    *next = bson_iter_init_find(&iter, page, "next") && BSON_ITER_HOLDS_NUMBER(&iter)
                ? bson_iter_as_int64(&iter)
                : 0;
    return true;
}

static void fetch(struct top *top)
{
    int64_t next = 0;
    forget(top);
    bool got = ask_bson(&top->ask, "/status?since=0", &top->status, &top->error);
    do
        got = got && ask_page(top, next, &next);
    while (got && next != 0 && top->page_count < PAGES_MAX);
    struct error ignored;
    if (!got)
        forget(top);
    else if (!ask_bson(&top->ask, "/pools", &top->pools, &ignored))
        top->pools = NULL;
}

static void measure(struct screen_options *screen)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    screen->width = size.ws_col;
    screen->rows =
        size.ws_row > 2 ? size.ws_row - 2U : 1; /* one line is empty, the last one is the help */
}

/* Overwrites the screen line by line, so that nothing flickers. */
static bool print(const struct text *screen, const char *foot, size_t width)
{
    struct text out = text_growing();
    text_add(&out, HOME);
    for (const char *c = screen->data != NULL ? screen->data : ""; *c != 0; c++) {
        if (*c == '\n')
            text_add(&out, TO_END "\r\n");
        else
            text_add_bytes(&out, c, 1);
    }
    text_format(&out, TO_LAST "\r\n\033[2m%.*s\033[0m" TO_END, (int)width, foot);
    bool ok = !out.cut && fputs(out.data, stdout) >= 0 && fflush(stdout) == 0;
    text_release(&out);
    return ok;
}

static void write_screen(struct top *top, struct text *screen)
{
    struct bytes pages[PAGES_MAX];
    for (size_t i = 0; i < top->page_count; i++)
        pages[i] = ask_bytes(top->pages[i]);
    const struct view_input input = {.status = ask_bytes(top->status),
                                     .connections = pages,
                                     .page_count = top->page_count,
                                     .pools = ask_bytes(top->pools)};
    top->lines = view_write(&input, &top->options, screen);
}

/* Lines that fit below the pinned ones are not scrolled away. */
static size_t most_skipped(const struct top *top)
{
    size_t rows = top->options.screen.rows;
    size_t room = rows > top->lines.pinned ? rows - top->lines.pinned : 1;
    return top->lines.scrolled > room ? top->lines.scrolled - room : 0;
}

static bool draw(struct top *top)
{
    char foot[160];
    struct text screen = text_growing();
    struct screen_options *options = &top->options.screen;
    measure(options);
    if (top->status == NULL) {
        text_format(&screen, "  \033[31m%.*s\033[0m\n", (int)options->width - 3,
                    top->error.message);
    } else {
        write_screen(top, &screen);
        if (options->skip > most_skipped(top)) {
            options->skip = most_skipped(top);
            text_release(&screen);
            write_screen(top, &screen);
        }
    }
    (void)snprintf(foot, sizeof foot, "  %sq quits   arrows scroll   s sorts by %s%s   r reverses",
                   top->status == NULL ? "trying again   " : "",
                   view_order_name(top->options.order), top->options.reversed ? ", reversed" : "");
    bool ok = print(&screen, foot, options->width);
    text_release(&screen);
    return ok;
}

static void scroll(struct top *top, bool down, size_t lines)
{
    size_t *skip = &top->options.screen.skip;
    if (down)
        *skip = lines > most_skipped(top) - *skip ? most_skipped(top) : *skip + lines;
    else
        *skip = lines > *skip ? 0 : *skip - lines;
}

/* The character that means the same as this key. */
static char key_character(enum terminal_key key)
{
    switch (key) {
    case TERMINAL_KEY_UP:
        return 'k';
    case TERMINAL_KEY_DOWN:
        return 'j';
    case TERMINAL_KEY_PAGE_UP:
        return 'b';
    case TERMINAL_KEY_PAGE_DOWN:
        return ' ';
    case TERMINAL_KEY_HOME:
        return 'g';
    case TERMINAL_KEY_END:
        return 'G';
    default:
        return 0;
    }
}

/* False to end. */
static bool act(struct top *top, char key)
{
    size_t page = top->options.screen.rows / 2 + 1;
    switch (key) {
    case 'q':
    case 'Q':
        return false;
    case 'k':
    case 'j':
        scroll(top, key == 'j', 1);
        break;
    case 'b':
    case ' ':
        scroll(top, key == ' ', page);
        break;
    case 'g':
        top->options.screen.skip = 0;
        break;
    case 'G':
        top->options.screen.skip = most_skipped(top);
        break;
    case 's':
        top->options.order = (top->options.order + 1) % VIEW_ORDERS;
        break;
    case 'r':
        top->options.reversed = !top->options.reversed;
        break;
    default:
        break;
    }
    return true;
}

static bool act_on_all(struct top *top, const char *bytes, size_t len)
{
    enum terminal_key key = TERMINAL_KEY_OTHER;
    for (size_t at = 0; at < len;) {
        char character = 0;
        at += terminal_key_read(bytes + at, len - at, &key, &character);
        if (key != TERMINAL_KEY_CHARACTER)
            character = key_character(key);
        if (!act(top, character))
            return false;
    }
    return true;
}

/* Draws after each key until it is time to ask again. False to end: q was pressed, a signal came,
 * or the terminal is gone. */
static bool wait_for_keys(struct top *top, bool has_keys)
{
    int64_t until_ms = clock_now_ms() + top->ask.interval_ms;
    for (;;) {
        char bytes[64];
        struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
        int64_t left_ms = until_ms - clock_now_ms();
        int got = left_ms > 0 ? poll(&keys, has_keys ? 1 : 0, (int)left_ms) : 0;
        if (stopped != 0)
            return false;
        if (got <= 0)
            return true;
        ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
        if (count <= 0 || !act_on_all(top, bytes, (size_t)count) || !draw(top))
            return false;
    }
}

int command_top(int argc, char **argv)
{
    struct top top = {.options.screen = {.history = true}};
    struct termios before;
    int code = 0;
    if (!ask_begin(argc, argv, usage, &top.ask, &code))
        return code;
    if (isatty(STDOUT_FILENO) == 0) {
        (void)fputs("mongosluice: top needs a terminal; `mongosluice status` prints one screen\n",
                    stderr);
        ask_end(&top.ask);
        return 2;
    }
    watch_signals();
    top.options.screen.colour = getenv("NO_COLOR") == NULL;
    bool has_keys = quiet_terminal(&before);
    (void)fputs(ENTER, stdout);
    do
        fetch(&top);
    while (draw(&top) && wait_for_keys(&top, has_keys));
    (void)fputs(LEAVE, stdout);
    (void)fflush(stdout);
    if (has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    forget(&top);
    ask_end(&top.ask);
    return 0;
}
