#include "cli/ask.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host_port.h"
#include "base/quantity.h"
#include "config/config.h"

enum { INTERVAL_MS = 1000, INTERVAL_MIN_MS = 100, INTERVAL_MAX_MS = 60000 };

/* [http://|https://]HOST:PORT[/], or a PORT of this machine. */
static bool read_address(const char *text, struct client_target *target, struct error *err)
{
    const char *rest = text;
    struct host_port read;
    char local[32];
    if (strncmp(rest, "http://", 7) == 0)
        rest += 7;
    if (strncmp(rest, "https://", 8) == 0) {
        target->tls = true;
        rest += 8;
    }
    size_t len = strcspn(rest, "/");
    bool ends = rest[len] == 0 || rest[len + 1] == 0;
    if (len > 0 && strspn(rest, "0123456789") == len) { /* a port alone */
        (void)snprintf(local, sizeof local, "127.0.0.1:%.*s", (int)(len < 8 ? len : 8), rest);
        rest = local;
        len = strlen(local);
    }
    if (!ends || !host_port_read(rest, len, &read) || read.port == 0)
        return error_set(err, ERROR_BAD_VALUE,
                         "'%.100s' is not an address of an admin endpoint: use PORT, HOST:PORT or "
                         "https://HOST:PORT",
                         text);
    memcpy(target->host, read.host, sizeof read.host);
    target->port = read.port;
    return true;
}

static bool read_token(const char *path, struct client_target *target, struct error *err)
{
    FILE *file = fopen(path, "re");
    bool got = file != NULL && fgets(target->token, sizeof target->token, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    if (!got)
        return error_set(err, ERROR_BAD_VALUE, "cannot read the token file %.300s, or it is empty",
                         path);
    target->token[strcspn(target->token, " \t\r\n")] = 0;
    return true;
}

/* Takes the values from the proxy's configuration, unless a flag has set them. `file` NULL: from
 * the environment. */
static bool read_config(const char *file, struct ask *ask, struct error *err)
{
    const char *from = file != NULL ? file : "the environment";
    if (!config_load_file(file, CONFIG_USE_ADMIN, &ask->config, err))
        return false;
    const struct config *config = ask->config;
    if (config->admin.listen.host[0] == 0)
        return error_set(err, ERROR_BAD_VALUE, "%.300s has no admin.listen", from);
    if (config->admin.listen.port == 0)
        return error_set(err, ERROR_BAD_VALUE,
                         "%.300s: admin.listen is port 0, any free port; the proxy's log contains "
                         "the port (id 1073): use --admin with it",
                         from);
    (void)snprintf(ask->target.host, sizeof ask->target.host, "%s", config->admin.listen.host);
    ask->target.port = config->admin.listen.port;
    ask->target.tls = config->admin.tls_cert_file[0] != 0;
    return config->admin.token_file[0] == 0 ||
           read_token(config->admin.token_file, &ask->target, err);
}

static bool read_interval(const char *text, struct ask *ask, struct error *err)
{
    int64_t ms = 0;
    if (!quantity_read(QUANTITY_MS, text, &ms) || ms < INTERVAL_MIN_MS || ms > INTERVAL_MAX_MS)
        return error_set(err, ERROR_BAD_VALUE,
                         "--interval takes milliseconds from %d to %d, plain or with a unit (%s)",
                         INTERVAL_MIN_MS, INTERVAL_MAX_MS, quantity_units(QUANTITY_MS));
    ask->interval_ms = (unsigned)ms;
    return true;
}

static bool take(struct ask *ask, int letter, const char *value, struct error *err)
{
    switch (letter) {
    case 'a':
        return read_address(value, &ask->target, err);
    case 't':
        return read_token(value, &ask->target, err);
    case 'i':
        return read_interval(value, ask, err);
    case 'j':
        ask->json = true;
        return true;
    default:
        ask->target.ca_file = value;
        return true;
    }
}

static bool read_flags(int argc, char **argv, struct ask *ask, bool *help, struct error *err)
{
    static const struct option options[] = {
        {"admin", required_argument, NULL, 'a'},    {"token-file", required_argument, NULL, 't'},
        {"ca-file", required_argument, NULL, 'c'},  {"config", required_argument, NULL, 'f'},
        {"interval", required_argument, NULL, 'i'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    optind = 1;
    /* twice: flags override the file, wherever the flag --config is */
    for (int pass = 0; pass < 2; pass++, optind = 1) {
        for (int got = 0; (got = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
            *help = *help || got == 'h';
            if (got == '?')
                return error_set(err, ERROR_BAD_VALUE, "wrong arguments");
            if (got != 'h' && (got == 'f') == (pass == 0) &&
                !(got == 'f' ? read_config(optarg, ask, err) : take(ask, got, optarg, err)))
                return false;
        }
        if (optind < argc)
            return error_set(err, ERROR_BAD_VALUE, "unexpected argument '%.100s'", argv[optind]);
    }
    if (*help || ask->target.port != 0)
        return true;
    if (getenv("MONGOSLUICE_CONFIG") != NULL || getenv("MONGOSLUICE_ADMIN_LISTEN") != NULL)
        return read_config(NULL, ask, err);
    return error_set(err, ERROR_BAD_VALUE,
                     "name the admin endpoint: --admin HOST:PORT, or --config FILE");
}

bool ask_begin(int argc, char **argv, const char *usage, struct ask *ask, int *exit_code)
{
    struct error err;
    bool help = false;
    *ask = (struct ask){.interval_ms = INTERVAL_MS};
    if (!read_flags(argc, argv, ask, &help, &err)) {
        (void)fprintf(stderr, "%s: %s\n%s", argv[0], err.message, usage);
        *exit_code = 2;
    } else if (help) {
        (void)fputs(usage, stdout);
        *exit_code = 0;
    } else {
        return true;
    }
    ask_end(ask);
    return false;
}

void ask_end(struct ask *ask)
{
    config_release(ask->config);
    ask->config = NULL;
}

bool ask_text(const struct ask *ask, const char *path, struct text *out, struct error *err)
{
    return client_get(&ask->target, path, out, err);
}

bool ask_bson(const struct ask *ask, const char *path, bson_t **out, struct error *err)
{
    struct text body;
    bson_error_t why = {0};
    *out = NULL;
    if (ask_text(ask, path, &body, err)) {
        *out = bson_new_from_json((const uint8_t *)body.data, (ssize_t)body.len, &why);
        if (*out == NULL)
            (void)error_set(err, ERROR_FAILED_TO_PARSE,
                            "the answer is not from an admin endpoint of mongosluice: %.200s",
                            why.message);
    }
    text_release(&body);
    return *out != NULL;
}
