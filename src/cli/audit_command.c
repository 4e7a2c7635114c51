/* mongosluice audit: checks stored documents against schemas. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit/audit_pace.h"
#include "audit/audit_read.h"
#include "audit/audit_resume.h"
#include "base/clock.h"
#include "base/memory.h"
#include "cli/audit_report.h"
#include "cli/audit_schemas.h"
#include "cli/subcommands.h"

enum { AUDIT_GOOD, AUDIT_BROKEN, AUDIT_FAILED };

enum {
    LOOK_EACH = 256, /* documents between two looks at the clock */
    SHOW_US = 500000,
    SAVE_US = 1000000,
    TRIES_MAX = 5,
    RETRY_US = 1000000
};

static const char usage[] =
    "usage: mongosluice audit --upstream URI (--schemas FOLDER | --registry DATABASE.COLLECTION)\n"
    "Reads stored collections, checks each document and prints how many documents break their\n"
    "schema, by namespace and reason, with the first _ids. Reads from a secondary if there is "
    "one.\n"
    "  --upstream URI         the deployment; default: environment variable MONGOSLUICE_UPSTREAM\n"
    "  --schemas FOLDER       the schema files, as for the proxy; or one file\n"
    "  --registry NS          the schemas of a registry in the same deployment\n"
    "  --namespace NS         only this namespace; may be given several times\n"
    "  --sample N             N random documents of each collection\n"
    "  --rate N               at most N documents a second\n"
    "  --resume FILE          records its position in FILE, and continues from there\n"
    "  --candidate            checks against the candidates; skips files without one\n"
    "  --propose              prints the tightest bounds that all documents satisfy\n"
    "  --read-alone           reads without checking, to compare the speed\n"
    "  --json                 prints one JSON object at the end\n"
    "Exit codes: 0 no document breaks its schema, 1 some do, 2 wrong usage or a collection that\n"
    "cannot be read.\n";

struct audit_run {
    const char *upstream, *schemas, *registry, *resume_file;
    const char **namespaces; /* owned */
    size_t namespace_count;
    int64_t sample, rate;
    bool candidate, propose, read_alone, as_json;
    bool terminal; /* progress is shown */
    struct audit_reader *reader;
    struct audit_resume *resume; /* NULL: none */
    struct schema_scratch *scratch;
    struct audit_schema_list list;
    struct json json;
    struct text out;
    uint64_t documents, broken;
    unsigned errors;
};

/* One namespace. */
struct audit_job {
    struct audit_run *run;
    const char *ns;
    struct audit_count count;
    struct audit_schemas schemas;
    struct audit_bounds *bounds;
    char fingerprint[SCHEMA_VERSIONS_MAX * 17 + 1];
    uint8_t last_kind;
    uint8_t *last; /* owned */
    size_t last_len, last_room;
    struct audit_pace pace;
    uint64_t total, before; /* documents, about; and those counted by an earlier run */
    int64_t begun_us, shown_us, saved_us;
    struct error err;
};

/* --- progress --- */

static void show(struct audit_job *job, int64_t now_us)
{
    struct text line = text_growing();
    if (!job->run->terminal || now_us - job->shown_us < SHOW_US)
        return;
    job->shown_us = now_us;
    text_add(&line, "\r\033[K");
    audit_report_progress(job->ns, job->count.documents, job->total,
                          (double)(now_us - job->begun_us) / 1e6, job->before, &line);
    (void)fputs(line.data == NULL ? "" : line.data, stderr);
    text_release(&line);
}

static void clear_line(const struct audit_run *run)
{
    if (run->terminal)
        (void)fputs("\r\033[K", stderr);
}

static struct bytes last_id(const struct audit_job *job)
{
    return job->last == NULL ? (struct bytes){0} : bytes_of(job->last, job->last_len);
}

