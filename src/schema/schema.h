/* A compiled schema: turns documents into verdicts and MongoDB's errInfo.
 *
 * A compiled schema is immutable, and any number of threads may use it; each thread has its own
 * scratch. A verdict allocates nothing (except as schema_check says). docs/schemas.md describes
 * $jsonSchema and the mapping of dialect json-schema. */
#ifndef SLUICE_SCHEMA_SCHEMA_H
#define SLUICE_SCHEMA_SCHEMA_H

#include "base/bytes.h"
#include "base/error.h"
#include "bson/build.h"

/* Limits, so that no schema and no document makes a check slow or large. */
#define SCHEMA_DEPTH_MAX      100      /* nesting of sub-schemas */
#define SCHEMA_RULES_MAX      65536    /* sub-schemas in one schema */
#define SCHEMA_PROPERTIES_MAX 4096     /* names in one sub-schema: properties, required, … */
#define SCHEMA_IN_PLACE_MAX   32       /* nested sub-schemas for one value */
#define SCHEMA_WORK_MAX       20000000 /* visited fields and items for one document … */
#define SCHEMA_WORK_A_BYTE    16       /* … plus this for each byte of a command */
#define SCHEMA_BYTES_MAX      ((size_t)48 * 1024 * 1024) /* memory of one compiled schema */

/* The largest errInfo, like the server's. */
#define SCHEMA_ERRINFO_MAX ((size_t)12 * 1024 * 1024)

enum schema_dialect {
    SCHEMA_MONGODB,     /* $jsonSchema as in MongoDB */
    SCHEMA_JSON_SCHEMA, /* JSON Schema 2020-12 as pydantic writes it, for BSON as Beanie stores it
                         */
    /* For schema_compile: SCHEMA_MONGODB with this project's extensions for schema files: `$defs`
       and `$ref`, and a description in several lines. No server accepts them. */
    SCHEMA_MONGODB_EXTENDED
};

enum schema_verdict {
    SCHEMA_VALID,
    SCHEMA_INVALID,
    SCHEMA_MALFORMED, /* not BSON, or nested too deeply */
    SCHEMA_CUT_OFF    /* a limit was reached before the answer: counts as a refusal */
};

struct schema;
struct schema_scratch;

/* The budget that all documents and values of one command share. */
struct schema_allowance {
    uint64_t work;  /* visited fields and items in combinations */
    uint64_t steps; /* of patterns */
};
/* The budget of a command of this size. */
struct schema_allowance schema_allowance_of(size_t bytes);

/* A problem in a schema. The texts are borrowed during the call. */
struct schema_problem {
    int code;            /* enum error_code */
    const char *pointer; /* JSON pointer to the keyword, "" for the schema itself */
    const char *message;
};
typedef void schema_report_fn(void *arg, const struct schema_problem *problem);

/* Compiles one BSON document and copies it. Reports each problem (report may be NULL), and sets the
 * first in err as "<pointer>: <message>". Release it with schema_free. */
struct schema *schema_compile(struct bytes bson, enum schema_dialect dialect,
                              schema_report_fn *report, void *arg, struct error *err);
void schema_free(struct schema *schema);

/* True if it uses an extension, so that no server accepts it as a validator. */
bool schema_is_extended(const struct schema *schema);

/* True if it requires encrypted values anywhere. */
bool schema_encrypts(const struct schema *schema);

/* Its memory, including its patterns' machine code. */
size_t schema_bytes(const struct schema *schema);

/* The compiled BSON, byte for byte; it lives as long as the schema. */
struct bytes schema_source(const struct schema *schema);

/* NULL without memory. */
struct schema_scratch *schema_scratch_new(void);
void schema_scratch_free(struct schema_scratch *scratch);
/* All following checks share the allowance, until the next call; NULL: each document has only its
 * own limits. */
void schema_scratch_allow(struct schema_scratch *scratch, struct schema_allowance *allowance);
/* Starts a statement of the command. Its values share the limits of one document. */
void schema_scratch_begin(struct schema_scratch *scratch);

/* Checks one document, and that it is BSON, in one pass. For every verdict but SCHEMA_VALID, err is
 * set: DocumentValidationFailure, InvalidBSON, Overflow, or the reached limit. Allocates only if
 * uniqueItems needs more room than the scratch has. */
enum schema_verdict schema_check(const struct schema *schema, struct schema_scratch *scratch,
                                 struct bytes document, struct error *err);

/* Checks one value of a kind, against the whole schema or a part from schema_find_path. In dialect
 * json-schema the schema is applied as written, without Beanie's names. */
enum schema_verdict schema_check_value(const struct schema *schema, struct schema_scratch *scratch,
                                       uint8_t kind, struct bytes value, struct error *err);

/* Explains why the document is refused, as MongoDB's errInfo:
 *   failingDocumentId, [truncated: true], details
 * The document must be valid BSON that the schema refuses. The function starts `out` (the caller
 * must call build_free in every case) and stores a finished document of at most SCHEMA_ERRINFO_MAX
 * bytes in *info, owned by out. Above this size it omits the values and the schema's text; if the
 * rest is still too large, a note replaces the details. False with err set without memory. */
bool schema_explain(const struct schema *schema, struct schema_scratch *scratch,
                    struct bytes document, struct build *out, struct bytes *info,
                    struct error *err);

#endif
