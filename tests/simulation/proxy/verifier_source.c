/* credentials/verifier_source.h, told by the simulated cluster: as a file that holds all users and
 * is followed, or as the upstream that is asked. */
#include "credentials/verifier_source.h"

#include <stdio.h>
#include <string.h>

#include "../net/process.h"
#include "application.h"
#include "base/clock.h"
#include "base/memory.h"
#include "parts.h"

enum { FOLLOW_US = 1000000, NAMES_MAX = 100, AWAY_US_MAX = 20000000 };

struct verifier_source {
    struct verifiers *verifiers;
    struct timer *work;
    struct stream stream;
    bool follows_file;
    bool stopped;
    struct stream away_stream;
    unsigned away_per_mille; /* of the readings that begin a time without answers */
    int64_t away_until_us;   /* of the world */
    void (*answered)(void *arg);
    void *arg;
    struct verifiers_name names[NAMES_MAX];
};

static struct cluster *the_cluster;
static const struct plan *the_plan;

void verifier_source_set_cluster(struct cluster *cluster, const struct plan *plan)
{
    the_cluster = cluster;
    the_plan = plan;
}

static void ignore(void *arg)
{
    (void)arg;
}

/* False: the servers have no such user. */
static bool read_keys(unsigned user, enum scram_hash hash, struct scram_keys *out)
{
    struct cluster_user_keys keys;
    if (!cluster_user_keys(the_cluster, user, hash == SCRAM_SHA_256, &keys))
        return false;
    *out = (struct scram_keys){
        .hash = hash, .iterations = keys.iterations, .salt_bytes = (uint8_t)keys.salt_len};
    memcpy(out->salt, keys.salt, keys.salt_len);
    memcpy(out->stored_key, keys.stored_key, keys.key_len);
    memcpy(out->server_key, keys.server_key, keys.key_len);
    return true;
}

static bool store(struct verifier_source *source, const char *name, const char *database,
                  int64_t read_us)
{
    struct bytes user = bytes_of(name, strlen(name));
    struct bytes of = bytes_of(database, strlen(database));
    unsigned number = 0;
    struct verifier_user found = {.user = user, .database = of};
    bool known = sscanf(name, APPLICATION_USER_FORMAT, &number) == 1 &&
                 strcmp(database, APPLICATION_USER_DATABASE) == 0;
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++)
        found.has[hash] = known && read_keys(number, hash, &found.keys[hash]);
    known = known && (found.has[SCRAM_SHA_1] || found.has[SCRAM_SHA_256]);
    return verifiers_store(source->verifiers, user, of, known ? &found : NULL, read_us);
}

/* False: without memory the users that it did not reach stay as they were. */
static bool read_all(struct verifier_source *source)
{
    int64_t read_us = clock_now_us();
    bool all = true;
    for (unsigned user = 1; user <= the_plan->users; user++) {
        char name[32];
        struct scram_keys keys;
        (void)snprintf(name, sizeof name, APPLICATION_USER_FORMAT, user);
        if (read_keys(user, SCRAM_SHA_256, &keys))
            all = store(source, name, APPLICATION_USER_DATABASE, read_us) && all;
    }
    if (all)
        verifiers_drop_before(source->verifiers, read_us);
    return all;
}

static void work(void *arg)
{
    struct verifier_source *source = arg;
    source->work = NULL;
    if (source->follows_file) {
        (void)read_all(source);
        source->work = world_after(the_process->world, FOLLOW_US, work, source);
        return;
    }
    int64_t read_us = clock_now_us();
    size_t count = verifiers_take_wanted(source->verifiers, source->names, NAMES_MAX);
    int64_t now_us = world_now_us(the_process->world);
    bool away = stream_chance(&source->stream, 50) ||
                stream_chance(&source->away_stream, source->away_per_mille);
    if (away && now_us >= source->away_until_us)
        source->away_until_us = now_us + stream_skewed(&source->away_stream, 1, AWAY_US_MAX);
    away = now_us < source->away_until_us;
    for (size_t i = 0; i < count; i++) {
        const struct verifiers_name *name = &source->names[i];
        if (away)
            verifiers_fail(source->verifiers, bytes_of(name->user, strlen(name->user)),
                           bytes_of(name->database, strlen(name->database)), read_us);
        else
            (void)store(source, name->user, name->database, read_us);
    }
    source->answered(source->arg);
}

static void ask(void *arg)
{
    struct verifier_source *source = arg;
    if (source->work == NULL && !source->stopped)
        source->work = world_after(the_process->world, stream_skewed(&source->stream, 200, 200000),
                                   work, source);
}

struct verifier_source *verifier_source_start(const struct verifier_source_settings *settings,
                                              struct error *err)
{
    struct verifier_source *source = memory_zalloc(sizeof *source);
    if (source == NULL) {
        (void)error_no_memory(err, "the verifiers");
        return NULL;
    }
    source->answered = settings->answered != NULL ? settings->answered : ignore;
    source->arg = settings->arg;
    source->follows_file = settings->file != NULL;
    source->stream = stream_make(world_seed(the_process->world), "verifiers", the_process->number);
    source->away_stream =
        stream_make(world_seed(the_process->world), "verifiers away", the_process->number);
    source->away_per_mille = stream_chance(&source->away_stream, 300) ? 500 : 0;
    struct verifiers_settings known = {.complete = source->follows_file,
                                       .max_age_us = settings->max_age_ms * 1000,
                                       .away_use_us = settings->away_use_ms * 1000,
                                       .ask = ask,
                                       .arg = source};
    source->verifiers = verifiers_new(&known);
    if (source->verifiers == NULL) {
        memory_free(source);
        (void)error_no_memory(err, "the verifiers");
        return NULL;
    }
    static const uint8_t secret[16] = {1};
    verifiers_set_secret(source->verifiers, bytes_of(secret, sizeof secret));
    if (source->follows_file && !read_all(source)) {
        verifier_source_free(source);
        (void)error_no_memory(err, "the verifiers");
        return NULL;
    }
    if (source->follows_file)
        work(source);
    return source;
}

struct verifiers *verifier_source_verifiers(const struct verifier_source *source)
{
    return source->verifiers;
}

void verifier_source_stop(struct verifier_source *source)
{
    if (source == NULL)
        return;
    source->stopped = true;
    world_cancel(the_process->world, source->work);
    source->work = NULL;
}

void verifier_source_free(struct verifier_source *source)
{
    if (source == NULL)
        return;
    verifiers_free(source->verifiers);
    memory_free(source);
}

bool verifier_source_check(const struct verifier_source_settings *settings, bool *away,
                           struct error *err)
{
    (void)settings;
    (void)err;
    *away = false;
    return true;
}
