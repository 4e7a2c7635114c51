#include "session/saved_hello.h"

#include <string.h>

#include "base/memory.h"
#include "bson/build.h"

/* Clients without a login send it, and it outlives the message. Drivers send about 400 bytes. */
enum { SAVED_HELLO_BYTES_MAX = 4096 };

struct saved_hello {
    uint32_t references;
    size_t len;
    uint8_t document[];
};

/* The fields beside the command's name that describe the application. */
static bool is_kept(const struct scan_element *element)
{
    static const char *const kept[] = {
        "helloOk",      "client", "compression",          "apiVersion",  "apiStrict",
        "loadBalanced", "$db",    "apiDeprecationErrors", "backpressure"};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (element->name_len == strlen(kept[i]) &&
            memcmp(element->name, kept[i], element->name_len) == 0)
            return true;
    return false;
}

static bool copy_fields(struct build *build, const struct wire_command *request)
{
    char name[32];
    struct wire_fields fields;
    struct scan_element element;
    bool has_database = false;
    bool first = true;
    wire_fields_open(&fields, request);
    while (wire_fields_next(&fields, &element)) {
        if ((!first && !is_kept(&element)) || element.name_len >= sizeof name)
            continue;
        memcpy(name, element.name, element.name_len);
        name[element.name_len] = '\0';
        has_database = has_database || strcmp(name, "$db") == 0;
        build_value(build, name, element.kind, element.value);
        first = false;
    }
    if (!has_database)
        build_text(build, "$db", "admin");
    return true;
}

struct saved_hello *saved_hello_new(const struct wire_command *request)
{
    struct build build;
    struct bytes document;
    struct saved_hello *hello = NULL;
    build_begin(&build, SAVED_HELLO_BYTES_MAX);
    if (copy_fields(&build, request) && build_finish(&build, &document))
        hello = memory_alloc(sizeof *hello + bytes_left(&document));
    if (hello != NULL) {
        hello->references = 1;
        hello->len = bytes_left(&document);
        memcpy(hello->document, document.pos, hello->len);
    }
    build_free(&build);
    return hello;
}

struct saved_hello *saved_hello_retain(struct saved_hello *hello)
{
    if (hello != NULL)
        hello->references++;
    return hello;
}

void saved_hello_release(struct saved_hello *hello)
{
    if (hello != NULL && --hello->references == 0)
        memory_free(hello);
}

struct bytes saved_hello_document(const struct saved_hello *hello)
{
    return bytes_of(hello->document, hello->len);
}

bool saved_hello_api_version(const struct saved_hello *hello, struct scan_element *version)
{
    return hello != NULL && scan_find(saved_hello_document(hello), "apiVersion", version) &&
           version->kind == BSON_KIND_STRING;
}
