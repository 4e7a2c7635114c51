/* Any bytes as a schema file: a refusal has a reason, and JSON that is read becomes BSON. A
 * readable file is refused with text before or behind it. */
#include "schema/file.h"
#include "schema/file_text.h"

#include "bson/validate.h"
#include "fail_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool without_memory; /* an allocation fails */

static void require(bool condition)
{
    if (!condition && !without_memory)
        abort();
}

static void count(void *arg, const struct schema_problem *problem)
{
    require(problem->code != 0 && problem->message[0] != 0);
    require(problem->pointer[0] == 0 || problem->pointer[0] == '/');
    ++*(unsigned *)arg;
}

static bool is_read(const char *text, size_t len)
{
    unsigned problems = 0;
    struct error err = {0};
    bson_t *bson = schema_text_read(text, len, count, &problems);
    require((bson == NULL) == (problems > 0));
    if (bson == NULL)
        return false;
    require(validate_document(bytes_of(bson_get_data(bson), bson->len), &err) ||
            err.code == ERROR_OVERFLOW);
    bson_destroy(bson);
    return true;
}

static bool is_read_between(const char *before, const char *text, size_t len, const char *behind)
{
    size_t lead = strlen(before);
    size_t rest = strlen(behind);
    char *whole = memory_alloc(lead + len + rest + 1);
    if (whole == NULL)
        return false;
    memcpy(whole, before, lead);
    memcpy(whole + lead, text, len);
    memcpy(whole + lead + len, behind, rest);
    bool read = is_read(whole, lead + len + rest);
    memory_free(whole);
    return read;
}

/* A good file: its versions are distinct, and some may be accepted. */
static void check_file(const struct schema_file *file)
{
    const struct schema_version *versions = file->versions;
    require(schema_file_newest(file) == versions[0].schema && versions[0].schema != NULL);
    require(schema_file_bytes(file) >= schema_bytes(versions[0].schema));
    for (int64_t now_ms = 0; now_ms < INT64_MAX / 2; now_ms = now_ms * 2 + 1)
        require((schema_versions_accepted(versions, file->version_count, now_ms) &
                 ~(uint32_t)((1ULL << file->version_count) - 1)) == 0);
    for (size_t i = 0; i < file->version_count; i++)
        for (size_t j = 0; j <= i; j++)
            require(schema_version_is_same(&versions[i], &versions[j]) == (i == j));
    (void)schema_file_is_extended(file);
}

/* What a user is told about text that is no JSON. */
static void check_place(const char *text, size_t size)
{
    char out[256];
    struct text_place place = schema_text_place(text, size / 2);
    require(place.line > 0 && place.column > 0);
    static const char *const messages[] = {"wrong", "Incomplete JSON", "lexical error, position 3",
                                           "parse error, position 99999"};
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        schema_file_explain_json(text, size, messages[i], out, sizeof out);
        require(out[0] != 0 && strlen(out) < sizeof out);
        schema_file_explain_json(NULL, size, messages[i], out, sizeof out);
        require(out[0] != 0 && strlen(out) < sizeof out);
    }
}

/* The schema as a validator of a collection. */
static void check_validator(const char *text, size_t size)
{
    struct schema_file file;
    struct error err = {0};
    unsigned problems = 0;
    bson_t *bson = schema_text_read(text, size, count, &problems);
    if (bson == NULL)
        return;
    if (schema_file_of_validator("d.c", bytes_of(bson_get_data(bson), bson->len),
                                 SCHEMA_LEVEL_STRICT, SCHEMA_ACTION_ERROR, &file, &err)) {
        require(file.version_count == 1);
        schema_file_release(&file);
    } else {
        require(err.code != 0 && err.message[0] != 0);
    }
    bson_destroy(bson);
}

/* The same text from a file. */
static void check_load(const char *text, size_t size, bool is_good)
{
    static int fd = -1;
    static char path[64];
    struct schema_file file;
    struct error err = {0};
    if (fd < 0) {
        fd = memfd_create("schema", MFD_CLOEXEC);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (fd < 0 || ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0 ||
        write(fd, text, size) != (ssize_t)size)
        abort();
    bool read = schema_file_load(path, NULL, NULL, &file, &err);
    require(read == is_good && (read || err.message[0] != 0));
    if (read)
        schema_file_release(&file);
    require(!schema_file_load("/nonexistent", NULL, NULL, &file, &err));
}

static void run(const char *text, size_t size)
{
    struct schema_file file;
    struct error err = {0};
    unsigned problems = 0;
    if (is_read(text, size)) {
        require(is_read_between(" \r\n\t", text, size, "\n"));
        require(!is_read_between("\xEF\xBB\xBF", text, size, ""));
        require(!is_read_between("", text, size, "{}"));
        require(!is_read_between("", text, size, "]"));
    }
    check_place(text, size);
    check_validator(text, size);
    bool is_good = schema_file_parse(text, size, count, &problems, &file, &err);
    check_load(text, size, is_good);
    if (is_good) {
        require(problems == 0);
        check_file(&file);
        schema_file_release(&file);
    } else {
        require(err.code != 0 && err.message[0] != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run((const char *)data, size);
    without_memory = fail_memory_for(data, size);
    if (without_memory)
        run((const char *)data, size);
    memory_fail_never();
    without_memory = false;
    return 0;
}
