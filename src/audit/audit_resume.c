#include "audit/audit_resume.h"

#include <bson/bson.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "schema/file.h"

#define FORMAT_NAME "mongosluice_audit"
enum { FORMAT = 1 };

struct audit_resume {
    char *path;
    bson_t *namespaces; /* by name */
};

static bool bad_file(const struct audit_resume *resume, const char *what, struct error *err)
{
    return error_set(err, ERROR_FAILED_TO_PARSE,
                     "%.200s is not a resume file of an audit (%.150s): name another file, or "
                     "remove it to start again",
                     resume->path, what);
}

static bool find_document(const bson_t *in, const char *name, bson_t *out)
{
    bson_iter_t at;
    const uint8_t *data = NULL;
    uint32_t len = 0;
    if (!bson_iter_init_find(&at, in, name))
        return false;
    if (BSON_ITER_HOLDS_DOCUMENT(&at))
        bson_iter_document(&at, &len, &data);
    else if (BSON_ITER_HOLDS_ARRAY(&at))
        bson_iter_array(&at, &len, &data);
    return data != NULL && bson_init_static(out, data, len);
}

static int64_t find_number(const bson_t *in, const char *name)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, in, name) ? bson_iter_as_int64(&at) : 0;
}

static const char *find_string(const bson_t *in, const char *name)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, in, name) && BSON_ITER_HOLDS_UTF8(&at)
               ? bson_iter_utf8(&at, NULL)
               : "";
}

/* --- reading --- */

static bool load(struct audit_resume *resume, struct error *err)
{
    bson_error_t why;
    bson_t namespaces;
    size_t len = 0;
    if (access(resume->path, F_OK) != 0 && errno == ENOENT) {
        resume->namespaces = bson_new();
        return true;
    }
    char *text = schema_file_read(resume->path, &len, err);
    if (text == NULL)
        return false;
    bson_t *bson = bson_new_from_json((const uint8_t *)text, (ssize_t)len, &why);
    memory_free(text);
    bool ok = bson != NULL && find_number(bson, FORMAT_NAME) == FORMAT &&
              find_document(bson, "namespaces", &namespaces);
    if (ok)
        resume->namespaces = bson_copy(&namespaces);
    else
        (void)bad_file(resume, bson == NULL ? "it is not JSON" : "it has another form", err);
    bson_destroy(bson);
    return ok;
}

struct audit_resume *audit_resume_open(const char *path, struct error *err)
{
    struct audit_resume *resume = memory_zalloc(sizeof *resume);
    if (resume != NULL)
        resume->path = memory_copy_string(path);
    if (resume == NULL || resume->path == NULL) {
        audit_resume_close(resume);
        (void)error_no_memory(err, "the progress of the audit");
        return NULL;
    }
    if (load(resume, err))
        return resume;
    audit_resume_close(resume);
    return NULL;
}

void audit_resume_close(struct audit_resume *resume)
{
    if (resume == NULL)
        return;
    bson_destroy(resume->namespaces);
    memory_free(resume->path);
    memory_free(resume);
}

static bool read_reasons(const bson_t *entry, struct audit_count *count)
{
    bson_t list;
    bson_t one;
    bson_t ids;
    bson_iter_t at;
    const uint8_t *data = NULL;
    uint32_t len = 0;
    if (!find_document(entry, "reasons", &list) || !bson_iter_init(&at, &list))
        return false;
    while (bson_iter_next(&at)) {
        if (!BSON_ITER_HOLDS_DOCUMENT(&at))
            return false;
        bson_iter_document(&at, &len, &data);
        if (!bson_init_static(&one, data, len) || !find_document(&one, "ids", &ids) ||
            !audit_count_restore(count, find_string(&one, "path"), find_string(&one, "reason"),
                                 (uint64_t)find_number(&one, "count"),
                                 bytes_of(bson_get_data(&ids), ids.len)))
            return false;
    }
    return true;
}