static bool save(struct audit_job *job, bool done)
{
    struct audit_progress progress = {&job->count, job->last_kind, last_id(job), done};
    return job->run->resume == NULL || job->last_kind == 0 ||
           audit_resume_save(job->run->resume, job->ns, job->fingerprint, &progress, &job->err);
}

/* --- documents --- */

static bool remember_id(struct audit_job *job, struct bytes document)
{
    struct scan_element id;
    if (!scan_find(document, "_id", &id))
        return error_set(&job->err, ERROR_BAD_VALUE,
                         "a document has no _id, so --resume cannot continue from it");
    size_t len = bytes_left(&id.value);
    if (len > job->last_room) {
        uint8_t *bigger = memory_resize(job->last, len + 64);
        if (bigger == NULL)
            return error_no_memory(&job->err, "an _id");
        job->last = bigger;
        job->last_room = len + 64;
    }
    if (len > 0)
        memcpy(job->last, id.value.pos, len);
    job->last_len = len;
    job->last_kind = id.kind;
    return true;
}

static void wait_us(int64_t us)
{
    const struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    if (us > 0)
        (void)nanosleep(&pause, NULL);
}

static bool take_document(void *arg, struct bytes document)
{
    struct audit_job *job = arg;
    struct audit_run *run = job->run;
    if (run->read_alone)
        job->count.documents++;
    else if (!audit_count_document(&job->count, &job->schemas, run->scratch, document, &job->err) &&
             job->err.code != ERROR_NONE)
        return false;
    if (job->bounds != NULL)
        audit_bounds_add(job->bounds, document);
    if (run->resume != NULL && !remember_id(job, document))
        return false;
    if (run->rate == 0 && job->count.documents % LOOK_EACH != 0)
        return true;
    int64_t now_us = clock_now_us();
    show(job, now_us);
    if (run->resume != NULL && now_us - job->saved_us >= SAVE_US) {
        job->saved_us = now_us;
        if (!save(job, false))
            return false;
    }
    wait_us(audit_pace_next(&job->pace, now_us));
    return true;
}

/* If the connection is lost, a scan in the order of _id continues after the last document. */
static bool read_all(struct audit_job *job)
{
    struct audit_run *run = job->run;
    for (unsigned tries = 0;;) {
        uint64_t before = job->count.documents;
        struct audit_scan scan = {.ns = job->ns,
                                  .by_id = run->resume != NULL,
                                  .after_kind = job->last_kind,
                                  .after = last_id(job),
                                  .sample = run->sample,
                                  .batch = audit_pace_batch(run->rate)};
        bool lost = false;
        struct error err = {0};
        if (audit_reader_scan(run->reader, &scan, take_document, job, &lost, &err))
            return job->err.code == ERROR_NONE;
        tries = job->count.documents > before ? 1 : tries + 1;
        if (!lost || run->resume == NULL || tries >= TRIES_MAX) {
            job->err = err;
            (void)save(job, false);
            job->err = err;
            return false;
        }
        clear_line(run);
        (void)fprintf(stderr, "mongosluice audit: %s; reconnecting\n", err.message);
        wait_us(RETRY_US);
    }
}

/* --- one namespace --- */

/* Selects the accepted versions, or the candidate. False if there is no candidate. */
static bool choose_schemas(struct audit_job *job, const struct schema_file *file)
{
    uint32_t accepted =
        schema_versions_accepted(file->versions, file->version_count, clock_wall_ms());
    size_t at = 0;
    if (job->run->candidate) {
        job->schemas.schemas[job->schemas.count++] = file->candidate.schema;
        (void)snprintf(job->fingerprint, sizeof job->fingerprint, "%.16s", file->candidate.hash);
        return file->candidate.schema != NULL;
    }
    for (size_t i = 0; i < file->version_count; i++) {
        if ((accepted >> i & 1) == 0)
            continue;
        job->schemas.schemas[job->schemas.count++] = file->versions[i].schema;
        at += (size_t)snprintf(job->fingerprint + at, sizeof job->fingerprint - at, "%.16s ",
                               file->versions[i].hash);
    }
    return true;
}

