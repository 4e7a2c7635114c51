#include "session/question.h"

#include <openssl/rand.h>

#include "bson/build.h"
#include "wire/reply.h"

bool question_build(const struct scan_element *api_version, uint8_t **out, size_t *len)
{
    struct build build;
    struct bytes document;
    int32_t request_id = 0;
    if (RAND_bytes((unsigned char *)&request_id, sizeof request_id) != 1)
        return false;
    build_begin(&build, SIZE_MAX);
    build_int32(&build, "connectionStatus", 1);
    if (api_version != NULL)
        build_value(&build, "apiVersion", api_version->kind, api_version->value);
    build_text(&build, "$db", "admin");
    bool ok = build_finish(&build, &document) &&
              wire_reply_frame((struct wire_reply_to){0}, request_id, 0, document, out, len);
    build_free(&build);
    return ok;
}
