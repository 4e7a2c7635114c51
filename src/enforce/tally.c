#include "enforce/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

enum {
    INFO_BYTES = 2048, /* a larger errInfo is not kept */
    HASH_PART = 16,    /* hex digits of a version's hash in its key */
    KEY_BYTES = 512,
    RESERVE_NS = 200 * 1000 * 1000, /* saved time for explanations */
    EARN_PART = 64                  /* explanations get this fraction of the time of checks */
};

struct row {
    struct row *next;
    uint64_t hash;
    uint64_t count;
    const char *texts[4]; /* path, reason, application, driver: consecutive in `bytes` */
    size_t len;
    char bytes[];
};

struct kept_sample {
    int64_t at_ms;
    struct row *row; /* of the record; the row for it */
    uint8_t *info;
    size_t info_len;
};

/* The counts for one version of a namespace. */
struct record {
    UT_hash_handle hh;
    bool unhashed;
    uint64_t counts[TALLY_COUNTS];
    struct row *rows;
    size_t row_count;
    uint64_t other;
    struct kept_sample samples[TALLY_SAMPLES_KEPT];
    uint64_t sampled; /* in total */
    size_t key_len;
    char key[]; /* see make_key */
};

struct tally {
    pthread_mutex_t lock; /* guards the records */
    struct record *records;
    size_t bytes;    /* of rows and samples */
    int64_t time_ns; /* left for explanations; only the worker uses it */
};

struct tally *tally_new(void)
{
    struct tally *tally = memory_zalloc(sizeof *tally);
    if (tally == NULL)
        return NULL;
    if (pthread_mutex_init(&tally->lock, NULL) != 0) {
        memory_free(tally);
        return NULL;
    }
    tally->time_ns = RESERVE_NS;
    return tally;
}

static void free_record(struct tally *tally, struct record *record)
{
    for (size_t i = 0; i < TALLY_SAMPLES_KEPT; i++) {
        tally->bytes -= record->samples[i].info_len;
        memory_free(record->samples[i].info);
    }
    while (record->rows != NULL) {
        struct row *row = record->rows;
        record->rows = row->next;
        tally->bytes -= sizeof *row + row->len;
        memory_free(row);
    }
    memory_free(record);
}

void tally_free(struct tally *tally)
{
    struct record *record = NULL;
    struct record *next = NULL;
    if (tally == NULL)
        return;
    HASH_ITER(hh, tally->records, record, next)
    {
        HASH_DEL(tally->records, record);
        free_record(tally, record);
    }
    (void)pthread_mutex_destroy(&tally->lock);
    memory_free(tally);
}

/* --- records --- */

/* The dialect, the start of the hash, and the namespace. 0 if it does not fit. */
static size_t make_key(const struct registry_entry *entry, const struct schema_version *version,
                       char key[KEY_BYTES])
{
    size_t len = 1 + HASH_PART + entry->ns_len;
    if (len >= KEY_BYTES)
        return 0;
    key[0] = (char)('0' + (int)version->dialect);
    memcpy(key + 1, version->hash, HASH_PART);
    memcpy(key + 1 + HASH_PART, entry->file.ns, entry->ns_len);
    return len;
}

static struct record *find_record(const struct tally *tally, const struct registry_entry *entry,
                                  const struct schema_version *version)
{
    char key[KEY_BYTES];
    struct record *record = NULL;
    size_t len = make_key(entry, version, key);
    if (len > 0)
        HASH_FIND(hh, tally->records, key, len, record);
    return record;
}