static bool find_progress(struct audit_job *job, bool *done)
{
    struct audit_progress progress = {.count = &job->count};
    *done = false;
    if (job->run->resume == NULL)
        return true;
    if (!audit_resume_find(job->run->resume, job->ns, job->fingerprint, &progress, &job->err))
        return false;
    if (progress.last_kind == 0)
        return true;
    size_t len = bytes_left(&progress.last);
    job->last = memory_alloc(len + 64);
    if (job->last == NULL)
        return error_no_memory(&job->err, "an _id");
    if (len > 0)
        memcpy(job->last, progress.last.pos, len);
    job->last_len = len;
    job->last_room = len + 64;
    job->last_kind = progress.last_kind;
    job->before = job->count.documents;
    *done = progress.done;
    return true;
}

/* True if there is a collection to read. *note: the reason, if there is none and that is no error.
 */
static bool can_read(struct audit_job *job, const char **note)
{
    enum audit_kind kind = AUDIT_COLLECTION;
    if (!audit_reader_look(job->run->reader, job->ns, &kind, &job->total, &job->err))
        return false;
    if (kind == AUDIT_VIEW)
        return error_set(
            &job->err, ERROR_OPTION_NOT_SUPPORTED_ON_VIEW,
            "it is a view, whose documents are those of another collection: audit that "
            "one");
    if (kind == AUDIT_TIME_SERIES && job->run->resume != NULL)
        return error_set(&job->err, ERROR_BAD_VALUE,
                         "it is a time series, which has no order of _id: leave out --resume");
    if (kind == AUDIT_MISSING)
        *note = "the collection does not exist";
    if (job->run->sample > 0 && job->total > (uint64_t)job->run->sample)
        job->total = (uint64_t)job->run->sample;
    return kind != AUDIT_MISSING;
}

static bool read_namespace(struct audit_job *job, const char **note)
{
    bool done = false;
    if (!can_read(job, note))
        return *note != NULL;
    if (!find_progress(job, &done))
        return false;
    if (done) {
        *note = "counted by an earlier run";
        return true;
    }
    if (job->run->propose && (job->bounds = audit_bounds_new(job->schemas.schemas[0])) == NULL)
        return error_no_memory(&job->err, "the proposals");
    job->begun_us = job->saved_us = job->shown_us = clock_now_us();
    job->pace.rate = job->run->rate;
    return read_all(job) && save(job, true);
}

static void report(struct audit_run *run, const struct audit_result *result)
{
    struct text out = text_growing();
    clear_line(run);
    if (run->as_json) {
        audit_report_json(result, &run->json);
        return;
    }
    audit_report_text(result, &out);
    (void)fputs(out.data == NULL ? "" : out.data, stdout);
    (void)fflush(stdout);
    text_release(&out);
}

static void audit_namespace(struct audit_run *run, const struct audit_schema *schema)
{
    struct audit_job *job = memory_zalloc(sizeof *job);
    const char *note = NULL;
    if (job == NULL) {
        run->errors++;
        return;
    }
    job->run = run;
    job->ns = schema->file.ns;
    int64_t begun_us = clock_now_us();
    if (choose_schemas(job, &schema->file)) {
        bool ok = read_namespace(job, &note);
        audit_count_sort(&job->count);
        report(run, &(struct audit_result){job->ns, &job->count, job->bounds,
                                           (double)(clock_now_us() - begun_us) / 1e6, note,
                                           ok ? NULL : job->err.message});
        run->documents += job->count.documents;
        run->broken += job->count.broken;
        run->errors += !ok;
    }
    audit_bounds_free(job->bounds);
    audit_count_release(&job->count);
    memory_free(job->last);
    memory_free(job);
}

/* --- the whole --- */

static bool is_wanted(const struct audit_run *run, const char *ns)
{
    for (size_t i = 0; i < run->namespace_count; i++)
        if (strcmp(run->namespaces[i], ns) == 0)
            return true;
    return run->namespace_count == 0;
}

