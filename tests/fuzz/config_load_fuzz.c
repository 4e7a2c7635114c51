/* The whole way to a configuration: a file, variables and flags, then a reload of another file. Any
 * bytes give a configuration or an error with a text, also without memory. Lookups in a good
 * configuration end, and no listing shows a password.
 * Input: four parts, each ended by a NUL: the file, variables and arguments (each on a line), and
 * the file of the reload. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/config.h"
#include "config/networks.h"
#include "fail_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MAX = 40, FILE_PART = 0, VARIABLES, ARGUMENTS, RELOAD, PARTS };

extern char **environ;

static void check(bool holds)
{
    if (!holds)
        abort();
}

static int file = -1; /* in memory, for all inputs */
static char path[64];

static void write_file(const char *text)
{
    if (file < 0) {
        file = memfd_create("config", MFD_CLOEXEC);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    check(file >= 0 && ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0);
    check(write(file, text, strlen(text)) == (ssize_t)strlen(text));
}

static size_t split_lines(char *text, char **lines, size_t count)
{
    for (char *line = text; *text != 0 && line != NULL && count < LINES_MAX; count++) {
        lines[count] = line;
        line = strchr(line, '\n');
        if (line != NULL)
            *line++ = '\0';
    }
    lines[count] = NULL;
    return count;
}

/* --- a configuration --- */

static void look_up(const struct config *config)
{
    static const char *const names[] = {"", "app", "shop", "a b"};
    static const char *const users[] = {"", "ann@admin", "bob@d"};
    static const uint8_t host[16] = {10, 0, 0, 1};
    struct config_limit limits[CONFIG_LIMIT_RULES_MAX];
    char socket_path[64];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool may = config_pool_may_share(config, names[i]);
        for (size_t j = 0; j < sizeof users / sizeof users[0]; j++) {
            enum config_pool_mode mode = config_pool_mode_of(config, names[i], users[j]);
            check(may || mode == CONFIG_SESSION);
            check(config_find_limits(config, names[i], users[j], limits) <= CONFIG_LIMIT_RULES_MAX);
        }
    }
    (void)networks_contain(config->listen_proxy_protocol, AF_INET, host);
    (void)networks_contain(config->listen_proxy_protocol, AF_INET6, host);
    check(config_merge_of(config, "d.c", 3) != NULL && config_merge_of(config, "x.y", 3) != NULL);
    config_unix_socket_path(config, 27117, socket_path, sizeof socket_path);
    check(strlen(socket_path) < sizeof socket_path);
    check((config_unix_socket_mode(config) & 0600) == 0600);
}

static void check_config(struct config *config)
{
    struct text listing = text_growing();
    struct error err = {0};
    config_write_listing(config, &listing);
    check(!listing.cut);
    if (strrchr(config->upstream, '@') != NULL)
        check(strstr(listing.data, "<redacted>") != NULL);
    text_release(&listing);
    look_up(config);
    check(!config_refuse(config, "upstream", "is not liked", &err) && err.message[0] != 0);
    check(config_retain(config) == config);
    config_release(config);
}

static void check_error(const struct config *config, const struct error *err)
{
    check(config == NULL && err->code != ERROR_NONE && err->message[0] != '\0');
}

static void reload(const struct config *config, const char *text)
{
    struct config *next = NULL;
    struct config_changes ignored;
    struct error err = {0};
    write_file(text);
    if (config_reload(config, &next, &ignored, &err)) {
        check(ignored.count <= CONFIG_OPTIONS_MAX);
        check_config(next);
        config_release(next);
    } else {
        check_error(next, &err);
    }
}

static void write_all(enum config_command what)
{
    struct text out = text_growing();
    switch (what) {
    case CONFIG_HELP:
        config_write_help(&out);
        break;
    case CONFIG_MARKDOWN:
        config_write_markdown(&out);
        break;
    case CONFIG_MAN:
        config_write_man(&out);
        break;
    case CONFIG_SCHEMA:
        config_write_schema(&out);
        break;
    case CONFIG_TABLE:
        config_write_table(&out);
        break;
    default:
        return;
    }
    check(out.cut || out.len > 1000);
    text_release(&out);
}

static void on_unknown(void *arg, const char *problem)
{
    (void)arg;
    check(strstr(problem, "MONGOSLUICE_") != NULL);
}

/* --- the input --- */

static void load(char *const *parts, bool sound)
{
    char *variables[LINES_MAX + 1];
    char *arguments[LINES_MAX + 1] = {"mongosluice", "--config", path};
    enum config_command what = CONFIG_RUN;
    struct config *config = NULL;
    struct error err = {0};
    write_file(parts[FILE_PART]);
    (void)split_lines(parts[VARIABLES], variables, 0);
    size_t count = split_lines(parts[ARGUMENTS], arguments, 3);
    environ = variables;
    config_each_unknown_variable(on_unknown, NULL);
    bool loaded = config_load((int)count, arguments, &config, &what, &err);
    if (!loaded)
        check_error(config, &err);
    else if (config == NULL)
        write_all(what);
    else if (sound)
        check_config(config);
    if (config != NULL)
        reload(config, parts[RELOAD]);
    config_release(config);
    if (config_load_file(path, CONFIG_USE_ADMIN, &config, &err))
        config_release(config);
    else
        check_error(config, &err);
}

static void run(const uint8_t *data, size_t size, bool sound)
{
    char **own = environ;
    char *text = calloc(size + PARTS, 1);
    char *parts[PARTS];
    check(text != NULL);
    memcpy(text, data, size);
    char *at = text;
    for (int i = 0; i < PARTS; i++) {
        parts[i] = at;
        if (at < text + size)
            at += strlen(at) + 1;
    }
    load(parts, sound);
    environ = own;
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run(data, size, true);
    if (fail_memory_for(data, size))
        run(data, size, false);
    memory_fail_never();
    return 0;
}