/* Takes over the record. False when memory is out. The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static bool keep_record(struct tally *tally, struct record *record)
{
    HASH_ADD_KEYPTR(hh, tally->records, record->key, record->key_len, record);
    if (!record->unhashed)
        return true;
    memory_free(record);
    return false;
}

static struct record *take_record(struct tally *tally, const struct registry_entry *entry,
                                  const struct schema_version *version)
{
    char key[KEY_BYTES];
    struct record *record = find_record(tally, entry, version);
    if (record != NULL)
        return record;
    size_t len = make_key(entry, version, key);
    record = len == 0 ? NULL : memory_zalloc(sizeof *record + len);
    if (record == NULL)
        return NULL;
    memcpy(record->key, key, len);
    record->key_len = len;
    return keep_record(tally, record) ? record : NULL;
}

void tally_add(struct tally *tally, const struct registry_entry *entry,
               const struct schema_version *version, enum tally_count which, uint64_t n)
{
    if (n == 0)
        return;
    (void)pthread_mutex_lock(&tally->lock);
    struct record *record = take_record(tally, entry, version);
    if (record != NULL)
        record->counts[which] += n;
    (void)pthread_mutex_unlock(&tally->lock);
}

static bool is_version(const struct record *record, const struct schema_version *version)
{
    return version->schema != NULL && record->key[0] == (char)('0' + (int)version->dialect) &&
           memcmp(record->key + 1, version->hash, HASH_PART) == 0;
}

static bool is_there(const struct record *record, const struct registry *registry)
{
    size_t head = 1 + HASH_PART;
    const struct registry_entry *entry =
        registry_find(registry, record->key + head, record->key_len - head);
    if (entry == NULL)
        return false;
    for (size_t i = 0; i < entry->file.version_count; i++)
        if (is_version(record, &entry->file.versions[i]))
            return true;
    return is_version(record, &entry->file.candidate);
}

void tally_trim(struct tally *tally, const struct registry *registry)
{
    struct record *record = NULL;
    struct record *next = NULL;
    (void)pthread_mutex_lock(&tally->lock);
    HASH_ITER(hh, tally->records, record, next)
    {
        if (is_there(record, registry))
            continue;
        HASH_DEL(tally->records, record);
        free_record(tally, record);
    }
    (void)pthread_mutex_unlock(&tally->lock);
}

/* --- refusals --- */

static bool is_row(const struct row *row, uint64_t hash, const char *const texts[4])
{
    if (row->hash != hash)
        return false;
    for (size_t i = 0; i < 4; i++)
        if (strcmp(row->texts[i], texts[i]) != 0)
            return false;
    return true;
}

/* NULL: no room for a new one. */
static struct row *take_row(struct tally *tally, struct record *record, const char *const texts[4])
{
    size_t lens[4];
    size_t len = 0;
    uint64_t hash = 0;
    for (size_t i = 0; i < 4; i++) {
        lens[i] = strlen(texts[i]) + 1;
        len += lens[i];
        hash = hash * 31 + keyed_hash(texts[i], lens[i]);
    }
    for (struct row *row = record->rows; row != NULL; row = row->next)
        if (is_row(row, hash, texts))
            return row;
    struct row *row = NULL;
    if (record->row_count < TALLY_ROWS_MAX && tally->bytes + sizeof *row + len <= TALLY_BYTES_MAX)
        row = memory_alloc(sizeof *row + len);
    if (row == NULL)
        return NULL;
    *row = (struct row){.next = record->rows, .hash = hash, .len = len};
    size_t at = 0;
    for (size_t i = 0; i < 4; at += lens[i++]) {
        memcpy(row->bytes + at, texts[i], lens[i]);
        row->texts[i] = row->bytes + at;
    }
    record->rows = row;
    record->row_count++;
    tally->bytes += sizeof *row + len;
    return row;
}

static void keep_sample(struct tally *tally, struct record *record, struct row *row, int64_t at_ms,
                        struct bytes info)
{
    struct kept_sample *sample = &record->samples[record->sampled++ % TALLY_SAMPLES_KEPT];
    size_t len = bytes_left(&info);
    tally->bytes -= sample->info_len;
    memory_free(sample->info);
    *sample = (struct kept_sample){.at_ms = at_ms, .row = row};
    if (len == 0 || len > INFO_BYTES || tally->bytes + len > TALLY_BYTES_MAX)
        return;
    sample->info = memory_alloc(len);
    if (sample->info == NULL)
        return;
    memcpy(sample->info, info.pos, len);
    sample->info_len = len;
    tally->bytes += len;
}

