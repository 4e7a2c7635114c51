/* Any bytes as a schema file: a refusal has a reason, and JSON that is read becomes BSON. A
 * readable file is refused with text before or behind it. */
#include "schema/file.h"
#include "schema/file_text.h"

#include "base/memory.h"
#include "bson/validate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct schema_file file;
    struct error err = {0};
    unsigned problems = 0;
    if (is_read(text, size)) {
        require(is_read_between(" \r\n\t", text, size, "\n"));
        require(!is_read_between("\xEF\xBB\xBF", text, size, ""));
        require(!is_read_between("", text, size, "{}"));
        require(!is_read_between("", text, size, "]"));
    }
    if (schema_file_parse(text, size, count, &problems, &file, &err)) {
        require(problems == 0);
        schema_file_release(&file);
    } else {
        require(err.code != 0 && err.message[0] != 0);
    }
    return 0;
}
