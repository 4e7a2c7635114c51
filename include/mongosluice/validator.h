/* The validator of mongosluice as a library: compiles a schema once, checks raw BSON documents in
 * one pass, and explains a refusal as MongoDB's errInfo.
 *
 *   struct sluice_error error;
 *   struct sluice_schema *schema =
 *       sluice_schema_compile(bson, len, SLUICE_DIALECT_MONGODB, &error);
 *   struct sluice_scratch *scratch = sluice_scratch_new();
 *   if (sluice_schema_check(schema, scratch, document, document_len, &error) != SLUICE_VALID) …
 *
 * A schema is immutable: any number of threads may use it, each with its own scratch. */
#ifndef MONGOSLUICE_VALIDATOR_H
#define MONGOSLUICE_VALIDATOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SLUICE_API __attribute__((visibility("default")))
#else
#define SLUICE_API
#endif

enum sluice_dialect {
    SLUICE_DIALECT_MONGODB = 0,         /* $jsonSchema */
    SLUICE_DIALECT_JSON_SCHEMA = 1,     /* JSON Schema 2020-12 as pydantic writes it */
    SLUICE_DIALECT_MONGODB_EXTENDED = 2 /* $jsonSchema as a schema file may hold it: with $defs and
                                           $ref */
};

enum sluice_verdict {
    SLUICE_VALID = 0,
    SLUICE_INVALID = 1,
    SLUICE_MALFORMED = 2, /* not BSON, or nested too deeply */
    SLUICE_CUT_OFF = 3    /* a limit was reached before the answer */
};

/* A MongoDB error code (121: DocumentValidationFailure) and a sentence. */
struct sluice_error {
    int code;
    char message[512];
};

struct sluice_schema;
struct sluice_scratch;

/* "0.1.0" */
SLUICE_API const char *sluice_version(void);

/* Compiles a schema, given as one BSON document, and copies it. NULL with *error set ("<JSON
 * pointer>: <problem>") if the schema has an error. `error` may be NULL, here and below. */
SLUICE_API struct sluice_schema *sluice_schema_compile(const uint8_t *bson, size_t len,
                                                       enum sluice_dialect dialect,
                                                       struct sluice_error *error);
/* Returns 1 if the schema uses an extension ($defs, $ref), so that no server accepts it as a
 * validator. */
SLUICE_API int sluice_schema_is_extended(const struct sluice_schema *schema);
SLUICE_API void sluice_schema_free(struct sluice_schema *schema);

/* The working memory of one thread. NULL without memory. */
SLUICE_API struct sluice_scratch *sluice_scratch_new(void);
SLUICE_API void sluice_scratch_free(struct sluice_scratch *scratch);

/* Checks one document, and that it is BSON. Sets *error unless the verdict is SLUICE_VALID. */
SLUICE_API enum sluice_verdict sluice_schema_check(const struct sluice_schema *schema,
                                                   struct sluice_scratch *scratch,
                                                   const uint8_t *document, size_t len,
                                                   struct sluice_error *error);

/* Checks the value of a document's field `name` against the schema as written. SLUICE_MALFORMED
 * also if the document has no such field. */
SLUICE_API enum sluice_verdict sluice_schema_check_field(const struct sluice_schema *schema,
                                                         struct sluice_scratch *scratch,
                                                         const uint8_t *document, size_t len,
                                                         const char *name,
                                                         struct sluice_error *error);

/* Writes the errInfo of a refused document (SLUICE_INVALID) as BSON to *info; release it with
 * sluice_bytes_free. Returns 0, or -1 with *error set. */
SLUICE_API int sluice_schema_explain(const struct sluice_schema *schema,
                                     struct sluice_scratch *scratch, const uint8_t *document,
                                     size_t len, uint8_t **info, size_t *info_len,
                                     struct sluice_error *error);
SLUICE_API void sluice_bytes_free(uint8_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
