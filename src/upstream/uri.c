#include "upstream/uri.h"

#include "base/memory.h"
#include "upstream/runtime.h"

#include <mongoc/mongoc.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* The maximum that rewrite_text adds: "/?", the application name and directConnection. */
enum { REWRITE_EXTRA_BYTES = 96, WARNING_BYTES = 512 };

struct uri {
    mongoc_uri_t *parsed; /* owned */
    char *redacted;       /* owned */
    char *monitoring;     /* owned */
    char *warning;        /* owned; NULL: none */
    struct tls_client_options tls;
    bool has_tls;
};

/* The pieces of a connection string; they point into it. */
struct pieces {
    const char *scheme; /* with :// */
    size_t scheme_len;
    const char *user_info; /* before the '@'; NULL: none */
    size_t user_info_len;
    const char *hosts;
    size_t hosts_len;
    const char *path; /* after the hosts, up to '?' or the end; includes '/' */
    size_t path_len;
    const char *options; /* after '?'; "" if there are none */
};

/* `text` contains a scheme. */
static void split(const char *text, struct pieces *out)
{
    const char *section = strstr(text, "://") + 3;
    *out = (struct pieces){.scheme = text, .options = ""};
    out->scheme_len = (size_t)(section - text);
    size_t len = strcspn(section, "/?");
    out->hosts = section;
    out->hosts_len = len;
    const char *at = memrchr(section, '@', len);
    if (at != NULL) {
        out->user_info = section;
        out->user_info_len = (size_t)(at - section);
        out->hosts = at + 1;
        out->hosts_len = len - out->user_info_len - 1;
    }
    out->path = section + len;
    out->path_len = strcspn(out->path, "?");
    if (out->path[out->path_len] == '?')
        out->options = out->path + out->path_len + 1;
}

static bool option_is(const char *option, size_t name_len, const char *name)
{
    return name_len == strlen(name) && strncasecmp(option, name, name_len) == 0;
}

/* True for options with a secret. */
static bool is_secret(const char *option, size_t name_len)
{
    return option_is(option, name_len, MONGOC_URI_AUTHMECHANISMPROPERTIES) ||
           option_is(option, name_len, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD) ||
           option_is(option, name_len, "sslclientcertificatekeypassword");
}

/* True for options that monitoring must not have: those that make libmongoc authenticate, and our
 * name. */
static bool is_not_for_monitoring(const char *option, size_t name_len)
{
    return option_is(option, name_len, MONGOC_URI_AUTHMECHANISMPROPERTIES) ||
           option_is(option, name_len, MONGOC_URI_AUTHMECHANISM) ||
           option_is(option, name_len, MONGOC_URI_AUTHSOURCE) ||
           option_is(option, name_len, MONGOC_URI_GSSAPISERVICENAME) ||
           option_is(option, name_len, MONGOC_URI_APPNAME);
}

/* Writes the string without user name and password and without the options that `drop` selects.
 * `to` has room for the text and REWRITE_EXTRA_BYTES. Returns the end, and whether an option was
 * written. */
static char *rewrite(const struct pieces *in, bool (*drop)(const char *option, size_t name_len),
                     char *to, bool *any_option)
{
    *any_option = false;
    to = mempcpy(to, in->scheme, in->scheme_len);
    to = mempcpy(to, in->hosts, in->hosts_len);
    if (in->path_len == 0)
        *to++ = '/';
    to = mempcpy(to, in->path, in->path_len);
    const char *option = in->options;
    while (*option != '\0') {
        size_t len = strcspn(option, "&;");
        size_t name_len = strcspn(option, "=&;");
        if (len > 0 && !drop(option, name_len)) {
            *to++ = *any_option ? '&' : '?';
            to = mempcpy(to, option, len);
            *any_option = true;
        }
        option += len + (option[len] != '\0');
    }
    *to = '\0';
    return to;
}

/* True if `text` contains four or more consecutive bytes of the secret (fewer, if it is shorter).
 */
static bool leaks(const char *text, const char *secret, size_t secret_len)
{
    size_t window = secret_len < 4 ? secret_len : 4;
    if (window == 0)
        return false;
    for (size_t i = 0; i + window <= secret_len; i++)
        if (memmem(text, strlen(text), secret + i, window) != NULL)
            return true;
    return false;
}

/* True if a message of libmongoc quotes a secret of the connection string, percent-encoded or not.
 * In a malformed string the end of the password is unknown, so everything up to the last '@'
 * counts. */
static bool message_leaks(const char *message, const char *text)
{
    const char *sep = strstr(text, "://");
    const char *from = sep != NULL ? sep + 3 : text;
    const char *at = strrchr(from, '@');
    if (at != NULL) {
        char *plain = mongoc_uri_unescape(from);
        const char *plain_at = plain != NULL ? strrchr(plain, '@') : NULL;
        bool leaking = leaks(message, from, (size_t)(at - from)) || plain == NULL ||
                       plain_at == NULL || leaks(message, plain, (size_t)(plain_at - plain));
        bson_free(plain);
        if (leaking)
            return true;
    }
    const char *option = strchr(from, '?');
    while (option != NULL && *option != '\0') {
        option++;
        size_t len = strcspn(option, "&;");
        size_t name_len = strcspn(option, "=&;");
        if (name_len < len && is_secret(option, name_len) &&
            leaks(message, option + name_len + 1, len - name_len - 1))
            return true;
        option += len;
    }
    return false;
}

static void explain(const char *text, const char *reason, struct error *err)
{
    if (reason[0] == '\0' || message_leaks(reason, text))
        reason = "user name, password or options are malformed; percent-encode the characters "
                 "$ : / ? # [ ] @ in them";
    error_set(err, ERROR_FAILED_TO_PARSE, "the connection string is not valid: %s", reason);
}

