#include "config/options.h"

#include <inttypes.h>
#include <string.h>

enum { KIB = 1024, MIB = 1024 * KIB, DAY_MS = 86400000 };

#define FIELD(f) offsetof(struct config, f)

static const char *const log_levels[] = {"fatal", "error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {"json", "text", NULL};
static const char *const tls_modes[] = {"off", "allow", "require", NULL};
static const char *const client_certificates[] = {"none", "optional", "required", NULL};
const char *const options_switches[] = {"false", "true", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const permissions[] = {"0700", "0770", "0777", NULL};
static const char *const on_cap[] = {"passthrough", "reject", NULL};

/* Why these bounds: a message may not be shorter than what a hello with client metadata needs, nor
 * so long that one client takes a machine's memory; times end at a day or a week because a longer
 * one is a mistake in the unit; ports and descriptors end where the operating system's do. */
const struct option options_table[] = {
    {.name = "upstream",
     .type = OPTION_URI,
     .at = FIELD(upstream),
     .secret = true,
     .description =
         "The MongoDB deployment, as a connection string (mongodb:// or mongodb+srv://). "
         "Its own options set TLS and timeouts of monitoring."},
    {.name = "listen",
     .type = OPTION_ADDRESS,
     .at = FIELD(listen),
     .description = "Address and first port for clients. With port 0 every listener takes any "
                    "free port."},
    {.name = "listen_port_count",
     .type = OPTION_INTEGER,
     .at = FIELD(listen_port_count),
     .fallback = "50",
     .min = 1,
     .max = 10000,
     .description = "How many consecutive ports, from that of listen on, may be used: one for each "
                    "upstream server."},
    {.name = "advertise",
     .type = OPTION_HOST,
     .at = FIELD(advertise),
     .fallback = "",
     .reloadable = true,
     .description = "Host that clients are told to connect to. Empty: the address that the client "
                    "dialled."},
    {.name = "unix_domain_socket.path_prefix",
     .type = OPTION_FOLDER,
     .at = FIELD(unix_domain_socket.path_prefix),
     .fallback = "",
     .description =
         "Folder in which every port has a Unix socket beside it, mongodb-PORT.sock, for "
         "clients on the same machine. Empty: none."},
    {.name = "unix_domain_socket.file_permissions",
     .type = OPTION_CHOICE,
     .at = FIELD(unix_domain_socket.file_permissions),
     .fallback = "0700",
     .choices = permissions,
     .description = "Permissions of those sockets: for the proxy's own user, for its group too, or "
                    "for everybody."},
    {.name = "schemas",
     .type = OPTION_FOLDER,
     .at = FIELD(schemas),
     .fallback = "",
     .reloadable = true,
     .description = "Folder of schema files (*.json), one for each namespace; watched for changes. "
                    "Empty: none."},
    {.name = "schemas_upstream",
     .type = OPTION_CHOICE,
     .at = FIELD(schemas_upstream),
     .fallback = "false",
     .choices = options_switches,
     .description = "Whether the $jsonSchema validators of the upstream's collections are enforced "
                    "too. Needs credentials in upstream where the server asks for them."},
    {.name = "schemas_upstream_period_ms",
     .type = OPTION_MS,
     .at = FIELD(schemas_upstream_period_ms),
     .fallback = "60000",
     .min = 1000,
     .max = DAY_MS,
     .description = "Time between two readings of the collections' validators; create, collMod and "
                    "drop that pass through the proxy have them read at once."},
    {.name = "schemas_memory_max",
     .type = OPTION_BYTES,
     .at = FIELD(schemas_memory_max),
     .fallback = "128MiB",
     .min = MIB,
     .max = (int64_t)1 << 42,
     .description =
         "What all compiled schemas may take, beside memory_max. A schema file that does "
         "not fit is broken; a collection's validator that does not is left to the "
         "server."},
    {.name = "threads",
     .type = OPTION_INTEGER,
     .at = FIELD(threads),
     .fallback = "0",
     .max = 256,
     .description = "Worker threads. 0: the number of CPUs."},
    {.name = "max_client_conn",
     .type = OPTION_INTEGER,
     .at = FIELD(max_client_conn),
     .fallback = "10000",
     .min = 1,
     .max = 1000000,
     .reloadable = true,
     .description =
         "Client connections at one time; more are refused. Each needs two descriptors."},
    {.name = "max_message_bytes",
     .type = OPTION_BYTES,
     .at = FIELD(max_message_bytes),
     .fallback = "48000000",
     .min = 16L * KIB,
     .max = 256L * MIB,
     .reloadable = true,
     .description =
         "Longest message taken from a client; servers may always send 48,000,000 bytes."},
    {.name = "memory_max",
     .type = OPTION_BYTES,
     .at = FIELD(memory_max),
     .fallback = "512MiB",
     .min = MIB,
     .max = (int64_t)1 << 42,
     .reloadable = true,
     .description = "Cap on the message buffers of the whole process; what would pass it is "
                    "refused with ExceededMemoryLimit. Not under max_message_bytes."},
    {.name = "handshake_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(handshake_timeout_ms),
     .fallback = "10000",
     .min = 1,
     .max = 3600000,
     .reloadable = true,
     .description = "A client must have finished the TLS handshake and sent its first message "
                    "within this time."},
    {.name = "client_idle_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(client_idle_timeout_ms),
     .fallback = "0",
     .max = 604800000,
     .reloadable = true,
     .description = "A client connection on which nothing happened for this time is closed. 0: "
                    "never."},
    {.name = "request_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(request_timeout_ms),
     .fallback = "30000",
     .max = 604800000,
     .reloadable = true,
     .description = "A client that has begun a request must go on with it: where no byte of it "
                    "comes for this time, the connection is closed. 0: never."},
    {.name = "connect_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(connect_timeout_ms),
     .fallback = "10000",
     .min = 1,
     .max = 3600000,
     .reloadable = true,
     .description = "Time to connect to an upstream server, its TLS handshake included."},
    {.name = "drain_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(drain_timeout_ms),
     .fallback = "30000",
     .max = DAY_MS,
     .reloadable = true,
     .description = "Time that open transactions get to end after TERM. 0: none."},
    {.name = "query_wait_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(query_wait_timeout_ms),
     .fallback = "120000",
     .max = DAY_MS,
     .reloadable = true,
     .description = "Time that a command waits while the proxy is paused, before it is refused. 0: "
                    "for ever."},
    {.name = "stats_period_ms",
     .type = OPTION_MS,
     .at = FIELD(stats_period_ms),
     .fallback = "60000",
     .max = DAY_MS,
     .reloadable = true,
     .description = "Time between two log lines with counters. 0: none are written."},
    {.name = "listen_backlog",
     .type = OPTION_INTEGER,
     .at = FIELD(listen_backlog),
     .fallback = "1024",
     .min = 1,
     .max = 65535,
     .description = "Connections that wait in the kernel to be accepted, for each listener."},
    {.name = "log.level",
     .type = OPTION_CHOICE,
     .at = FIELD(log.level),
     .fallback = "info",
     .choices = log_levels,
     .reloadable = true,
     .description = "The least severe lines that are written."},
    {.name = "log.format",
     .type = OPTION_CHOICE,
     .at = FIELD(log.format),
     .fallback = "json",
     .choices = log_formats,
     .reloadable = true,
     .description =
         "json: MongoDB's own log format, one object a line. text: the same for people."},
    {.name = "log.file",
     .type = OPTION_WRITE,
     .at = FIELD(log.file),
     .fallback = "",
     .reloadable = true,
     .description =
         "File that lines are appended to; opened again on HUP. Empty: standard output."},
    {.name = "log.sample_first",
     .type = OPTION_INTEGER,
     .at = FIELD(log.sample_first),
     .fallback = "10",
     .max = 1000000,
     .reloadable = true,
     .description =
         "Of lines that a client can cause again and again (a refused document, a login) "
         "that many of a kind are written in a period; one line says how many more there "
         "were. 0: all are written."},
    {.name = "log.sample_period_ms",
     .type = OPTION_MS,
     .at = FIELD(log.sample_period_ms),
     .fallback = "10000",
     .min = 100,
     .max = 3600000,
     .reloadable = true,
     .description = "How long that period is."},
    {.name = "tls.mode",
     .type = OPTION_CHOICE,
     .at = FIELD(tls.mode),
     .fallback = "off",
     .choices = tls_modes,
     .reloadable = true,
     .description =
         "TLS for clients. allow: each client may use it or not. Needs tls.cert_file and "
         "tls.key_file unless off."},
    {.name = "tls.cert_file",
     .type = OPTION_READ,
     .at = FIELD(tls.cert_file),
     .fallback = "",
     .reloadable = true,
     .description = "Certificate shown to clients, with its chain, in PEM; read again on HUP."},
    {.name = "tls.key_file",
     .type = OPTION_READ,
     .at = FIELD(tls.key_file),
     .fallback = "",
     .reloadable = true,
     .description = "Private key of the certificate, in PEM (may be the same file); read again on "
                    "HUP."},
    {.name = "tls.ca_file",
     .type = OPTION_READ,
     .at = FIELD(tls.ca_file),
     .fallback = "",
     .reloadable = true,
     .description =
         "Certificates, in PEM, that client certificates must be signed by; read again on "
         "HUP."},
    {.name = "tls.client_certificates",
     .type = OPTION_CHOICE,
     .at = FIELD(tls.client_certificates),
     .fallback = "none",
     .choices = client_certificates,
     .reloadable = true,
     .description = "Whether clients are asked for a certificate. Needs tls.ca_file unless none."},
    {.name = "tls.min_version",
     .type = OPTION_CHOICE,
     .at = FIELD(tls.min_version),
     .fallback = "1.2",
     .choices = tls_versions,
     .reloadable = true,
     .description = "Oldest TLS version that clients may use."},
    {.name = "admin.listen",
     .alias = "admin",
     .type = OPTION_LOCAL,
     .at = FIELD(admin.listen),
     .fallback = "",
     .description =
         "Address of the admin endpoint (HTTP): metrics, dashboard, health. A port alone "
         "is one of 127.0.0.1. Empty: off."},
    {.name = "admin.token_file",
     .type = OPTION_READ,
     .at = FIELD(admin.token_file),
     .fallback = "",
     .reloadable = true,
     .description = "File whose first line is the token that requests to the admin endpoint must "
                    "carry (Authorization: Bearer); read again on HUP. Empty: none is asked for."},
    {.name = "admin.allowed_hosts",
     .type = OPTION_HOSTS,
     .at = FIELD(admin.allowed_hosts),
     .fallback = "",
     .reloadable = true,
     .description = "Names by which requests may address the admin endpoint when no token is asked "
                    "for, in addition to localhost and numeric addresses."},
    {.name = "admin.tls_cert_file",
     .type = OPTION_READ,
     .at = FIELD(admin.tls_cert_file),
     .fallback = "",
     .reloadable = true,
     .description = "Certificate of the admin endpoint, with its chain, in PEM; read again on HUP. "
                    "Empty: plain HTTP."},
    {.name = "admin.tls_key_file",
     .type = OPTION_READ,
     .at = FIELD(admin.tls_key_file),
     .fallback = "",
     .reloadable = true,
     .description = "Private key of that certificate, in PEM (may be the same file); read again on "
                    "HUP."},
    {.name = "admin.write",
     .type = OPTION_CHOICE,
     .at = FIELD(admin.write),
     .fallback = "false",
     .choices = options_switches,
     .reloadable = true,
     .description =
         "Whether the admin endpoint may write and delete files in the schema directory."},
    {.name = "admin.show_values",
     .type = OPTION_CHOICE,
     .at = FIELD(admin.show_values),
     .fallback = "false",
     .choices = options_switches,
     .reloadable = true,
     .description = "Whether the admin endpoint shows values of refused documents (their errInfo) "
                    "beside the reasons."},
    {.name = "admin.metrics_schemas_max",
     .type = OPTION_INTEGER,
     .at = FIELD(admin.metrics_schemas_max),
     .fallback = "100",
     .max = 10000,
     .reloadable = true,
     .description = "Namespaces with metrics of their own; those of the rest are summed as other."},
    {.name = "merge.enabled",
     .type = OPTION_CHOICE,
     .at = FIELD(merge.enabled),
     .fallback = "false",
     .choices = options_switches,
     .reloadable = true,
     .by_namespace = true,
     .description = "Whether inserts that come while others are under way travel together, as one "
                    "command (docs/merging.md)."},
    {.name = "merge.max_docs",
     .type = OPTION_INTEGER,
     .at = FIELD(merge.max_docs),
     .fallback = "1000",
     .min = 1,
     .max = 100000,
     .reloadable = true,
     .by_namespace = true,
     .description = "Documents in one merged command; an insert of more goes alone."},
    {.name = "merge.max_bytes",
     .type = OPTION_BYTES,
     .at = FIELD(merge.max_bytes),
     .fallback = "1MiB",
     .min = KIB,
     .max = 32L * MIB,
     .reloadable = true,
     .by_namespace = true,
     .description = "Bytes of the documents in one merged command; an insert of more goes alone. "
                    "Bounds the errors of one reply as well."},
    {.name = "merge.max_in_flight",
     .type = OPTION_INTEGER,
     .at = FIELD(merge.max_in_flight),
     .fallback = "1",
     .min = 1,
     .max = 64,
     .reloadable = true,
     .by_namespace = true,
     .description = "Commands of the same kind that a worker thread has under way at one time; "
                    "what comes meanwhile gathers."},
    {.name = "merge.stalled_after_ms",
     .type = OPTION_MS,
     .at = FIELD(merge.stalled_after_ms),
     .fallback = "1000",
     .max = 3600000,
     .reloadable = true,
     .by_namespace = true,
     .description = "Time after which a command that is under way without an answer is waited for "
                    "no longer by the others of its kind: they go on, on another connection. 0: "
                    "they wait as long as it takes."},
    {.name = "merge.linger_us",
     .type = OPTION_US,
     .at = FIELD(merge.linger_us),
     .fallback = "0",
     .max = 1000000,
     .reloadable = true,
     .by_namespace = true,
     .description = "Time that what gathered waits for more, counted from its first insert. 0: it "
                    "goes as soon as the command before it was answered. A client alone never "
                    "waits."},
    {.name = "merge.max_waiters",
     .type = OPTION_INTEGER,
     .at = FIELD(merge.max_waiters),
     .fallback = "10000",
     .min = 1,
     .max = 1000000,
     .reloadable = true,
     .by_namespace = true,
     .description = "Inserts that may wait to be sent, in each worker thread; for a namespace, "
                    "those of one kind."},
    {.name = "merge.on_cap",
     .type = OPTION_CHOICE,
     .at = FIELD(merge.on_cap),
     .fallback = "passthrough",
     .choices = on_cap,
     .reloadable = true,
     .by_namespace = true,
     .description = "What an insert meets at max_waiters: passthrough sends it alone, reject "
                    "refuses it as overloaded."},
    {.name = "merge.retry_table_bytes",
     .type = OPTION_BYTES,
     .at = FIELD(merge_retry_table_bytes),
     .fallback = "64MiB",
     .min = 64L * KIB,
     .max = (int64_t)1 << 40,
     .reloadable = true,
     .description = "Memory for what became of each client's last insert, so that retries are run "
                    "once; about 500 bytes for each logical session. At the cap new sessions are "
                    "not merged."},
};
const size_t options_count = sizeof options_table / sizeof options_table[0];
_Static_assert(sizeof options_table / sizeof options_table[0] <= CONFIG_OPTIONS_MAX,
               "raise CONFIG_OPTIONS_MAX");

const struct option *options_find(const char *name)
{
    for (size_t i = 0; i < options_count; i++)
        if (strcmp(options_table[i].name, name) == 0)
            return &options_table[i];
    return NULL;
}

const struct option *options_find_flag(const char *name)
{
    for (size_t i = 0; i < options_count; i++)
        if (options_table[i].alias != NULL && strcmp(options_table[i].alias, name) == 0)
            return &options_table[i];
    return options_find(name);
}

const struct option *options_find_by_namespace(const char *key)
{
    for (size_t i = 0; i < options_count; i++)
        if (options_table[i].by_namespace &&
            strcmp(strrchr(options_table[i].name, '.') + 1, key) == 0)
            return &options_table[i];
    return NULL;
}

void options_add_namespace_keys(struct text *out)
{
    const char *between = "";
    for (size_t i = 0; i < options_count; i++) {
        if (!options_table[i].by_namespace)
            continue;
        text_format(out, "%s%s", between, strrchr(options_table[i].name, '.') + 1);
        between = ", ";
    }
}

const struct option *options_find_group(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < options_count; i++)
        if (strncmp(options_table[i].name, name, len) == 0 && options_table[i].name[len] == '.')
            return &options_table[i];
    return NULL;
}

enum { NAME_SIZE = 64 }; /* longer than any name; what is longer is near none */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein distance of two names shorter than NAME_SIZE. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_SIZE];
    size_t len = strlen(b);
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < len; j++) {
            size_t above = row[j + 1];
            row[j + 1] = smallest(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[len];
}

const char *options_suggest(const char *name)
{
    const char *best = NULL;
    size_t len = strlen(name);
    if (len >= NAME_SIZE)
        return NULL;
    size_t best_distance = len / 3 < 2 ? 3 : len / 3 + 1; /* farther than that is another word */
    for (size_t i = 0; i < options_count; i++) {
        const char *known = options_table[i].name;
        const char *dot = strrchr(known, '.');
        if (dot != NULL && strcmp(dot + 1, name) == 0)
            return known; /* only its group was forgotten */
        if (strlen(known) >= NAME_SIZE)
            continue;
        size_t d = distance(name, known);
        if (d < best_distance) {
            best_distance = d;
            best = known;
        }
    }
    return best;
}

static void add_choices(const struct option *option, const char *between, struct text *out)
{
    for (size_t i = 0; option->choices[i] != NULL; i++)
        text_format(out, "%s%s", i == 0 ? "" : between, option->choices[i]);
}

void options_add_placeholder(const struct option *option, struct text *out)
{
    static const char *const names[] = {
        [OPTION_URI] = "URI",         [OPTION_ADDRESS] = "HOST:PORT", [OPTION_HOST] = "HOST",
        [OPTION_LOCAL] = "HOST:PORT", [OPTION_READ] = "FILE",         [OPTION_WRITE] = "FILE",
        [OPTION_INTEGER] = "NUMBER",  [OPTION_BYTES] = "BYTES",       [OPTION_MS] = "MILLISECONDS",
        [OPTION_US] = "MICROSECONDS", [OPTION_FOLDER] = "FOLDER",     [OPTION_HOSTS] = "HOST,…",
    };
    if (option->type == OPTION_CHOICE)
        add_choices(option, "|", out);
    else
        text_add(out, names[option->type]);
}

void options_add_allowed(const struct option *option, struct text *out)
{
    switch (option->type) {
    case OPTION_URI:
        text_add(out, "a MongoDB URI: mongodb://HOST[:PORT][,...][/][?options] or "
                      "mongodb+srv://HOST");
        break;
    case OPTION_ADDRESS:
        text_add(out, "HOST:PORT with a port from 0 to 65535, an IPv6 address in brackets: "
                      "[::1]:27017");
        break;
    case OPTION_LOCAL:
        text_add(out, "PORT or HOST:PORT with a port from 0 to 65535, or empty");
        break;
    case OPTION_HOST:
        text_add(out, "a host name or an address, without a port");
        break;
    case OPTION_HOSTS:
        text_add(out, "host names without ports, with commas between them, or empty");
        break;
    case OPTION_READ:
    case OPTION_WRITE:
        text_add(out, "the path of a file");
        break;
    case OPTION_FOLDER:
        text_add(out, "the path of a folder");
        break;
    case OPTION_INTEGER:
        text_format(out, "a whole number from %" PRId64 " to %" PRId64, option->min, option->max);
        break;
    case OPTION_BYTES:
        text_format(out,
                    "bytes from %" PRId64 " to %" PRId64
                    ", plain or with a unit (kB, MB, GB, KiB, MiB, GiB)",
                    option->min, option->max);
        break;
    case OPTION_MS:
        text_format(out, "milliseconds from %" PRId64 " to %" PRId64, option->min, option->max);
        break;
    case OPTION_US:
        text_format(out, "microseconds from %" PRId64 " to %" PRId64, option->min, option->max);
        break;
    case OPTION_CHOICE:
        text_add(out, "one of ");
        add_choices(option, ", ", out);
        break;
    }
}
