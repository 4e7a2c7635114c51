/* Values and variables: quantities, ${…} and file:, and lists of variables. The first byte chooses
 * the reader. Any bytes give a value or an error; no error holds a substituted value. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/quantity.h"
#include "config/environment.h"
#include "config/substitute.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void read_quantity(const char *text)
{
    for (int kind = QUANTITY_COUNT; kind <= QUANTITY_US; kind++) {
        int64_t value = 0;
        if (quantity_read((enum quantity_kind)kind, text, &value))
            check(value >= 0 && *text >= '0' && *text <= '9');
    }
}

#define SECRET "hush\xff/"

static const char *variable(void *arg, const char *name)
{
    (void)arg;
    return strlen(name) % 2 == 1 ? SECRET : NULL;
}

static bool file(void *arg, const char *path, struct text *out, struct error *err)
{
    (void)arg;
    if (strlen(path) % 2 == 0)
        return error_set(err, ERROR_BAD_VALUE, "no such file");
    text_add(out, SECRET "\n");
    return true;
}

static void expand(const char *written)
{
    static const struct substitute_sources sources = {variable, file, NULL};
    struct text out = text_growing();
    struct error err = {0};
    if (substitute_expand(written, true, &sources, &out, &err))
        check(strlen(out.data) == out.len &&
              (substitute_is_needed(written, true) || strcmp(out.data, written) == 0));
    else
        check(err.message[0] != '\0' &&
              (strstr(written, SECRET) != NULL || strstr(err.message, SECRET) == NULL));
    text_release(&out);
}

static void ignore(void *arg, const char *problem)
{
    (void)arg;
    check(problem[0] != '\0');
}

/* Each line is a variable. */
static void read_environment(char *text)
{
    enum { VARIABLES_MAX = 64 };
    char *variables[VARIABLES_MAX + 1] = {NULL};
    struct settings settings = {0};
    struct error err = {0};
    size_t count = 0;
    for (char *line = text; line != NULL && count < VARIABLES_MAX; count++) {
        variables[count] = line;
        line = strchr(line, '\n');
        if (line != NULL)
            *line++ = '\0';
    }
    if (!environment_read(variables, &settings, &err))
        check(err.message[0] != '\0');
    environment_each_unknown(variables, ignore, NULL);
    settings_release(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = memory_alloc(size + 1);
    if (size == 0 || text == NULL) {
        memory_free(text);
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] == 'q')
        read_quantity(text);
    else if (data[0] == 's')
        expand(text);
    else
        read_environment(text);
    memory_free(text);
    return 0;
}
