#include "credentials/verifier_source.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/locked_memory.h"
#include "base/log.h"
#include "base/memory.h"
#include "credentials/verifier_reading.h"
#include "upstream/reading_client.h"
#include "upstream/uri.h"

enum {
    FOLLOW_MS = 1000, /* between two looks at the file */
    PAUSE_MS = 250    /* after a failed reading */
};

/* One state of the file. */
struct file_state {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct verifier_source {
    struct verifiers *verifiers;
    void (*answered)(void *arg);
    void *arg;
    mongoc_client_t *client; /* owned by the thread; NULL: it follows a file */
    char *file;
    struct file_state state;
    struct verifiers_name *names; /* VERIFIER_READING_MAX */
    bool probed;                  /* the account may read users */
    bool failing;                 /* the log says so */
    bool memory_told;             /* the log says that keys are not locked */
    bool has_thread;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t wake;
    bool asked;
    bool stopping;
};

static void ask(void *arg)
{
    struct verifier_source *source = arg;
    pthread_mutex_lock(&source->lock);
    source->asked = true;
    pthread_cond_signal(&source->wake);
    pthread_mutex_unlock(&source->lock);
}

/* --- readings --- */

static void note_failure(struct verifier_source *source, const struct error *err)
{
    if (!source->failing)
        LOG_W(LOG_ACCESS, 2011, "verifiers",
              "Cannot read users' verifiers: known ones serve for a while, other logins go to the "
              "server",
              LOG_STR("error", err->message));
    source->failing = true;
}

static void note_success(struct verifier_source *source)
{
    if (source->failing)
        LOG_I(LOG_ACCESS, 2012, "verifiers", "Users' verifiers can be read again");
    source->failing = false;
}

/* Invented users have random salts until the account or the file gives a secret. */
static bool set_random_secret(struct verifiers *verifiers, struct error *err)
{
    uint8_t random[32];
    if (RAND_bytes(random, sizeof random) != 1)
        return error_set(err, ERROR_INTERNAL, "OpenSSL gives no random bytes");
    verifiers_set_secret(verifiers, bytes_of(random, sizeof random));
    explicit_bzero(random, sizeof random);
    return true;
}

static void tell_secret(bool has_secret)
{
    if (!has_secret)
        LOG_I(LOG_ACCESS, 2013, "verifiers",
              "The salts of users that do not exist change with each start: the account in "
              "upstream has no userId, or the file has no secret");
}

static void tell_memory(struct verifier_source *source)
{
    int fault = locked_memory_fault();
    if (fault == 0 || source->memory_told)
        return;
    source->memory_told = true;
    LOG_W(LOG_ACCESS, 2014, "verifiers",
          "Keys may be written to swap: the system locks no more memory for this process. Raise "
          "its limit (ulimit -l, LimitMEMLOCK of systemd), or use no swap",
          LOG_STR("error", strerror(fault)));
}

static enum reading_result probe(struct verifier_source *source, struct error *err)
{
    bool has_secret = false;
    enum reading_result result =
        verifier_reading_probe(&source->client, source->verifiers, &has_secret, err);
    source->probed = result == READING_DONE;
    if (source->probed)
        tell_secret(has_secret);
    return result;
}

static struct bytes text_of(const char *text)
{
    return bytes_of(text, strlen(text));
}

static void fail_all(struct verifier_source *source, size_t count)
{
    for (size_t i = 0; i < count; i++)
        verifiers_fail(source->verifiers, text_of(source->names[i].user),
                       text_of(source->names[i].database), clock_now_us());
}

/* False if the upstream is away. *more: others may be wanted. */
static bool read_wanted(struct verifier_source *source, bool *more)
{
    struct error err = {0};
    size_t count = verifiers_take_wanted(source->verifiers, source->names, VERIFIER_READING_MAX);
    bool ok = source->probed || count == 0 || probe(source, &err) == READING_DONE;
    *more = count == VERIFIER_READING_MAX;
    if (count == 0)
        return true;
    enum reading_result result = READING_AWAY;
    if (ok)
        result =
            verifier_reading_users(&source->client, source->verifiers, source->names, count, &err);
    else
        fail_all(source, count);
    if (result == READING_DONE)
        note_success(source);
    else
        note_failure(source, &err);
    tell_memory(source);
    source->answered(source->arg);
    return result == READING_DONE || result == READING_DENIED;
}

static struct file_state look_at(const char *path)
{
    struct stat stat_now;
    if (stat(path, &stat_now) != 0)
        return (struct file_state){0};
    return (struct file_state){.device = stat_now.st_dev,
                               .inode = stat_now.st_ino,
                               .size = stat_now.st_size,
                               .changed = stat_now.st_mtim};
}

static bool is_same_state(const struct file_state *a, const struct file_state *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool read_file_now(struct verifier_source *source, struct error *err)
{
    bool has_secret = false;
    source->state = look_at(source->file);
    if (!verifier_reading_file(source->file, source->verifiers, &has_secret, err)) {
        if (err->code == ERROR_EXCEEDED_MEMORY_LIMIT)
            source->state = (struct file_state){0}; /* it is read again */
        return false;
    }
    if (!source->has_thread)
        tell_secret(has_secret);
    tell_memory(source);
    return true;
}

static void follow_file(struct verifier_source *source)
{
    struct error err;
    struct file_state now = look_at(source->file);
    if (is_same_state(&now, &source->state))
        return;
    if (read_file_now(source, &err))
        LOG_I(LOG_ACCESS, 2015, "verifiers", "The changed file of verifiers is in force",
              LOG_STR("file", source->file));
    else
        LOG_W(LOG_ACCESS, 2016, "verifiers",
              "The changed file of verifiers has an error: the old one stays in force",
              LOG_STR("error", err.message));
}

/* --- the thread --- */

/* Holds the lock. */
static void wait_for_work(struct verifier_source *source, int64_t ms, bool for_questions)
{
    struct timespec until = clock_deadline(ms);
    while (!(for_questions && source->asked) && !source->stopping &&
           pthread_cond_timedwait(&source->wake, &source->lock, &until) == 0) {
    }
}

static void *run(void *arg)
{
    struct verifier_source *source = arg;
    pthread_mutex_lock(&source->lock);
    while (!source->stopping) {
        bool ok = true;
        bool more = false;
        source->asked = false;
        pthread_mutex_unlock(&source->lock);
        if (source->client == NULL)
            follow_file(source);
        else
            ok = read_wanted(source, &more);
        pthread_mutex_lock(&source->lock);
        if (!ok)
            wait_for_work(source, PAUSE_MS, false);
        else if (!more)
            wait_for_work(source, FOLLOW_MS, true);
    }
    pthread_mutex_unlock(&source->lock);
    return NULL;
}

/* --- the beginning and the end --- */

void verifier_source_free(struct verifier_source *source)
{
    if (source == NULL)
        return;
    if (source->client != NULL)
        mongoc_client_destroy(source->client);
    verifiers_free(source->verifiers);
    pthread_cond_destroy(&source->wake);
    pthread_mutex_destroy(&source->lock);
    memory_free(source->names);
    memory_free(source->file);
    memory_free(source);
}

static void ignore(void *arg)
{
    (void)arg;
}

/* Sends nothing yet. */
static bool connect_upstream(struct verifier_source *source, const struct uri *upstream,
                             struct error *err)
{
    source->client = reading_client_new(upstream, "users", err);
    return source->client != NULL;
}

static struct verifier_source *create(const struct verifier_source_settings *settings,
                                      struct error *err)
{
    struct verifier_source *source = memory_zalloc(sizeof *source);
    if (source == NULL) {
        (void)error_no_memory(err, "the verifiers");
        return NULL;
    }
    struct verifiers_settings known = {.complete = settings->file != NULL,
                                       .max_age_us = settings->max_age_ms * 1000,
                                       .away_use_us = settings->away_use_ms * 1000,
                                       .ask = ask,
                                       .arg = source};
    source->answered = settings->answered != NULL ? settings->answered : ignore;
    source->arg = settings->arg;
    pthread_mutex_init(&source->lock, NULL);
    clock_init_condition(&source->wake);
    source->verifiers = verifiers_new(&known);
    source->names = memory_array(VERIFIER_READING_MAX, sizeof *source->names);
    source->file = settings->file != NULL ? memory_copy_string(settings->file) : NULL;
    bool have = source->verifiers != NULL && source->names != NULL &&
                (source->file != NULL) == (settings->file != NULL);
    if (!have)
        (void)error_no_memory(err, "the verifiers");
    if (have && set_random_secret(source->verifiers, err) &&
        (settings->file != NULL || connect_upstream(source, settings->upstream, err)))
        return source;
    verifier_source_free(source);
    return NULL;
}

/* The first reading. False: the proxy must not start. *away: the upstream does not answer. */
static bool read_first(struct verifier_source *source, bool *away, struct error *err)
{
    *away = false;
    if (source->client == NULL)
        return read_file_now(source, err);
    enum reading_result result = probe(source, err);
    *away = result == READING_AWAY;
    return result == READING_DONE || *away;
}

static bool check_account(const struct verifier_source_settings *settings, struct error *err)
{
    return settings->file != NULL || uri_has_account(settings->upstream) ||
           error_set(err, ERROR_BAD_VALUE,
                     "auth.verifiers: upstream names no account. Give it one that may read users "
                     "(the action viewUser on all databases), or name a file of verifiers");
}

struct verifier_source *verifier_source_start(const struct verifier_source_settings *settings,
                                              struct error *err)
{
    bool away = false;
    struct verifier_source *source = check_account(settings, err) ? create(settings, err) : NULL;
    if (source == NULL)
        return NULL;
    if (read_first(source, &away, err)) {
        if (away)
            note_failure(source, err);
        source->has_thread = true;
        if (pthread_create(&source->thread, NULL, run, source) == 0)
            return source;
        (void)error_set(err, ERROR_INTERNAL, "cannot start a thread for reading verifiers");
    }
    verifier_source_free(source);
    return NULL;
}

bool verifier_source_check(const struct verifier_source_settings *settings, bool *away,
                           struct error *err)
{
    *away = false;
    struct verifier_source *source = check_account(settings, err) ? create(settings, err) : NULL;
    bool ok = source != NULL && read_first(source, away, err);
    verifier_source_free(source);
    return ok;
}

struct verifiers *verifier_source_verifiers(const struct verifier_source *source)
{
    return source->verifiers;
}

void verifier_source_stop(struct verifier_source *source)
{
    if (source == NULL)
        return;
    pthread_mutex_lock(&source->lock);
    source->stopping = true;
    pthread_cond_signal(&source->wake);
    pthread_mutex_unlock(&source->lock);
    pthread_join(source->thread, NULL);
}
