/* Any bytes as a schema, in the dialect that the first byte chooses: it compiles or is refused with
 * an error, and a compiled schema can be run. */
#include "schema/schema.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    if (size == 0)
        return 0;
    struct bytes bson = bytes_of(data + 1, size - 1);
    static const enum schema_dialect dialects[] = {SCHEMA_MONGODB, SCHEMA_JSON_SCHEMA,
                                                   SCHEMA_MONGODB_EXTENDED, SCHEMA_JSON_SCHEMA};
    struct schema *schema = schema_compile(bson, dialects[data[0] % 4], NULL, NULL, &err);
    if (schema == NULL) {
        if (err.code == 0)
            abort();
        return 0;
    }
    struct schema_scratch *scratch = schema_scratch_new();
    if (scratch == NULL)
        abort();
    (void)schema_check(schema, scratch, bson, &err); /* a schema is a document too */
    schema_scratch_free(scratch);
    schema_free(schema);
    return 0;
}