/* libmongoc reads "u:12/34@host" as the server u:12 and the database 34@host, and "u:p@ss@host" as
 * the server ss@host: logs would show parts of a password. */
static bool is_ambiguous(const struct pieces *pieces)
{
    return memchr(pieces->path, '@', pieces->path_len) != NULL ||
           (pieces->user_info != NULL &&
            memchr(pieces->user_info, '@', pieces->user_info_len) != NULL) ||
           (pieces->path_len == 0 && pieces->user_info == NULL &&
            strchr(pieces->options, '@') != NULL);
}

static mongoc_uri_t *parse(const char *text, char warning[WARNING_BYTES], struct error *err)
{
    struct pieces pieces;
    bson_error_t reason = {0};
    if (strncmp(text, "mongodb://", 10) != 0 && strncmp(text, "mongodb+srv://", 14) != 0) {
        explain(text, "it must begin with mongodb:// or mongodb+srv://", err);
        return NULL;
    }
    split(text, &pieces);
    if (is_ambiguous(&pieces)) {
        explain(text, "", err);
        return NULL;
    }
    if (pieces.path_len == 0 && pieces.options[0] != '\0') {
        explain(text, "a '/' is missing between the hosts and the '?'", err);
        return NULL;
    }
    runtime_capture_begin(warning, WARNING_BYTES);
    mongoc_uri_t *parsed = mongoc_uri_new_with_error(text, &reason);
    runtime_capture_end();
    if (parsed == NULL)
        explain(text, reason.message[0] != '\0' ? reason.message : warning, err);
    return parsed;
}

static void read_tls(struct uri *uri)
{
    const mongoc_uri_t *u = uri->parsed;
    uri->has_tls = mongoc_uri_get_tls(u);
    bool insecure = mongoc_uri_get_option_as_bool(u, MONGOC_URI_TLSINSECURE, false);
    uri->tls = (struct tls_client_options){
        .ca_file = mongoc_uri_get_option_as_utf8(u, MONGOC_URI_TLSCAFILE, NULL),
        .certificate_key_file =
            mongoc_uri_get_option_as_utf8(u, MONGOC_URI_TLSCERTIFICATEKEYFILE, NULL),
        .key_password =
            mongoc_uri_get_option_as_utf8(u, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD, NULL),
        .allow_invalid_certificates =
            insecure ||
            mongoc_uri_get_option_as_bool(u, MONGOC_URI_TLSALLOWINVALIDCERTIFICATES, false),
        .allow_invalid_hostnames = insecure || mongoc_uri_get_option_as_bool(
                                                   u, MONGOC_URI_TLSALLOWINVALIDHOSTNAMES, false),
    };
}

static bool write_texts(struct uri *uri, const char *text)
{
    struct pieces pieces;
    bool any = false;
    split(text, &pieces);
    size_t cap = strlen(text) + REWRITE_EXTRA_BYTES;
    uri->redacted = memory_alloc(cap);
    uri->monitoring = memory_alloc(cap);
    if (uri->redacted == NULL || uri->monitoring == NULL)
        return false;
    (void)rewrite(&pieces, is_secret, uri->redacted, &any);
    char *end = rewrite(&pieces, is_not_for_monitoring, uri->monitoring, &any);
    size_t left = cap - (size_t)(end - uri->monitoring);
    bool direct = mongoc_uri_has_option(uri->parsed, MONGOC_URI_DIRECTCONNECTION);
    (void)snprintf(end, left, "%cappName=mongosluice%s", any ? '&' : '?',
                   direct ? "" : "&directConnection=false");
    return true;
}

struct uri *uri_parse(const char *text, struct error *err)
{
    char warning[WARNING_BYTES] = "";
    runtime_start();
    mongoc_uri_t *parsed = parse(text, warning, err);
    if (parsed == NULL)
        return NULL;
    struct uri *uri = memory_zalloc(sizeof *uri);
    if (uri == NULL)
        mongoc_uri_destroy(parsed);
    else
        uri->parsed = parsed;
    if (uri == NULL || !write_texts(uri, text)) {
        uri_free(uri);
        error_no_memory(err, "the connection string");
        return NULL;
    }
    read_tls(uri);
    /* an error without memory for a warning would help nobody */
    if (warning[0] != '\0')
        uri->warning = memory_copy_string(message_leaks(warning, text)
                                              ? "an option of the connection string is not valid"
                                              : warning);
    return uri;
}

void uri_free(struct uri *uri)
{
    if (uri == NULL)
        return;
    mongoc_uri_destroy(uri->parsed);
    memory_free(uri->redacted);
    memory_free(uri->monitoring);
    memory_free(uri->warning);
    memory_free(uri);
}

const char *uri_redacted(const struct uri *uri)
{
    return uri->redacted;
}

const char *uri_warning(const struct uri *uri)
{
    return uri->warning;
}

const struct tls_client_options *uri_tls(const struct uri *uri)
{
    return uri->has_tls ? &uri->tls : NULL;
}

const char *uri_for_monitoring(const struct uri *uri)
{
    return uri->monitoring;
}

void uri_each_host(const struct uri *uri, void (*each)(void *arg, const char *host, uint16_t port),
                   void *arg)
{
    const mongoc_host_list_t *hosts = mongoc_uri_get_hosts(uri->parsed);
    for (; hosts != NULL; hosts = hosts->next)
        each(arg, hosts->host, hosts->family == AF_UNIX ? 0 : hosts->port);
}

bool uri_has_account(const struct uri *uri)
{
    return mongoc_uri_get_username(uri->parsed) != NULL ||
           mongoc_uri_get_auth_mechanism(uri->parsed) != NULL;
}

const char *uri_with_credentials(const struct uri *uri)
{
    return mongoc_uri_get_string(uri->parsed);
}