/* NULL without a row for it. The record counts the refusals in any case. */
static struct row *count_refused(struct tally *tally, struct record *record,
                                 const struct tally_writer *writer,
                                 const struct tally_reason *reason, uint64_t n)
{
    const char *const texts[4] = {
        reason != NULL ? reason->path : "", reason != NULL ? reason->text : "",
        writer != NULL ? writer->application : "", writer != NULL ? writer->driver : ""};
    if (record == NULL)
        return NULL;
    struct row *row = take_row(tally, record, texts);
    record->counts[TALLY_REFUSED] += n;
    if (row != NULL)
        row->count += n;
    else
        record->other += n;
    return row;
}

void tally_refuse(struct tally *tally, const struct registry_entry *entry,
                  const struct schema_version *version, const struct tally_writer *writer,
                  const struct tally_reason *reason, int64_t at_ms, struct bytes info)
{
    (void)pthread_mutex_lock(&tally->lock);
    struct record *record = take_record(tally, entry, version);
    struct row *row = count_refused(tally, record, writer, reason, 1);
    if (row != NULL)
        keep_sample(tally, record, row, at_ms, info);
    (void)pthread_mutex_unlock(&tally->lock);
}

void tally_refuse_unexplained(struct tally *tally, const struct registry_entry *entry,
                              const struct schema_version *version,
                              const struct tally_writer *writer, uint64_t n)
{
    if (n == 0)
        return;
    (void)pthread_mutex_lock(&tally->lock);
    (void)count_refused(tally, take_record(tally, entry, version), writer, NULL, n);
    (void)pthread_mutex_unlock(&tally->lock);
}

/* --- time --- */

bool tally_may_explain(const struct tally *tally)
{
    return tally->time_ns > 0;
}

void tally_earn(struct tally *tally, uint64_t check_ns, uint64_t explain_ns)
{
    uint64_t earned = check_ns > explain_ns ? (check_ns - explain_ns) / EARN_PART : 0;
    uint64_t room = (uint64_t)(RESERVE_NS - tally->time_ns);
    tally->time_ns += (int64_t)(earned < room ? earned : room);
}

void tally_pay(struct tally *tally, uint64_t explain_ns)
{
    const int64_t most = RESERVE_NS; /* a jump of the clock does not stop explanations for long */
    tally->time_ns -= explain_ns < (uint64_t)most ? (int64_t)explain_ns : most;
    if (tally->time_ns < -most)
        tally->time_ns = -most;
}

/* --- reports --- */

static void copy_text(char *to, size_t size, const char *from)
{
    size_t len = strnlen(from, size - 1);
    memcpy(to, from, len);
    memset(to + len, 0, size - len); /* rows are compared as bytes */
}

static void copy_texts(const struct row *row, struct tally_reason *reason,
                       struct tally_client *client)
{
    copy_text(reason->path, sizeof reason->path, row->texts[0]);
    copy_text(reason->text, sizeof reason->text, row->texts[1]);
    copy_text(client->application, sizeof client->application, row->texts[2]);
    copy_text(client->driver, sizeof client->driver, row->texts[3]);
}

static bool make_room(struct tally_report *report, size_t more)
{
    if (report->row_room - report->row_count >= more)
        return true;
    size_t room = report->row_count + more;
    struct tally_row *rows = memory_resize(report->rows, room * sizeof *rows);
    if (rows == NULL)
        return false;
    report->rows = rows;
    report->row_room = room;
    return true;
}

