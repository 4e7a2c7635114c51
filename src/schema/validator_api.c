/* include/mongosluice/validator.h over this room's own interface. */
#include "mongosluice/validator.h"

#include "base/keyed_hash.h"
#include "base/memory.h"
#include "bson/scan.h"
#include "schema/schema.h"

#include <pthread.h>
#include <unistd.h>

_Static_assert(sizeof(struct sluice_error) == sizeof(struct error), "one layout");
_Static_assert((int)SLUICE_CUT_OFF == (int)SCHEMA_CUT_OFF, "one numbering");
_Static_assert((int)SLUICE_DIALECT_JSON_SCHEMA == (int)SCHEMA_JSON_SCHEMA, "one numbering");
_Static_assert((int)SLUICE_DIALECT_MONGODB_EXTENDED == (int)SCHEMA_MONGODB_EXTENDED,
               "one numbering");

static void give(struct sluice_error *to, const struct error *from)
{
    if (to != NULL)
        memcpy(to, from, sizeof *to);
}

const char *sluice_version(void)
{
    return SLUICE_VERSION;
}

static bool hash_key_is_set;

static void set_hash_key(void)
{
    uint8_t key[KEYED_HASH_KEY_BYTES];
    hash_key_is_set = getentropy(key, sizeof key) == 0;
    if (hash_key_is_set)
        keyed_hash_set_key(key);
}

struct sluice_schema *sluice_schema_compile(const uint8_t *bson, size_t len,
                                            enum sluice_dialect dialect, struct sluice_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct error err = {0};
    struct schema *schema = NULL;
    (void)pthread_once(&once, set_hash_key); /* no hash is computed before the first schema */
    if (!hash_key_is_set)
        (void)error_set(&err, ERROR_INTERNAL, "the system's random source gives no hash key");
    else
        schema =
            schema_compile(bytes_of(bson, len), (enum schema_dialect)dialect, NULL, NULL, &err);
    if (schema == NULL)
        give(error, &err);
    return (struct sluice_schema *)schema;
}

int sluice_schema_is_extended(const struct sluice_schema *schema)
{
    return schema_is_extended((const struct schema *)schema);
}

void sluice_schema_free(struct sluice_schema *schema)
{
    schema_free((struct schema *)schema);
}

struct sluice_scratch *sluice_scratch_new(void)
{
    return (struct sluice_scratch *)schema_scratch_new();
}

void sluice_scratch_free(struct sluice_scratch *scratch)
{
    schema_scratch_free((struct schema_scratch *)scratch);
}

enum sluice_verdict sluice_schema_check(const struct sluice_schema *schema,
                                        struct sluice_scratch *scratch, const uint8_t *document,
                                        size_t len, struct sluice_error *error)
{
    return (enum sluice_verdict)schema_check((const struct schema *)schema,
                                             (struct schema_scratch *)scratch,
                                             bytes_of(document, len), (struct error *)error);
}

enum sluice_verdict sluice_schema_check_field(const struct sluice_schema *schema,
                                              struct sluice_scratch *scratch,
                                              const uint8_t *document, size_t len, const char *name,
                                              struct sluice_error *error)
{
    struct scan_element field;
    if (!scan_find(bytes_of(document, len), name, &field)) {
        (void)error_set((struct error *)error, ERROR_INVALID_BSON,
                        "The document has no field '%s', or is no BSON", name);
        return SLUICE_MALFORMED;
    }
    return (enum sluice_verdict)schema_check_value((const struct schema *)schema,
                                                   (struct schema_scratch *)scratch, field.kind,
                                                   field.value, (struct error *)error);
}

int sluice_schema_explain(const struct sluice_schema *schema, struct sluice_scratch *scratch,
                          const uint8_t *document, size_t len, uint8_t **info, size_t *info_len,
                          struct sluice_error *error)
{
    struct build build;
    struct bytes built;
    if (!schema_explain((const struct schema *)schema, (struct schema_scratch *)scratch,
                        bytes_of(document, len), &build, &built, (struct error *)error)) {
        build_free(&build);
        return -1;
    }
    *info = build.data; /* the caller owns it from here on */
    *info_len = bytes_left(&built);
    return 0;
}

void sluice_bytes_free(uint8_t *bytes)
{
    memory_free(bytes);
}