bool audit_resume_find(const struct audit_resume *resume, const char *ns, const char *schemas,
                       struct audit_progress *progress, struct error *err)
{
    bson_t entry;
    struct scan_element id;
    if (!find_document(resume->namespaces, ns, &entry))
        return true;
    if (strcmp(find_string(&entry, "schemas"), schemas) != 0)
        return error_set(
            err, ERROR_BAD_VALUE,
            "%.200s has counts for %.150s from other schemas: remove the file to start again",
            resume->path, ns);
    if (!scan_find(bytes_of(bson_get_data(&entry), entry.len), "last_id", &id) ||
        find_number(&entry, "documents") <= 0 || !read_reasons(&entry, progress->count))
        return bad_file(resume, "last_id, documents or reasons have another form", err);
    progress->count->documents = (uint64_t)find_number(&entry, "documents");
    progress->count->broken = (uint64_t)find_number(&entry, "broken");
    progress->count->other = (uint64_t)find_number(&entry, "other");
    progress->last_kind = id.kind;
    progress->last = id.value;
    progress->done = find_number(&entry, "done") != 0;
    return true;
}

/* --- writing --- */

static void write_reason(struct build *build, const struct audit_reason *reason)
{
    struct scan scan;
    struct scan_element id;
    build_open_object(build, NULL);
    build_text(build, "path", reason->path);
    build_text(build, "reason", reason->text);
    build_int64(build, "count", (int64_t)reason->count);
    build_open_array(build, "ids");
    if (reason->ids != NULL && scan_open(&scan, bytes_of(reason->ids, reason->ids_len)))
        while (scan_next(&scan, &id))
            build_value(build, NULL, id.kind, id.value);
    build_close(build);
    build_close(build);
}

static bool write_entries(struct build *build, const struct audit_resume *resume, const char *ns,
                          const char *schemas, const struct audit_progress *progress,
                          struct bytes *out)
{
    struct scan scan;
    struct scan_element entry;
    build_begin(build, (size_t)1 << 28);
    (void)scan_open(&scan, bytes_of(bson_get_data(resume->namespaces), resume->namespaces->len));
    while (scan_next(&scan, &entry))
        if (!scan_name_is(&entry, ns))
            build_value(build, entry.name, entry.kind, entry.value);
    build_open_object(build, ns);
    build_text(build, "schemas", schemas);
    build_bool(build, "done", progress->done);
    build_value(build, "last_id", progress->last_kind, progress->last);
    build_int64(build, "documents", (int64_t)progress->count->documents);
    build_int64(build, "broken", (int64_t)progress->count->broken);
    build_int64(build, "other", (int64_t)progress->count->other);
    build_open_array(build, "reasons");
    for (size_t i = 0; i < progress->count->reason_count; i++)
        write_reason(build, &progress->count->reasons[i]);
    build_close(build);
    build_close(build);
    return build_finish(build, out);
}

static bool write_whole(int file, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t written = write(file, text, len);
        if (written <= 0)
            return false;
        text += written;
        len -= (size_t)written;
    }
    return true;
}

static bool write_file(const struct audit_resume *resume, const char *text, struct error *err)
{
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s.new", resume->path) >= (int)sizeof beside)
        return error_set(err, ERROR_BAD_VALUE, "the path %.200s is too long", resume->path);
    int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = file >= 0 && write_whole(file, text, strlen(text));
    ok = (file < 0 || close(file) == 0) && ok && rename(beside, resume->path) == 0;
    return ok || error_set(err, ERROR_BAD_VALUE,
                           "cannot write %.200s: %s; the audit cannot continue from it",
                           resume->path, strerror(errno));
}

bool audit_resume_save(struct audit_resume *resume, const char *ns, const char *schemas,
                       const struct audit_progress *progress, struct error *err)
{
    struct build build;
    struct bytes entries;
    bson_t all = BSON_INITIALIZER;
    char *text = NULL;
    bson_t *now = NULL;
    if (write_entries(&build, resume, ns, schemas, progress, &entries))
        now = bson_new_from_data(entries.pos, bytes_left(&entries));
    build_free(&build);
    if (now != NULL) {
        bson_destroy(resume->namespaces);
        resume->namespaces = now;
        BSON_APPEND_INT32(&all, FORMAT_NAME, FORMAT);
        BSON_APPEND_DOCUMENT(&all, "namespaces", now);
        text = bson_as_canonical_extended_json(&all, NULL);
    }
    bool ok = text != NULL ? write_file(resume, text, err)
                           : error_no_memory(err, "the progress of the audit");
    bson_free(text);
    bson_destroy(&all);
    return ok;
}

void audit_resume_remove(const struct audit_resume *resume)
{
    (void)unlink(resume->path);
}