/* Copies them unsorted, because the worker may be waiting. */
static void copy_rows(struct tally_report *report, const struct record *record)
{
    bool room = make_room(report, record->row_count);
    report->other += record->other;
    report->no_memory = report->no_memory || !room;
    for (const struct row *row = record->rows; row != NULL; row = row->next) {
        if (!room) {
            report->other += row->count;
            continue;
        }
        struct tally_row *copy = &report->rows[report->row_count++];
        copy_texts(row, &copy->reason, &copy->client);
        copy->count = row->count;
    }
}

static struct tally_row *find_equal(struct tally_report *report, size_t count,
                                    const struct tally_row *row)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&report->rows[i].reason, &row->reason, sizeof row->reason) == 0 &&
            memcmp(&report->rows[i].client, &row->client, sizeof row->client) == 0)
            return &report->rows[i];
    return NULL;
}

/* Adds the rows after the first `count` to those with equal fields. */
static void merge_rows(struct tally_report *report, size_t count)
{
    size_t end = report->row_count;
    report->row_count = count;
    for (size_t i = count; i < end; i++) {
        struct tally_row *same = find_equal(report, count, &report->rows[i]);
        if (same != NULL)
            same->count += report->rows[i].count;
        else
            report->rows[report->row_count++] = report->rows[i];
    }
}

static void report_sample(struct tally_report *report, const struct kept_sample *sample)
{
    size_t at = report->sample_count;
    if (at == TALLY_SAMPLES_KEPT) {
        if (report->samples[at - 1].at_ms >= sample->at_ms)
            return;
        memory_free(report->samples[--at].info);
    } else {
        report->sample_count++;
    }
    for (; at > 0 && report->samples[at - 1].at_ms < sample->at_ms; at--)
        report->samples[at] = report->samples[at - 1];
    struct tally_sample *place = &report->samples[at];
    *place = (struct tally_sample){.at_ms = sample->at_ms};
    copy_texts(sample->row, &place->reason, &place->client);
    if (sample->info_len == 0)
        return;
    place->info = memory_alloc(sample->info_len);
    if (place->info == NULL) {
        report->no_memory = true;
        return;
    }
    memcpy(place->info, sample->info, sample->info_len);
    place->info_len = sample->info_len;
}

void tally_report_add(struct tally_report *report, struct tally *tally,
                      const struct registry_entry *entry, const struct schema_version *version)
{
    size_t before = report->row_count;
    (void)pthread_mutex_lock(&tally->lock);
    const struct record *record = find_record(tally, entry, version);
    if (record != NULL) {
        for (size_t i = 0; i < TALLY_COUNTS; i++)
            report->counts[i] += record->counts[i];
        copy_rows(report, record);
        for (size_t i = 0; i < TALLY_SAMPLES_KEPT && i < record->sampled; i++)
            report_sample(report, &record->samples[i]);
    }
    (void)pthread_mutex_unlock(&tally->lock);
    merge_rows(report, before);
}

static int compare_rows(const void *a, const void *b)
{
    const struct tally_row *one = a;
    const struct tally_row *other = b;
    if (one->count != other->count)
        return one->count < other->count ? 1 : -1;
    int order = strcmp(one->reason.path, other->reason.path);
    return order != 0 ? order : strcmp(one->reason.text, other->reason.text);
}

void tally_report_finish(struct tally_report *report)
{
    if (report->row_count > 1)
        qsort(report->rows, report->row_count, sizeof *report->rows, compare_rows);
}

void tally_report_release(struct tally_report *report)
{
    for (size_t i = 0; i < report->sample_count; i++)
        memory_free(report->samples[i].info);
    memory_free(report->rows);
    *report = (struct tally_report){.rows = NULL};
}

void tally_sum(struct tally *tally, const struct registry_entry *entry,
               const struct schema_version *version, uint64_t counts[TALLY_COUNTS])
{
    (void)pthread_mutex_lock(&tally->lock);
    const struct record *record = find_record(tally, entry, version);
    for (size_t i = 0; record != NULL && i < TALLY_COUNTS; i++)
        counts[i] += record->counts[i];
    (void)pthread_mutex_unlock(&tally->lock);
}