/* Each --namespace needs a schema; with --candidate, one schema needs a candidate. */
static bool check_namespaces(const struct audit_run *run, struct error *err)
{
    bool candidates = false;
    for (size_t i = 0; i < run->namespace_count; i++) {
        bool known = false;
        for (size_t j = 0; j < run->list.count && !known; j++)
            known = strcmp(run->list.of[j].file.ns, run->namespaces[i]) == 0;
        if (!known)
            return error_set(err, ERROR_INVALID_NAMESPACE,
                             "no schema has the namespace %.150s; the first of %zu has %.150s",
                             run->namespaces[i], run->list.count, run->list.of[0].file.ns);
    }
    for (size_t j = 0; j < run->list.count; j++)
        candidates = candidates || (is_wanted(run, run->list.of[j].file.ns) &&
                                    run->list.of[j].file.candidate.schema != NULL);
    return candidates || !run->candidate ||
           error_set(err, ERROR_BAD_VALUE, "no schema has a candidate: leave out --candidate");
}

static bool begin(struct audit_run *run, struct error *err)
{
    struct uri *uri = uri_parse(run->upstream, err);
    if (uri == NULL)
        return false;
    bool ok = run->schemas != NULL ? audit_schemas_of_folder(run->schemas, &run->list, err)
                                   : audit_schemas_of_registry(uri, run->registry, &run->list, err);
    ok = ok && check_namespaces(run, err);
    if (ok && run->resume_file != NULL)
        ok = (run->resume = audit_resume_open(run->resume_file, err)) != NULL;
    ok = ok && (run->reader = audit_reader_open(uri, err)) != NULL;
    if (ok && (run->scratch = schema_scratch_new()) == NULL)
        ok = error_no_memory(err, "the audit");
    uri_free(uri);
    return ok;
}

static void print_end(struct audit_run *run)
{
    if (!run->as_json) {
        (void)printf("%llu documents, %llu break their schema%s\n",
                     (unsigned long long)run->documents, (unsigned long long)run->broken,
                     run->errors > 0 ? "; some collections could not be read" : "");
        return;
    }
    json_close_array(&run->json);
    json_add_uint(&run->json, "documents", run->documents);
    json_add_uint(&run->json, "broken", run->broken);
    json_add_uint(&run->json, "errors", run->errors);
    json_close_object(&run->json);
    (void)printf("%s\n", run->out.data == NULL ? "" : run->out.data);
}

static int audit(struct audit_run *run)
{
    struct error err = {0};
    run->out = text_growing();
    run->json = json_over(&run->out);
    run->terminal = isatty(STDERR_FILENO) == 1;
    bool ok = begin(run, &err);
    if (!ok) {
        (void)fprintf(stderr, "mongosluice audit: %s\n", err.message);
    } else {
        json_open_object(&run->json, NULL);
        json_open_array(&run->json, "namespaces");
        for (size_t i = 0; i < run->list.count; i++)
            if (is_wanted(run, run->list.of[i].file.ns))
                audit_namespace(run, &run->list.of[i]);
        print_end(run);
        if (run->errors == 0 && run->resume != NULL)
            audit_resume_remove(run->resume);
    }
    audit_reader_close(run->reader);
    audit_resume_close(run->resume);
    schema_scratch_free(run->scratch);
    audit_schemas_release(&run->list);
    text_release(&run->out);
    return !ok || run->errors > 0 ? AUDIT_FAILED : run->broken > 0 ? AUDIT_BROKEN : AUDIT_GOOD;
}

/* --- arguments --- */

enum {
    UPSTREAM = 1,
    SCHEMAS,
    REGISTRY,
    NAMESPACE,
    SAMPLE,
    RATE,
    RESUME,
    CANDIDATE,
    PROPOSE,
    ALONE,
    JSON,
    HELP
};

