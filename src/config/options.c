#include "config/options.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/quantity.h"
#include "base/server_limits.h"

enum { KIB = 1024, MIB = 1024 * KIB, DAY_MS = 86400000 };

#define FIELD(f) offsetof(struct config, f)

static const char *const log_levels[] = {"fatal", "error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {"json", "text", NULL};
static const char *const tls_modes[] = {"off", "allow", "require", NULL};
static const char *const client_certificates[] = {"none", "optional", "required", NULL};
const char *const options_switches[] = {"false", "true", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const permissions[] = {"0700", "0770", "0777", NULL};
static const char *const ready_ports[] = {"never", "start", "always", NULL};
static const char *const pool_modes[] = {"session", "shared", NULL};
static const char *const verifier_words[] = {"none", "upstream", NULL};
static const char *const on_cap[] = {"passthrough", "reject", NULL};
static const char *const ignore_comment[] = {"never", "traceparent", "always", NULL};

/* The reasons for the bounds: a message must hold a hello with client metadata, and must not let
 * one client use a machine's memory. Times end at a day or a week, because longer ones are mistakes
 * in the unit. Ports and descriptors end at the operating system's limits. */
const struct option options_table[] = {
    {.name = "upstream",
     .type = OPTION_URI,
     .at = FIELD(upstream),
     .secret = true,
     .description = "The MongoDB deployment as a connection string (mongodb:// or mongodb+srv://). "
                    "Options of this string set TLS and timeouts for monitoring."},
    {.name = "listen",
     .type = OPTION_ADDRESS,
     .at = FIELD(listen),
     .description =
         "Address and first port for clients. With port 0, every listener uses any free port."},
    {.name = "listen_port_count",
     .type = OPTION_INTEGER,
     .at = FIELD(listen_port_count),
     .fallback = "50",
     .min = 1,
     .max = 10000,
     .description = "Number of consecutive ports, starting with the port of listen: one for each "
                    "upstream server."},
    {.name = "listen_proxy_protocol",
     .type = OPTION_NETWORKS,
     .at = FIELD(listen_proxy_protocol),
     .fallback = "",
     .reloadable = true,
     .description = "Networks of load balancers that send the PROXY protocol, version 2: "
                    "10.0.0.0/8,fd00::/8. A connection from there must begin with its header, "
                    "which names the client. A connection from elsewhere must not. Empty: none."},
    {.name = "upstream_proxy_protocol",
     .type = OPTION_INTEGER,
     .at = FIELD(upstream_proxy_protocol),
     .fallback = "0",
     .max = UINT16_MAX,
     .reloadable = true,
     .description = "Port of every upstream server for clients' connections, which then begin with "
                    "a header of the PROXY protocol, version 2, with the client's address "
                    "(net.proxyPort of MongoDB 7.0.22, 8.0.10 and 8.1). Monitoring uses the "
                    "servers' usual ports. 0: the usual ports, without a header."},
    {.name = "advertise",
     .type = OPTION_HOST,
     .at = FIELD(advertise),
     .fallback = "",
     .reloadable = true,
     .description = "Host name that the proxy tells clients to connect to. Empty: the address that "
                    "the client dialled."},
    {.name = "unix_domain_socket.path_prefix",
     .type = OPTION_FOLDER,
     .at = FIELD(unix_domain_socket.path_prefix),
     .fallback = "",
     .description = "Folder for Unix sockets: each port has a socket mongodb-PORT.sock in it for "
                    "clients on the same machine. Empty: none."},
    {.name = "unix_domain_socket.file_permissions",
     .type = OPTION_CHOICE,
     .at = FIELD(unix_domain_socket.file_permissions),
     .fallback = "0700",
     .choices = permissions,
     .description = "Permissions of these sockets: for the proxy's user, also for its group, or "
                    "for everybody."},
    {.name = "schemas",
     .type = OPTION_FOLDER,
     .at = FIELD(schemas),
     .fallback = "",
     .reloadable = true,
     .description = "Folder of schema files (*.json), one for each namespace. The proxy follows "
                    "changes. Empty: none."},
    {.name = "schemas_upstream",
     .type = OPTION_CHOICE,
     .at = FIELD(schemas_upstream),
     .fallback = "false",
     .choices = options_switches,
     .description = "Also enforce the $jsonSchema validators of the upstream's collections. Needs "
                    "credentials in upstream if the server requires them."},
    {.name = "schemas_upstream_period_ms",
     .type = OPTION_MS,
     .at = FIELD(schemas_upstream_period_ms),
     .fallback = "60000",
     .min = 1000,
     .max = DAY_MS,
     .description = "Time between two readings of the collections' validators. A change that "
                    "passes through the proxy, or that the deployment's change stream tells of, "
                    "causes a reading at once."},
    {.name = "schemas_memory_max",
     .type = OPTION_BYTES,
     .at = FIELD(schemas_memory_max),
     .fallback = "128MiB",
     .min = MIB,
     .max = (int64_t)1 << 42,
     .description =
         "Memory for all compiled schemas, in addition to memory_max. A schema file that does not "
         "fit counts as broken; only the server enforces a validator that does not fit."},
    {.name = "schemas_registry",
     .type = OPTION_NAMESPACE,
     .at = FIELD(schemas_registry),
     .fallback = "",
     .description =
         "Collection with the schemas of a fleet, as DATABASE.COLLECTION. The proxy follows it and "
         "writes its schemas into the folder schemas, which this option needs (docs/fleets.md). "
         "Empty: none."},
    {.name = "schemas_registry_uri",
     .type = OPTION_URI,
     .at = FIELD(schemas_registry_uri),
     .fallback = "",
     .secret = true,
     .description =
         "The deployment that holds this collection, as a connection string. Empty: upstream."},
    {.name = "schemas_registry_period_ms",
     .type = OPTION_MS,
     .at = FIELD(schemas_registry_period_ms),
     .fallback = "1000",
     .min = 100,
     .max = DAY_MS,
     .description =
         "Time between two readings of this collection on a standalone server, which has no "
         "change stream."},
    {.name = "threads",
     .type = OPTION_INTEGER,
     .at = FIELD(threads),
     .fallback = "0",
     .max = 256,
     .description = "Worker threads. 0: the number of CPUs."},
    {.name = "busy_poll_us",
     .type = OPTION_US,
     .at = FIELD(busy_poll_us),
     .fallback = "0",
     .max = 1000,
     .reloadable = true,
     .description =
         "Time that a worker thread without work polls for more before it sleeps, as long as work "
         "comes in shorter intervals than this. It lowers the latency, and takes CPU time. 0: it "
         "sleeps at once."},
    {.name = "max_client_conn",
     .type = OPTION_INTEGER,
     .at = FIELD(max_client_conn),
     .fallback = "10000",
     .min = 1,
     .max = 1000000,
     .reloadable = true,
     .description = "Maximal number of client connections; the proxy refuses more. Each needs two "
                    "descriptors."},
    {.name = "max_message_bytes",
     .type = OPTION_BYTES,
     .at = FIELD(max_message_bytes),
     .fallback = SERVER_LIMIT_TEXT(SERVER_MESSAGE_BYTES),
     .min = 16L * KIB,
     .max = 256L * MIB,
     .reloadable = true,
     .description =
         "Maximal length of a client's message. Servers may always send 48,000,000 bytes."},
    {.name = "memory_max",
     .type = OPTION_BYTES,
     .at = FIELD(memory_max),
     .fallback = "512MiB",
     .min = MIB,
     .max = (int64_t)1 << 42,
     .reloadable = true,
     .description = "Limit on the message buffers of the whole process. Beyond it the proxy "
                    "refuses requests with ExceededMemoryLimit. At least max_message_bytes."},
    {.name = "handshake_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(handshake_timeout_ms),
     .fallback = "10000",
     .min = 1,
     .max = 3600000,
     .reloadable = true,
     .description = "Time for a client to finish the TLS handshake and send its first message."},
    {.name = "client_idle_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(client_idle_timeout_ms),
     .fallback = "0",
     .max = 604800000,
     .reloadable = true,
     .description =
         "The proxy closes a client connection without activity for this time. 0: never."},
    {.name = "request_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(request_timeout_ms),
     .fallback = "30000",
     .max = 604800000,
     .reloadable = true,
     .description = "The proxy closes the connection of a client that starts a request and then "
                    "sends nothing for this time. 0: never."},
    {.name = "connect_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(connect_timeout_ms),
     .fallback = "10000",
     .min = 1,
     .max = 3600000,
     .reloadable = true,
     .description = "Time for a connection to an upstream server, including the TLS handshake."},
    {.name = "drain_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(drain_timeout_ms),
     .fallback = "30000",
     .max = DAY_MS,
     .reloadable = true,
     .description = "Time for open transactions to end after TERM. 0: none."},
    {.name = "query_wait_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(query_wait_timeout_ms),
     .fallback = "120000",
     .max = DAY_MS,
     .reloadable = true,
     .description =
         "Time that a command waits during a pause before the proxy refuses it. 0: no limit."},
    {.name = "stats_period_ms",
     .type = OPTION_MS,
     .at = FIELD(stats_period_ms),
     .fallback = "60000",
     .max = DAY_MS,
     .reloadable = true,
     .description = "Time between two log lines with counters. 0: no such lines."},
    {.name = "listen_backlog",
     .type = OPTION_INTEGER,
     .at = FIELD(listen_backlog),
     .fallback = "1024",
     .min = 1,
     .max = 65535,
     .description = "Connections that may wait in the kernel, for each listener."},
    {.name = "log.level",
     .type = OPTION_CHOICE,
     .at = FIELD(log.level),
     .fallback = "info",
     .choices = log_levels,
     .reloadable = true,
     .description = "The least severe level that the log contains."},
    {.name = "log.format",
     .type = OPTION_CHOICE,
     .at = FIELD(log.format),
     .fallback = "json",
     .choices = log_formats,
     .reloadable = true,
     .description =
         "json: MongoDB's log format, one object per line. text: a readable form of the same."},
    {.name = "log.file",
     .type = OPTION_WRITE,
     .at = FIELD(log.file),
     .fallback = "",
     .reloadable = true,
     .description = "File for the log; the proxy appends lines and reopens the file on HUP. Empty: "
                    "standard output."},
    {.name = "log.sample_first",
     .type = OPTION_INTEGER,
     .at = FIELD(log.sample_first),
     .fallback = "10",
     .max = 1000000,
     .reloadable = true,
     .description =
         "Number of log lines of a kind in each period that a client can cause repeatedly (a "
         "refused document, a login). One line counts the omitted ones. 0: all lines."},
    {.name = "log.sample_period_ms",
     .type = OPTION_MS,
     .at = FIELD(log.sample_period_ms),
     .fallback = "10000",
     .min = 100,
     .max = 3600000,
     .reloadable = true,
     .description = "Length of this period. In each, one line sums up the documents that schemas "
                    "with action warn let pass."},
    {.name = "log.show_values",
     .type = OPTION_CHOICE,
     .at = FIELD(log.show_values),
     .fallback = "false",
     .choices = options_switches,
     .reloadable = true,
     .description = "Log values of documents that break their schema (their errInfo) with the "
                    "reasons."},
    {.name = "tls.mode",
     .type = OPTION_CHOICE,
     .at = FIELD(tls.mode),
     .fallback = "off",
     .choices = tls_modes,
     .reloadable = true,
     .description = "TLS for clients. allow: clients may use it. Needs tls.cert_file and "
                    "tls.key_file unless off."},
    {.name = "tls.cert_file",
     .type = OPTION_READ,
     .at = FIELD(tls.cert_file),
     .fallback = "",
     .reloadable = true,
     .description = "Certificate for clients, with its chain, in PEM; the proxy follows changes."},
    {.name = "tls.key_file",
     .type = OPTION_READ,
     .at = FIELD(tls.key_file),
     .fallback = "",
     .reloadable = true,
     .description = "Private key of the certificate, in PEM (may be the same file); the proxy "
                    "follows changes."},
    {.name = "tls.ca_file",
     .type = OPTION_READ,
     .at = FIELD(tls.ca_file),
     .fallback = "",
     .reloadable = true,
     .description = "Authorities of client certificates, in PEM; the proxy follows changes."},
    {.name = "tls.client_certificates",
     .type = OPTION_CHOICE,
     .at = FIELD(tls.client_certificates),
     .fallback = "none",
     .choices = client_certificates,
     .reloadable = true,
     .description = "Request certificates from clients. Needs tls.ca_file unless none."},
    {.name = "tls.min_version",
     .type = OPTION_CHOICE,
     .at = FIELD(tls.min_version),
     .fallback = "1.2",
     .choices = tls_versions,
     .reloadable = true,
     .description = "Oldest TLS version for clients."},
    {.name = "admin.listen",
     .alias = "admin",
     .type = OPTION_LOCAL,
     .at = FIELD(admin.listen),
     .fallback = "",
     .description = "Address of the admin endpoint (HTTP): metrics, dashboard, health. A port "
                    "without a host means 127.0.0.1. Empty: off."},
    {.name = "admin.token_file",
     .type = OPTION_READ,
     .at = FIELD(admin.token_file),
     .fallback = "",
     .reloadable = true,
     .description =
         "File with the token in its first line that requests to the admin endpoint "
         "must carry (Authorization: Bearer); the proxy follows changes. Empty: no token."},
    {.name = "admin.allowed_hosts",
     .type = OPTION_HOSTS,
     .at = FIELD(admin.allowed_hosts),
     .fallback = "",
     .reloadable = true,
     .description = "Host names for requests to the admin endpoint without a token, in addition to "
                    "localhost and numeric addresses."},
    {.name = "admin.tls_cert_file",
     .type = OPTION_READ,
     .at = FIELD(admin.tls_cert_file),
     .fallback = "",
     .reloadable = true,
     .description =
         "Certificate of the admin endpoint, with its chain, in PEM; the proxy follows changes. "
         "Empty: plain HTTP."},
    {.name = "admin.tls_key_file",
     .type = OPTION_READ,
     .at = FIELD(admin.tls_key_file),
     .fallback = "",
     .reloadable = true,
     .description = "Private key of this certificate, in PEM (may be the same file); the proxy "
                    "follows changes."},
    {.name = "admin.write",
     .type = OPTION_CHOICE,
     .at = FIELD(admin.write),
     .fallback = "false",
     .choices = options_switches,
     .reloadable = true,
     .description = "Let the admin endpoint write and delete files in the schema folder."},
    {.name = "admin.show_values",
     .type = OPTION_CHOICE,
     .at = FIELD(admin.show_values),
     .fallback = "false",
     .choices = options_switches,
     .reloadable = true,
     .description = "Let the admin endpoint show values of refused documents (their errInfo) with "
                    "the reasons."},
    {.name = "admin.metrics_schemas_max",
     .type = OPTION_INTEGER,
     .at = FIELD(admin.metrics_schemas_max),
     .fallback = "100",
     .max = 10000,
     .reloadable = true,
     .description = "Maximal number of namespaces with their own metrics; the metric for all "
                    "others is named other."},
    {.name = "admin.ready_needs_ports",
     .type = OPTION_CHOICE,
     .at = FIELD(admin.ready_needs_ports),
     .fallback = "start",
     .choices = ready_ports,
     .reloadable = true,
     .description = "Whether /readyz waits for a port for each upstream server. start: until every "
                    "server had one, so that a server that joins later does not stop running "
                    "proxies. always: answers 503 at any time that a server has no port."},
    {.name = "limits.rules",
     .type = OPTION_LIMITS,
     .at = FIELD(limits.rules),
     .fallback = "",
     .reloadable = true,
     .description = "Limits for applications and users, separated by semicolons: first some of "
                    "connections=NUMBER, requests=NUMBER (a second) and documents=NUMBER (written "
                    "in a second), then application=NAME, user=NAME@DATABASE, or both. * as the "
                    "name counts each one for itself. All rules that fit count. %2C, %3B and %25 "
                    "stand for a comma, a semicolon and a percent sign (docs/operations.md)."},
    {.name = "auth.verifiers",
     .type = OPTION_READ,
     .at = FIELD(auth.verifiers),
     .fallback = "none",
     .choices = verifier_words,
     .description = "The proxy checks SCRAM logins of clients in shared mode itself, and logs in "
                    "upstream as these users (docs/logins.md). upstream: it reads the users' "
                    "verifiers with the account of upstream, which needs the action viewUser on "
                    "all databases. FILE: it reads them from this JSON file, and follows its "
                    "changes. none: the server checks every login."},
    {.name = "auth.verifiers_max_age_ms",
     .type = OPTION_MS,
     .at = FIELD(auth.verifiers_max_age_ms),
     .fallback = "1000",
     .max = 3600000,
     .description = "Age up to which the proxy uses a verifier without reading it again. For so "
                    "long, an old password may be accepted after a change that did not pass "
                    "through this proxy. 0: each login waits for a reading."},
    {.name = "auth.verifiers_away_ms",
     .type = OPTION_MS,
     .at = FIELD(auth.verifiers_away_ms),
     .fallback = "300000",
     .max = DAY_MS,
     .description = "Age up to which the proxy uses a verifier while the upstream does not tell "
                    "users. After that, it sends logins to the server."},
    {.name = "pool.mode",
     .type = OPTION_CHOICE,
     .at = FIELD(pool.mode),
     .fallback = "session",
     .choices = pool_modes,
     .reloadable = true,
     .description = "session: each client has an upstream connection of its own. shared: clients "
                    "of the same identity share upstream connections (docs/sharing.md). A reload "
                    "changes it for new clients."},
    {.name = "pool.rules",
     .type = OPTION_RULES,
     .at = FIELD(pool.rules),
     .fallback = "",
     .reloadable = true,
     .description = "Other modes for single applications and users, separated by semicolons: MODE "
                    "application=NAME, MODE user=NAME@DATABASE, or both conditions with a comma "
                    "between them. The first rule that fits counts. Write %2C, %3B and %25 for a "
                    "comma, a semicolon and a percent sign in a name."},
    {.name = "pool.max_size",
     .type = OPTION_INTEGER,
     .at = FIELD(pool.max_size),
     .fallback = "100",
     .min = 1,
     .max = 100000,
     .reloadable = true,
     .description = "Maximal number of shared upstream connections for each server and identity; "
                    "the worker threads divide it among themselves, at least one for each."},
    {.name = "pool.max_total",
     .type = OPTION_INTEGER,
     .at = FIELD(pool.max_total),
     .fallback = "1000",
     .min = 2,
     .max = 1000000,
     .reloadable = true,
     .description = "Maximal number of upstream connections of shared mode for each server, "
                    "logins included; the worker threads divide it among themselves, at least two "
                    "for each."},
    {.name = "pool.min_idle",
     .type = OPTION_INTEGER,
     .at = FIELD(pool.min_idle),
     .fallback = "0",
     .min = 0,
     .max = 100000,
     .reloadable = true,
     .description = "Idle upstream connections that each pool of clients without a login keeps "
                    "ready in each worker thread."},
    {.name = "pool.idle_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(pool.idle_timeout_ms),
     .fallback = "600000",
     .min = 0,
     .max = 7L * DAY_MS,
     .reloadable = true,
     .description = "Time after which the proxy closes an idle shared connection. It keeps the "
                    "last connection of an identity that only a client's login can replace. 0: "
                    "never."},
    {.name = "pool.max_lifetime_ms",
     .type = OPTION_MS,
     .at = FIELD(pool.max_lifetime_ms),
     .fallback = "0",
     .min = 0,
     .max = 7L * DAY_MS,
     .reloadable = true,
     .description = "Age at which the proxy closes a shared connection as soon as it is idle, "
                    "with the same exception. 0: no limit."},
    {.name = "pool.wait_timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(pool.wait_timeout_ms),
     .fallback = "10000",
     .min = 0,
     .max = DAY_MS,
     .reloadable = true,
     .description = "Time that a command waits for a connection of its pool before the proxy "
                    "refuses it. 0: no limit."},
    {.name = "pool.waiters_max",
     .type = OPTION_INTEGER,
     .at = FIELD(pool.waiters_max),
     .fallback = "10000",
     .min = 1,
     .max = 1000000,
     .reloadable = true,
     .description = "Maximal number of commands that wait for a connection to a server; the "
                    "worker threads divide it among themselves. The proxy refuses more."},
    {.name = "pool.await_share",
     .type = OPTION_INTEGER,
     .at = FIELD(pool.await_share),
     .fallback = "50",
     .min = 1,
     .max = 100,
     .reloadable = true,
     .description = "Percentage of pool.max_size that getMore commands on cursors that await data "
                    "may hold at a time."},
    {.name = "pool.login_concurrency",
     .type = OPTION_INTEGER,
     .at = FIELD(pool.login_concurrency),
     .fallback = "32",
     .min = 1,
     .max = 100000,
     .reloadable = true,
     .description = "Maximal number of connections to a server that are being opened or logged in "
                    "at a time; the worker threads divide it among themselves, at least one for "
                    "each."},
    {.name = "pool.cancel_grace_ms",
     .type = OPTION_MS,
     .at = FIELD(pool.cancel_grace_ms),
     .fallback = "2000",
     .min = 0,
     .max = 3600000,
     .reloadable = true,
     .description = "Time that the command of a client that left may still run before the proxy "
                    "closes its upstream connection."},
    {.name = "merge.enabled",
     .type = OPTION_CHOICE,
     .at = FIELD(merge.enabled),
     .fallback = "false",
     .choices = options_switches,
     .reloadable = true,
     .by_namespace = true,
     .description = "Merge inserts that arrive while others are under way into one command "
                    "(docs/merging.md)."},
    {.name = "merge.max_docs",
     .type = OPTION_INTEGER,
     .at = FIELD(merge.max_docs),
     .fallback = "1000",
     .min = 1,
     .max = 100000,
     .reloadable = true,
     .by_namespace = true,
     .description = "Maximal number of documents in a merged command; a larger insert goes alone."},
    {.name = "merge.max_bytes",
     .type = OPTION_BYTES,
     .at = FIELD(merge.max_bytes),
     .fallback = "1MiB",
     .min = KIB,
     .max = 32L * MIB,
     .reloadable = true,
     .by_namespace = true,
     .description = "Maximal size of the documents in a merged command; a larger insert goes "
                    "alone. Also limits the errors in one reply."},
    {.name = "merge.max_in_flight",
     .type = OPTION_INTEGER,
     .at = FIELD(merge.max_in_flight),
     .fallback = "1",
     .min = 1,
     .max = 64,
     .reloadable = true,
     .by_namespace = true,
     .description = "Maximal number of commands of the same kind that a worker thread has under "
                    "way; further inserts wait in a group."},
    {.name = "merge.stalled_after_ms",
     .type = OPTION_MS,
     .at = FIELD(merge.stalled_after_ms),
     .fallback = "1000",
     .max = 3600000,
     .reloadable = true,
     .by_namespace = true,
     .description = "Time after which a command without an answer no longer holds others of its "
                    "kind back; they use another connection. 0: no limit."},
    {.name = "merge.linger_us",
     .type = OPTION_US,
     .at = FIELD(merge.linger_us),
     .fallback = "0",
     .max = 1000000,
     .reloadable = true,
     .by_namespace = true,
     .description =
         "Time that a group of inserts waits for more, from its first insert. 0: the group goes as "
         "soon as the command before it is answered. A single client never waits."},
    {.name = "merge.max_waiters",
     .type = OPTION_INTEGER,
     .at = FIELD(merge.max_waiters),
     .fallback = "10000",
     .min = 1,
     .max = 1000000,
     .reloadable = true,
     .by_namespace = true,
     .description = "Maximal number of waiting inserts in each worker thread; for a namespace, "
                    "those of one kind."},
    {.name = "merge.on_cap",
     .type = OPTION_CHOICE,
     .at = FIELD(merge.on_cap),
     .fallback = "passthrough",
     .choices = on_cap,
     .reloadable = true,
     .by_namespace = true,
     .description = "Effect of max_waiters: passthrough sends an insert alone, reject refuses it "
                    "as overloaded."},
    {.name = "merge.ignore_comment",
     .type = OPTION_CHOICE,
     .at = FIELD(merge.ignore_comment),
     .fallback = "traceparent",
     .choices = ignore_comment,
     .reloadable = true,
     .by_namespace = true,
     .description = "Comments that do not keep inserts apart; a merged command leaves them out. "
                    "traceparent: those with the context of a trace and nothing else "
                    "(docs/tracing.md)."},
    {.name = "merge.retry_table_bytes",
     .type = OPTION_BYTES,
     .at = FIELD(merge_retry_table_bytes),
     .fallback = "64MiB",
     .min = 64L * KIB,
     .max = (int64_t)1 << 40,
     .reloadable = true,
     .description = "Memory for the result of each client's last insert, so that a retry runs only "
                    "once; about 500 bytes for each logical session. At the limit, the proxy does "
                    "not merge inserts of new sessions."},
    {.name = "tracing.endpoint",
     .type = OPTION_URL,
     .at = FIELD(tracing.endpoint),
     .fallback = "",
     .reloadable = true,
     .description = "OpenTelemetry collector that gets spans by OTLP over HTTP (docs/tracing.md), "
                    "such as http://localhost:4318. Without a path: /v1/traces. Empty: off."},
    {.name = "tracing.sample_ratio",
     .type = OPTION_RATIO,
     .at = FIELD(tracing.sample_ratio),
     .fallback = "0",
     .reloadable = true,
     .description = "Share of the requests without a trace context that are traced. A request with "
                    "a context is traced if its context is sampled."},
    {.name = "tracing.service",
     .type = OPTION_TEXT,
     .at = FIELD(tracing.service),
     .fallback = "mongosluice",
     .reloadable = true,
     .description = "Attribute service.name of the proxy's spans."},
    {.name = "tracing.resource_attributes",
     .type = OPTION_PAIRS,
     .at = FIELD(tracing.resource_attributes),
     .fallback = "",
     .reloadable = true,
     .description = "Further attributes of the resource, such as "
                    "deployment.environment.name=production; %XX in a value stands for a byte."},
    {.name = "tracing.headers",
     .type = OPTION_PAIRS,
     .at = FIELD(tracing.headers),
     .fallback = "",
     .reloadable = true,
     .secret = true,
     .description = "HTTP headers for the collector, such as an API key; %XX in a value stands for "
                    "a byte."},
    {.name = "tracing.ca_file",
     .type = OPTION_READ,
     .at = FIELD(tracing.ca_file),
     .fallback = "",
     .reloadable = true,
     .description = "Authorities of the collector's certificate, in PEM. Empty: the system's."},
    {.name = "tracing.period_ms",
     .type = OPTION_MS,
     .at = FIELD(tracing.period_ms),
     .fallback = "1000",
     .min = 10,
     .max = 60000,
     .reloadable = true,
     .description = "Time between two exports of spans."},
    {.name = "tracing.timeout_ms",
     .type = OPTION_MS,
     .at = FIELD(tracing.timeout_ms),
     .fallback = "10000",
     .min = 1000,
     .max = 60000,
     .reloadable = true,
     .description = "Time for the collector's answer, rounded up to seconds."},
    {.name = "tracing.queue_max",
     .type = OPTION_INTEGER,
     .at = FIELD(tracing.queue_max),
     .fallback = "4096",
     .min = 16,
     .max = 1048576,
     .description = "Maximal number of traced requests of each worker thread that wait for the "
                    "export, with about one kilobyte each; the proxy drops and counts further "
                    "ones."},
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

enum { NAME_SIZE = 64 }; /* no name is longer; longer texts have no similar name */

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
    size_t best_distance = len / 3 < 2 ? 3 : len / 3 + 1; /* more distant names are other words */
    for (size_t i = 0; i < options_count; i++) {
        const char *known = options_table[i].name;
        const char *dot = strrchr(known, '.');
        if (dot != NULL && strcmp(dot + 1, name) == 0)
            return known; /* the user only omitted its group */
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

void options_add_variable(const struct option *option, struct text *out)
{
    text_add(out, OPTIONS_VARIABLE_PREFIX);
    for (const char *c = option->name; *c != '\0'; c++) {
        char letter = (char)(*c == '.' ? '_' : toupper((unsigned char)*c));
        text_add_bytes(out, &letter, 1);
    }
}

bool options_is_word(const struct option *option, const char *text)
{
    for (size_t i = 0; option->choices != NULL && option->choices[i] != NULL; i++)
        if (strcmp(option->choices[i], text) == 0)
            return true;
    return false;
}

static void add_choices(const struct option *option, const char *between, struct text *out)
{
    for (size_t i = 0; option->choices[i] != NULL; i++)
        text_format(out, "%s%s", i == 0 ? "" : between, option->choices[i]);
}

void options_add_placeholder(const struct option *option, struct text *out)
{
    static const char *const names[] = {
        [OPTION_URI] = "URI",
        [OPTION_ADDRESS] = "HOST:PORT",
        [OPTION_HOST] = "HOST",
        [OPTION_NAMESPACE] = "DATABASE.COLLECTION",
        [OPTION_LOCAL] = "HOST:PORT",
        [OPTION_READ] = "FILE",
        [OPTION_WRITE] = "FILE",
        [OPTION_INTEGER] = "NUMBER",
        [OPTION_BYTES] = "BYTES",
        [OPTION_MS] = "MILLISECONDS",
        [OPTION_US] = "MICROSECONDS",
        [OPTION_FOLDER] = "FOLDER",
        [OPTION_HOSTS] = "HOST,…",
        [OPTION_RULES] = "RULE;…",
        [OPTION_LIMITS] = "RULE;…",
        [OPTION_TEXT] = "TEXT",
        [OPTION_URL] = "URL",
        [OPTION_RATIO] = "RATIO",
        [OPTION_PAIRS] = "NAME=VALUE,…",
        [OPTION_NETWORKS] = "NETWORK,…",
    };
    if (option->choices != NULL)
        add_choices(option, "|", out);
    if (option->choices != NULL && option->type != OPTION_CHOICE)
        text_add(out, "|");
    if (option->type != OPTION_CHOICE)
        text_add(out, names[option->type]);
}

static void add_bounds(const struct option *option, const char *unit, enum quantity_kind kind,
                       struct text *out)
{
    text_format(out, "%s from %" PRId64 " to %" PRId64 ", plain or with a unit (%s)", unit,
                option->min, option->max, quantity_units(kind));
}

void options_add_allowed(const struct option *option, struct text *out)
{
    switch (option->type) {
    case OPTION_URI:
        text_add(out,
                 "a MongoDB URI: mongodb://HOST[:PORT][,...][/][?options] or mongodb+srv://HOST");
        break;
    case OPTION_NAMESPACE:
        text_add(out, "DATABASE.COLLECTION, or empty");
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
        text_add(out, "host names without ports, separated by commas, or empty");
        break;
    case OPTION_TEXT:
        text_add(out, "a text");
        break;
    case OPTION_URL:
        text_add(out, "http://HOST[:PORT][/PATH], the same with https, or empty");
        break;
    case OPTION_PAIRS:
        text_add(out, "NAME=VALUE,... without blanks, or empty");
        break;
    case OPTION_RATIO:
        text_add(out, "a number from 0 to 1");
        break;
    case OPTION_NETWORKS:
        text_add(out,
                 "networks separated by commas, each an IP address with the number of its "
                 "fixed bits, like 10.0.0.0/8 or fd00::/8 (no bits set after these), or empty");
        break;
    case OPTION_RULES:
        text_add(out, "rules separated by semicolons, each like \"session application=NAME\" or "
                      "\"shared user=NAME@DATABASE\", or empty");
        break;
    case OPTION_LIMITS:
        text_format(out,
                    "at most %d rules separated by semicolons, each like "
                    "\"connections=NUMBER,requests=NUMBER,documents=NUMBER "
                    "application=NAME,user=NAME@DATABASE\", or empty",
                    CONFIG_LIMIT_RULES_MAX);
        break;
    case OPTION_READ:
    case OPTION_WRITE:
        if (option->choices != NULL) {
            add_choices(option, ", ", out);
            text_add(out, ", or ");
        }
        text_add(out, "the path of a file");
        break;
    case OPTION_FOLDER:
        text_add(out, "the path of a folder");
        break;
    case OPTION_INTEGER:
        text_format(out, "a whole number from %" PRId64 " to %" PRId64, option->min, option->max);
        break;
    case OPTION_BYTES:
        add_bounds(option, "bytes", QUANTITY_BYTES, out);
        break;
    case OPTION_MS:
        add_bounds(option, "milliseconds", QUANTITY_MS, out);
        break;
    case OPTION_US:
        add_bounds(option, "microseconds", QUANTITY_US, out);
        break;
    case OPTION_CHOICE:
        text_add(out, "one of ");
        add_choices(option, ", ", out);
        break;
    }
}
