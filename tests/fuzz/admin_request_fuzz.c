/* Any bytes as requests to the admin endpoint, beside a worker with clients and a catalog with
 * schemas: each complete answer has a status, and its JSON can be read. A request without the token
 * changes nothing.
 * Input: a byte of the proxy's state (1: paused, 2: draining, 4: a token is set, 8: no topology,
 * 16: a reload failed, 32: a registry, 64: certificates, 128: a broken schema file), then the bytes
 * of the connection. */
#include <bson/bson.h>
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/context.h"
#include "admin/endpoints.h"
#include "admin/figures.h"
#include "base/clock.h"
#include "fail_memory.h"
#include "otlp/exporter.h"
#include "rig_commands.h"
#include "session_rig_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    STATE_PAUSED = 1,
    STATE_DRAINING = 2,
    STATE_TOKEN = 4,
    STATE_NO_TOPOLOGY = 8,
    STATE_RELOAD_FAILED = 16,
    STATE_REGISTRY = 32,
    STATE_CERTIFICATES = 64,
    STATE_BROKEN_FILE = 128,
    ANSWER_BYTES = 1 << 20,
    TURNS_MAX = 40
};

#define TOKEN    "a-long-token"
#define PASSWORD "hush7secret" /* of the upstream's user */

static struct admin endpoint;
static struct rig *rig;
static struct event_base *base;
static unsigned state;
static unsigned changes; /* pauses, resumes and drains */
static char folder[] = "/tmp/sluice-admin-XXXXXX";
static struct admin_settings *open_settings;
static struct admin_settings *closed_settings;
static struct admin_settings *token_settings;

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* --- the proxy around it --- */

static bool read_topology(void *context, struct topology_snapshot *out)
{
    (void)context;
    *out = (struct topology_snapshot){.kind = TOPOLOGY_REPLICA_SET, .set_name = "rs0"};
    if ((state & STATE_NO_TOPOLOGY) != 0)
        return false;
    out->servers = memory_array(TOPOLOGY_SERVER_TYPES, sizeof *out->servers);
    if (out->servers == NULL)
        return false;
    for (int i = 0; i < TOPOLOGY_SERVER_TYPES; i++) {
        struct topology_server *server = &out->servers[out->server_count++];
        (void)snprintf(server->address, sizeof server->address, "db%d:27017", i);
        (void)snprintf(server->host, sizeof server->host, "db%d", i);
        server->port = 27017;
        server->type = (enum topology_server_type)i;
        if (i == 0)
            memcpy(server->last_error, "no \"route\"", 11);
    }
    return true;
}

static uint16_t port_of_server(void *context, const char *server)
{
    (void)context;
    return server[2] == '1' ? 27117 : 0;
}

static bool had_all_ports(void *context)
{
    (void)context;
    return (state & STATE_RELOAD_FAILED) == 0;
}

static enum admin_state state_now(void *context)
{
    (void)context;
    return (state & STATE_DRAINING) != 0 ? ADMIN_DRAINING
           : (state & STATE_PAUSED) != 0 ? ADMIN_PAUSED
                                         : ADMIN_RUNNING;
}

static void note_change(void *context)
{
    (void)context;
    changes++;
}

static bool read_fleet(void *context, struct fleet_status *out)
{
    (void)context;
    *out = (struct fleet_status){.registry = "d.schemas", .lag_ms = -1, .namespaces = 3};
    if ((state & STATE_RELOAD_FAILED) != 0) {
        memcpy(out->error, "away", 5);
        out->problem_count = out->shown = 1;
        (void)snprintf(out->problems[0].ns, sizeof out->problems[0].ns, "d.c");
    }
    return (state & STATE_REGISTRY) != 0;
}

static void read_reload(void *context, struct admin_reload *out)
{
    (void)context;
    *out = (struct admin_reload){0};
    if ((state & STATE_RELOAD_FAILED) == 0)
        return;
    out->at_ms = 1000;
    out->failed_count = 1;
    out->restart_count = 1;
    out->needs_restart[0] = "listen";
    memcpy(out->error, "it is \"wrong\"", 14);
}

static void read_certificates(void *context, struct admin_certificates *out)
{
    (void)context;
    *out = (struct admin_certificates){0};
    if ((state & STATE_CERTIFICATES) == 0)
        return;
    out->count = 1;
    out->of[0] = (struct admin_certificate){.option = "tls.cert_file", .validity = {1, 2}};
    memcpy(out->problem, "a file is gone", 15);
}

static void publish(void *arg, struct registry *registry)
{
    (void)arg;
    schemas_in_force_publish(&rig->shared.in_force, registry);
}