static const struct option options[] = {{"upstream", required_argument, NULL, UPSTREAM},
                                        {"schemas", required_argument, NULL, SCHEMAS},
                                        {"registry", required_argument, NULL, REGISTRY},
                                        {"namespace", required_argument, NULL, NAMESPACE},
                                        {"sample", required_argument, NULL, SAMPLE},
                                        {"rate", required_argument, NULL, RATE},
                                        {"resume", required_argument, NULL, RESUME},
                                        {"candidate", no_argument, NULL, CANDIDATE},
                                        {"propose", no_argument, NULL, PROPOSE},
                                        {"read-alone", no_argument, NULL, ALONE},
                                        {"json", no_argument, NULL, JSON},
                                        {"help", no_argument, NULL, HELP},
                                        {NULL, 0, NULL, 0}};

static bool read_number(const char *name, const char *text, int64_t *out, struct error *err)
{
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return (end != text && *end == 0 && value >= 1 && value <= INT32_MAX) ||
           error_set(err, ERROR_BAD_VALUE, "--%s takes a number from 1 to %d, not '%.50s'", name,
                     INT32_MAX, text);
}

static bool read_option(struct audit_run *run, int option, struct error *err)
{
    switch (option) {
    case UPSTREAM:
        run->upstream = optarg;
        return true;
    case SCHEMAS:
        run->schemas = optarg;
        return true;
    case REGISTRY:
        run->registry = optarg;
        return true;
    case NAMESPACE:
        run->namespaces[run->namespace_count++] = optarg;
        return true;
    case SAMPLE:
        return read_number("sample", optarg, &run->sample, err);
    case RATE:
        return read_number("rate", optarg, &run->rate, err);
    case RESUME:
        run->resume_file = optarg;
        return true;
    case CANDIDATE:
        run->candidate = true;
        return true;
    case PROPOSE:
        run->propose = true;
        return true;
    case ALONE:
        run->read_alone = true;
        return true;
    default:
        run->as_json = true;
        return true;
    }
}

static bool check_arguments(const struct audit_run *run, struct error *err)
{
    const char *why = NULL;
    if (run->upstream == NULL)
        why = "name the deployment: --upstream URI, or the environment variable "
              "MONGOSLUICE_UPSTREAM";
    else if ((run->schemas == NULL) == (run->registry == NULL))
        why = "name the schemas: --schemas FOLDER, or --registry DATABASE.COLLECTION";
    else if (run->resume_file != NULL && (run->sample > 0 || run->propose))
        why = "--resume counts whole collections: leave out --sample and --propose";
    else if (run->read_alone && (run->propose || run->resume_file != NULL))
        why = "--read-alone checks no documents: leave out --propose and --resume";
    return why == NULL || error_set(err, ERROR_BAD_VALUE, "%s", why);
}

int command_audit(int argc, char **argv)
{
    struct audit_run run = {.upstream = getenv("MONGOSLUICE_UPSTREAM")};
    struct error err = {0};
    int option = 0;
    int code = AUDIT_FAILED;
    optind = 1;
    run.namespaces = memory_array((size_t)argc, sizeof *run.namespaces);
    bool ok = true;
    if (run.namespaces == NULL) {
        (void)fputs("mongosluice audit: out of memory\n", stderr);
        return AUDIT_FAILED;
    }
    while (ok && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?' || option == HELP) {
            (void)fputs(usage, option == HELP ? stdout : stderr);
            memory_free(run.namespaces);
            return option == HELP ? AUDIT_GOOD : AUDIT_FAILED;
        }
        ok = read_option(&run, option, &err);
    }
    if (ok && optind < argc)
        ok = error_set(&err, ERROR_BAD_VALUE, "unknown flag '%.100s'", argv[optind]);
    if (ok && check_arguments(&run, &err))
        code = audit(&run);
    else
        (void)fprintf(stderr, "mongosluice audit: %s\n%s", err.message, usage);
    memory_free(run.namespaces);
    return code;
}
