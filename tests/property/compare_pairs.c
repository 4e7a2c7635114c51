/* Answers about pairs of schemas for property_compatibility.py: BSON documents {old, new,
 * old_dialect, new_dialect} from standard input, one after the other; for each a document {error}
 * or {backward, forward, refused_by_new, refused_by_old} on standard output. */
#include "compare/compatibility.h"

#include "base/memory.h"
#include "bson/scan.h"

#include <stdio.h>

static const char *const answers[] = {"unknown", "yes", "no"};

static struct schema *compile(struct bytes pair, const char *name, const char *dialect_name)
{
    struct scan_element schema;
    struct scan_element dialect;
    int64_t which = 0;
    if (!scan_find(pair, name, &schema) || !scan_find(pair, dialect_name, &dialect) ||
        !scan_as_int64(&dialect, &which))
        return NULL;
    return schema_compile(schema.value, which == 0 ? SCHEMA_MONGODB_EXTENDED : SCHEMA_JSON_SCHEMA,
                          NULL, NULL, NULL);
}

static void write_proof(struct build *out, const char *name, struct bytes proof)
{
    if (bytes_left(&proof) > 0)
        build_value(out, name, BSON_KIND_OBJECT, proof);
}

static bool answer(struct bytes pair)
{
    struct build out;
    struct bytes bytes;
    struct compatibility verdict = {0};
    const struct schema *old_schema = compile(pair, "old", "old_dialect");
    const struct schema *new_schema = compile(pair, "new", "new_dialect");
    struct compatibility_side before = {&old_schema, 1};
    struct compatibility_side after = {&new_schema, 1};
    build_begin(&out, 1 << 24);
    if (old_schema == NULL || new_schema == NULL ||
        !compatibility_judge(&before, &after, &verdict, NULL)) {
        build_bool(&out, "error", true);
    } else {
        build_text(&out, "backward", answers[verdict.backward]);
        build_text(&out, "forward", answers[verdict.forward]);
        write_proof(&out, "refused_by_new", verdict.refused_by_new);
        write_proof(&out, "refused_by_old", verdict.refused_by_old);
    }
    bool ok = build_finish(&out, &bytes) &&
              fwrite(bytes.pos, 1, bytes_left(&bytes), stdout) == bytes_left(&bytes);
    compatibility_release(&verdict);
    schema_free((struct schema *)old_schema);
    schema_free((struct schema *)new_schema);
    build_free(&out);
    return ok && fflush(stdout) == 0;
}

int main(void)
{
    uint8_t head[4];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        int32_t len = bytes_load_i32(head);
        uint8_t *pair = len < 5 ? NULL : memory_alloc((size_t)len);
        if (pair == NULL)
            return 1;
        memcpy(pair, head, sizeof head);
        size_t rest = (size_t)len - sizeof head;
        bool ok = fread(pair + sizeof head, 1, rest, stdin) == rest &&
                  answer(bytes_of(pair, (size_t)len));
        memory_free(pair);
        if (!ok)
            return 1;
    }
    return 0;
}
