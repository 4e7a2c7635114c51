#include "main/certificates.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DAY_S = 86400, SOON_DAYS = 14, SOON_PART = 5, AGAIN_MS = 2000 };

/* --- validity -----------------------------------------------------------------------------------
 */

static void add(struct admin_certificates *out, const char *option, const char *file,
                const struct tls_validity *validity)
{
    struct admin_certificate *one = &out->of[out->count++];
    *one = (struct admin_certificate){.option = option, .validity = *validity};
    (void)snprintf(one->file, sizeof one->file, "%s", file);
}

void certificates_list(const struct session_settings *settings, const struct admin_settings *admin,
                       const struct uri *uri, struct admin_certificates *out)
{
    const struct config *config = settings->config;
    const struct tls_client_options *client = uri_tls(uri);
    struct tls_validity validity;
    out->count = 0;
    if (tls_context_validity(settings->server_tls, &validity))
        add(out, "tls.cert_file", config->tls.cert_file, &validity);
    if (admin != NULL && admin_settings_validity(admin, &validity))
        add(out, "admin.tls_cert_file", config->admin.tls_cert_file, &validity);
    if (client != NULL && client->certificate_key_file != NULL &&
        tls_context_validity(settings->upstream_tls, &validity))
        add(out, "upstream", client->certificate_key_file, &validity);
}

static void write_time(int64_t seconds, char *out, size_t size)
{
    struct tm utc;
    time_t time = (time_t)seconds;
    if (gmtime_r(&time, &utc) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        (void)snprintf(out, size, "%" PRId64 " s since 1970", seconds);
}

static void write_span(int64_t seconds, char *out, size_t size)
{
    if (seconds >= INT64_C(2) * DAY_S)
        (void)snprintf(out, size, "%" PRId64 " days", seconds / DAY_S);
    else
        (void)snprintf(out, size, "%" PRId64 " hours", seconds / 3600);
}

static bool is_soon(const struct tls_validity *validity, int64_t left_s)
{
    int64_t part_s = (validity->until_s - validity->from_s) / SOON_PART;
    return left_s < (int64_t)SOON_DAYS * DAY_S && left_s < part_s;
}

void certificates_each_warning(const struct admin_certificates *certificates, int64_t now_s,
                               void (*report)(void *arg, const struct admin_certificate *one,
                                              const char *warning),
                               void *arg)
{
    for (size_t i = 0; i < certificates->count; i++) {
        const struct admin_certificate *one = &certificates->of[i];
        int64_t left_s = one->validity.until_s - now_s;
        char warning[160];
        char when[48];
        char span[32];
        write_time(one->validity.until_s, when, sizeof when);
        if (left_s <= 0) {
            (void)snprintf(warning, sizeof warning, "the certificate expired at %s; renew it",
                           when);
        } else if (now_s < one->validity.from_s) {
            write_time(one->validity.from_s, when, sizeof when);
            (void)snprintf(warning, sizeof warning,
                           "the certificate is not valid before %s; check the clocks", when);
        } else if (is_soon(&one->validity, left_s)) {
            write_span(left_s, span, sizeof span);
            (void)snprintf(warning, sizeof warning,
                           "the certificate expires in %s, at %s; renew it", span, when);
        } else {
            continue;
        }
        report(arg, one, warning);
    }
}

struct warning_count {
    int64_t now_s;
    unsigned count;
};

static void count_warning(void *arg, const struct admin_certificate *one, const char *warning)
{
    struct warning_count *count = arg;
    (void)warning;
    count->count += one->validity.until_s <= count->now_s ? ADMIN_CERTIFICATES_MAX + 1 : 1;
}

unsigned certificates_count_warnings(const struct admin_certificates *certificates, int64_t now_s)
{
    struct warning_count count = {.now_s = now_s};
    certificates_each_warning(certificates, now_s, count_warning, &count);
    return count.count;
}

/* --- changes ------------------------------------------------------------------------------------
 */

static bool look(const char *path, struct stat *out)
{
    *out = (struct stat){0};
    return stat(path, out) == 0; /* follows links: Kubernetes replaces a link to a folder */
}

static void watch_file(struct certificate_watch *watch, const char *path)
{
    if (path == NULL || path[0] == 0 || watch->count == CERTIFICATE_FILES_MAX ||
        strlen(path) >= sizeof watch->files[0].path)
        return;
    (void)snprintf(watch->files[watch->count].path, sizeof watch->files[0].path, "%s", path);
    watch->files[watch->count].exists = look(path, &watch->files[watch->count].seen);
    watch->count++;
}

void certificate_watch_begin(struct certificate_watch *watch, const struct config *config,
                             const struct uri *uri)
{
    const struct tls_client_options *client = uri_tls(uri);
    *watch = (struct certificate_watch){0};
    if (config->tls.mode != CONFIG_TLS_OFF) {
        watch_file(watch, config->tls.cert_file);
        watch_file(watch, config->tls.key_file);
        watch_file(watch, config->tls.ca_file);
    }
    if (config->admin.listen.host[0] != 0) {
        watch_file(watch, config->admin.tls_cert_file);
        watch_file(watch, config->admin.tls_key_file);
        watch_file(watch, config->admin.token_file);
    }
    if (client != NULL) {
        watch_file(watch, client->ca_file);
        watch_file(watch, client->certificate_key_file);
        watch_file(watch, client->crl_file);
    }
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool certificate_watch_is_due(struct certificate_watch *watch, int64_t now_ms)
{
    bool changed = false;
    for (size_t i = 0; i < watch->count; i++) {
        struct stat now;
        bool exists = look(watch->files[i].path, &now);
        if (exists == watch->files[i].exists && is_same(&now, &watch->files[i].seen))
            continue;
        watch->files[i].exists = exists;
        watch->files[i].seen = now;
        changed = true;
    }
    if (changed) {
        watch->again_ms = now_ms + AGAIN_MS;
        watch->reported = false;
        watch->applied = false;
        return true;
    }
    if (watch->again_ms == 0 || now_ms < watch->again_ms)
        return false;
    watch->again_ms = 0;
    return true;
}

bool certificate_watch_note_applied(struct certificate_watch *watch)
{
    bool first = !watch->applied;
    watch->applied = true;
    return first;
}

bool certificate_watch_should_report(struct certificate_watch *watch)
{
    bool first = watch->again_ms == 0 && !watch->reported;
    watch->reported = watch->reported || first;
    return first;
}
