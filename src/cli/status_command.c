/* mongosluice status: one screen about a running proxy. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/subcommands.h"
#include "cli/view.h"

static const char usage[] =
    "usage: mongosluice status --admin HOST:PORT|--config FILE [--json] [--token-file FILE]\n"
    "                          [--ca-file FILE]\n"
    "Prints the state of a running proxy from its admin endpoint. --config takes the address and\n"
    "the token from the proxy's configuration. https://HOST:PORT uses TLS. Exit code: 0 if the\n"
    "proxy is ready, 1 if it is not, 2 if the endpoint does not answer.\n";

static int print_json(const struct ask *ask, bool *ok, struct error *err)
{
    struct text body;
    *ok = ask_text(ask, "/status", &body, err);
    if (*ok)
        (void)fputs(body.data, stdout);
    text_release(&body);
    return 0;
}

static int print_screen(const struct ask *ask, bool *ok, struct error *err)
{
    bson_t *status = NULL;
    struct text screen = text_growing();
    struct view_options options = {
        .screen = {.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL}};
    *ok = ask_bson(ask, "/status", &status, err);
    if (!*ok)
        return 2;
    (void)view_write(&(struct view_input){.status = ask_bytes(status)}, &options, &screen);
    (void)fputs(screen.data != NULL ? screen.data : "", stdout);
    int code = view_is_ready(ask_bytes(status)) ? 0 : 1;
    text_release(&screen);
    bson_destroy(status);
    return code;
}

int command_status(int argc, char **argv)
{
    struct ask ask;
    struct error err;
    int code = 0;
    bool ok = false;
    if (!ask_begin(argc, argv, usage, &ask, &code))
        return code;
    code = ask.json ? print_json(&ask, &ok, &err) : print_screen(&ask, &ok, &err);
    if (!ok)
        (void)fprintf(stderr, "mongosluice: %s\n", err.message);
    ask_end(&ask);
    return ok ? code : 2;
}