/* The one without a token and with the other `write` lets nobody write. */
static struct admin_settings *make_settings(const char *token, const char *write_schemas)
{
    char yaml[512];
    char path[64];
    struct config *config = NULL;
    struct error err = {0};
    (void)snprintf(path, sizeof path, "%s/token", folder);
    int fd = token == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (token != NULL)
        check(fd >= 0 && write(fd, token, strlen(token)) == (ssize_t)strlen(token) &&
              close(fd) == 0);
    int len = snprintf(yaml, sizeof yaml,
                       "upstream: mongodb://u:" PASSWORD "@h/\nlisten: 127.0.0.1:0\nadmin:\n"
                       "  listen: 127.0.0.1:0\n  allowed_hosts: a.example,admin.example\n  write: "
                       "%s\n  token_file: \"%s\"\n"
                       "  show_values: %s\nschemas: %s\n",
                       write_schemas, token == NULL ? "" : path, token == NULL ? "false" : "true",
                       folder);
    if (!config_load_yaml("admin", yaml, (size_t)len, &config, &err)) {
        (void)fprintf(stderr, "%s\n", err.message);
        abort();
    }
    struct admin_settings *settings = admin_settings_new(config, &err);
    check(settings != NULL);
    config_release(config);
    return settings;
}

static void on_drain(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    changes++;
}

/* --- files of schemas --- */

