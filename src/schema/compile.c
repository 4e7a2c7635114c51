/* Schemas: compiled, described and freed. */
#include "base/memory.h"
#include "schema/lower.h"
#include "schema/parse.h"
#include "schema/schema_internal.h"

void schema_free(struct schema *schema)
{
    if (schema == NULL)
        return;
    for (size_t i = 0; i < schema->pattern_count; i++)
        pattern_free(schema->patterns[i]);
    memory_free(schema->patterns);
    memory_free(schema->rules.slots);
    memory_free(schema->program.block);
    memory_free(schema->bson);
    arena_free(&schema->arena);
    memory_free(schema);
}

static struct schema *no_memory(struct schema *schema, struct error *err)
{
    schema_free(schema);
    (void)error_no_memory(err, "the compiled schema");
    return NULL;
}

struct schema *schema_compile(struct bytes bson, enum schema_dialect dialect,
                              schema_report_fn *report, void *arg, struct error *err)
{
    if (!validate_document(bson, err))
        return NULL;
    struct schema *schema = memory_zalloc(sizeof *schema);
    if (schema == NULL)
        return no_memory(schema, err);
    schema->may_extend = dialect == SCHEMA_MONGODB_EXTENDED;
    schema->dialect = schema->may_extend ? SCHEMA_MONGODB : dialect;
    schema->bson_len = bytes_left(&bson);
    schema->bson = memory_alloc(schema->bson_len);
    if (schema->bson == NULL)
        return no_memory(schema, err);
    memcpy(schema->bson, bson.pos, schema->bson_len);
    if (!parse_schema(schema, report, arg, err) || !lower_schema(schema, err)) {
        schema_free(schema);
        return NULL;
    }
    if (schema_bytes(schema) > SCHEMA_BYTES_MAX) {
        schema_free(schema);
        (void)error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, SCHEMA_TOO_LARGE);
        return NULL;
    }
    return schema;
}

bool schema_is_extended(const struct schema *schema)
{
    return schema->extended;
}

bool schema_encrypts(const struct schema *schema)
{
    return schema->encrypts;
}

size_t schema_bytes(const struct schema *schema)
{
    return sizeof *schema + schema->bson_len + schema->arena.bytes + schema->pattern_bytes +
           schema->pattern_room * sizeof(struct pattern *) +
           schema->rules.size * sizeof(struct rule *) + schema->program.bytes;
}

struct bytes schema_source(const struct schema *schema)
{
    return bytes_of(schema->bson, schema->bson_len);
}