static void write_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* Only the own schemas stay. */
static void clean_folder(void)
{
    DIR *at = opendir(folder);
    check(at != NULL);
    for (struct dirent *entry = readdir(at); entry != NULL; entry = readdir(at)) {
        char path[sizeof folder + sizeof entry->d_name + 1];
        bool own =
            strcmp(entry->d_name, "token") == 0 || strcmp(entry->d_name, "d.guarded.json") == 0;
        if (entry->d_name[0] == '.' || own)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(at);
    if ((state & STATE_BROKEN_FILE) != 0)
        write_file("d.x.json", "{");
    catalog_rescan(endpoint.parts.catalog);
}

static void do_nothing(void *context)
{
    (void)context;
}

static void open_endpoint(void)
{
    struct error err = {0};
    uint8_t message[RIG_MESSAGE_BYTES];
    check(mkdtemp(folder) != NULL);
    rig = rig_open(RIG_SHARED);
    rig->shared.exporter = exporter_create(1, 1);
    write_file(
        "d.guarded.json",
        "{\"ns\":\"d.guarded\",\"versions\":[{\"schema\":{\"properties\":{\"a\":{\"minimum\":0}}}},"
        "{\"schema\":{\"properties\":{\"a\":{\"minimum\":1}}}},{\"schema\":{\"required\":[\"z\"]},"
        "\"accepted_until\":{\"$date\":\"2099-01-01T00:00:00Z\"}}],\"candidate\":{\"schema\":{"
        "\"required\":[\"b\"]}}}");
    open_settings = make_settings(NULL, "true");
    closed_settings = make_settings(NULL, "false");
    token_settings = make_settings(TOKEN, "true");
    const struct catalog_settings settings = {folder, (size_t)1 << 24, publish, NULL};
    struct catalog *catalog = catalog_create(&settings, &err);
    struct worker_settings thread = {.name = "admin",
                                     .context = &endpoint,
                                     .tick_ms = 1000,
                                     .tick = do_nothing,
                                     .stop = do_nothing};
    check(rig->shared.exporter != NULL && catalog != NULL &&
          worker_create(&thread, &endpoint.worker, &err));
    base = worker_base(endpoint.worker); /* this thread runs it */
    struct admin made = {.parts = {.hooks = {.topology = read_topology,
                                             .port_of_server = port_of_server,
                                             .had_all_ports = had_all_ports,
                                             .state = state_now,
                                             .pause = note_change,
                                             .resume = note_change,
                                             .drain = note_change,
                                             .fleet = read_fleet,
                                             .reload = read_reload,
                                             .certificates = read_certificates},
                                   .catalog = catalog,
                                   .shared = &rig->shared,
                                   .workers = &rig->worker,
                                   .worker_count = 1},
                         .settings = open_settings,
                         .drain_event = event_new(base, -1, 0, on_drain, NULL),
                         .started_ms = clock_wall_ms(),
                         .started_clock_ms = clock_now_ms()};
    made.worker = endpoint.worker;
    endpoint = made;
    endpoint.http = http_server_start(base, "127.0.0.1", 0, admin_handle, &endpoint, &err);
    check(endpoint.http != NULL);
    /* clients of an application write what is refused, and what is not */
    for (unsigned kind = 0; kind < 3 * RIG_CLIENTS; kind++) {
        static const enum message_kind kinds[] = {MESSAGE_HELLO_FIRST, MESSAGE_INSERT_MIXED,
                                                  MESSAGE_INSERT_REFUSED};
        size_t len = rig_message(kinds[kind / RIG_CLIENTS], kind, message);
        rig_send(rig, kind % RIG_CLIENTS, message, len);
        for (int i = 0; i < 3; i++) {
            rig_settle(rig);
            (void)rig_serve(rig, RIG_ANSWER_RIGHT, 0);
        }
    }
}

/* --- a connection --- */

static int dial(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(endpoint.http)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
    return fd;
}

static size_t collect(int fd, char *answer, size_t have)
{
    ssize_t got = recv(fd, answer + have, ANSWER_BYTES - 1 - have, MSG_DONTWAIT);
    return have + (got > 0 ? (size_t)got : 0);
}

/* Until nothing more happens. */
static size_t exchange(int fd, const uint8_t *data, size_t size, char *answer)
{
    size_t have = 0;
    int quiet = 0;
    check(send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
    for (int i = 0; i < TURNS_MAX && quiet < 3; i++) {
        (void)event_base_loop(base, EVLOOP_NONBLOCK);
        size_t now = collect(fd, answer, have);
        quiet = now == have ? quiet + 1 : 0;
        have = now;
    }
    answer[have] = 0;
    return have;
}

static bool holds(const uint8_t *data, size_t size, const char *word)
{
    return memmem(data, size, word, strlen(word)) != NULL;
}

/* The first answer, if all of it came. has_password: the request has it, so the answer may. */
static void check_answer(const char *answer, size_t len, bool has_password)
{
    static const char json[] = "Content-Type: application/json";
    const char *body = strstr(answer, "\r\n\r\n");
    const char *length = strstr(answer, "Content-Length: ");
    if (len == 0)
        return;
    check(strncmp(answer, "HTTP/", 5) == 0);
    check(has_password || strstr(answer, PASSWORD) == NULL);
    if (body == NULL || length == NULL || length > body)
        return;
    body += 4;
    size_t body_len = strtoul(length + strlen("Content-Length: "), NULL, 10);
    const char *type = strstr(answer, json);
    if (type == NULL || type > body || body_len == 0 || body_len != len - (size_t)(body - answer) ||
        (*body != '{' && *body != '['))
        return;
    bson_error_t why;
    bson_t *read = bson_new_from_json((const uint8_t *)body, (ssize_t)body_len, &why);
    if (read == NULL)
        (void)fprintf(stderr, "%s\n%s\n", why.message, body);
    check(read != NULL);
    bson_destroy(read);
}

/* The input as the first line of a token's file; a request from elsewhere carries it. */
static void check_token(const char *text, size_t size)
{
    struct access_token token = {0};
    struct error err = {0};
    const char *reason = NULL;
    char authorization[ACCESS_TOKEN_MAX + 16];
    struct access_request request = {.peer = "10.0.0.1", .host = "10.0.0.2", .changes = true};
    check(access_check(&token, &request, &reason) == 403 && reason != NULL);
    if (!access_token_set(&token, text, size, &err)) {
        check(err.message[0] != 0 && !token.set);
        return;
    }
    for (; size > 0 && (unsigned char)*text <= ' '; size--)
        text++;
    while (size > 0 && (unsigned char)text[size - 1] <= ' ')
        size--;
    (void)snprintf(authorization, sizeof authorization, "Bearer %.*s", (int)size, text);
    request.authorization = authorization;
    check(access_check(&token, &request, &reason) == 200);
    authorization[strlen("Bearer ")] ^= 1;
    check(access_check(&token, &request, &reason) == 401);
}

static void take_sample(void)
{
    static int64_t wall_ms = 1000;
    struct metrics_reading reading;
    figures_read(&endpoint, &reading);
    samples_take(&endpoint.samples, &reading, wall_ms += 5000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool changed = true; /* the folder may have other schemas */
    static char answer[ANSWER_BYTES];
    if (size < 1 || size > 60000)
        return 0;
    if (rig == NULL)
        open_endpoint();
    check_token((const char *)data + 1, size - 1);
    state = data[0];
    changes = 0;
    bool closed = (state & STATE_CERTIFICATES) != 0 && (state & STATE_PAUSED) != 0;
    endpoint.settings = (state & STATE_TOKEN) != 0 ? token_settings
                        : closed                   ? closed_settings
                                                   : open_settings;
    if (changed || (state & STATE_BROKEN_FILE) != 0)
        clean_folder();
    changed =
        (state & STATE_BROKEN_FILE) != 0 || holds(data, size, "PUT") || holds(data, size, "DELETE");
    take_sample();
    int fd = dial();
    check_answer(answer, exchange(fd, data + 1, size - 1, answer), holds(data, size, PASSWORD));
    close(fd);
    fd = dial();
    if (fail_memory_for(data, size))
        (void)exchange(fd, data + 1, size - 1, answer);
    memory_fail_never();
    close(fd);
    for (int i = 0; i < 4; i++)
        (void)event_base_loop(base, EVLOOP_NONBLOCK);
    http_server_tick(endpoint.http);
    check(changes == 0 || (state & STATE_TOKEN) == 0 || holds(data, size, TOKEN));
    (void)event_del(endpoint.drain_event);
    return 0;
}
