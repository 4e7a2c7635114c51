/* A compiled schema: documents in, verdicts and MongoDB's errInfo out.
 *
 * A schema is immutable once compiled and may be used by any number of threads; each thread brings
 * a scratch of its own. A verdict allocates nothing (but see schema_check). The facts about
 * $jsonSchema and the mapping of dialect json-schema stand in docs/schemas.md. */
#ifndef SLUICE_SCHEMA_SCHEMA_H
#define SLUICE_SCHEMA_SCHEMA_H

#include "base/bytes.h"
#include "base/error.h"
#include "bson/build.h"

/* Limits, so that no schema and no document makes a check slow or big. */
#define SCHEMA_DEPTH_MAX      100      /* nesting of sub-schemas */
#define SCHEMA_RULES_MAX      65536    /* sub-schemas in one schema */
#define SCHEMA_PROPERTIES_MAX 4096     /* names one sub-schema knows: properties, required, … */
#define SCHEMA_IN_PLACE_MAX   32       /* sub-schemas applied to one value inside each other */
#define SCHEMA_WORK_MAX       20000000 /* fields and items looked at for one document … */
#define SCHEMA_WORK_A_BYTE    16       /* … and for a command besides, for each of its bytes */
#define SCHEMA_BYTES_MAX      ((size_t)48 * 1024 * 1024) /* of memory, for one compiled schema */

/* The largest errInfo, as the server's. */
#define SCHEMA_ERRINFO_MAX ((size_t)12 * 1024 * 1024)

enum schema_dialect {
    SCHEMA_MONGODB,     /* $jsonSchema as MongoDB has it */
    SCHEMA_JSON_SCHEMA, /* JSON Schema 2020-12 as pydantic writes it, over BSON as Beanie stores it
                         */
    /* For schema_compile: SCHEMA_MONGODB with this project's extensions, as in schema files:
     * `$defs` and `$ref`, and a description in several lines. No server takes them. */
    SCHEMA_MONGODB_EXTENDED
};

enum schema_verdict {
    SCHEMA_VALID,
    SCHEMA_INVALID,
    SCHEMA_MALFORMED, /* not BSON, or nested too deeply */
    SCHEMA_CUT_OFF    /* a limit was reached before the answer: treated as a refusal */
};

struct schema;
struct schema_scratch;

/* What all documents and values of one command may take together, and what is left of it. */
struct schema_allowance {
    uint64_t work;  /* fields and items looked at in combinations */
    uint64_t steps; /* of patterns */
};
/* Of a command of so many bytes. */
struct schema_allowance schema_allowance_of(size_t bytes);

/* One thing that is wrong in a schema. The texts are lent for the call. */
struct schema_problem {
    int code;            /* enum error_code */
    const char *pointer; /* JSON pointer to the keyword, "" for the schema itself */
    const char *message;
};
typedef void schema_report_fn(void *arg, const struct schema_problem *problem);

/* Compiles one BSON document, which is copied. Each problem is reported (report may be NULL), the
 * first one is also set in err as "<pointer>: <message>". Released with schema_free. */
struct schema *schema_compile(struct bytes bson, enum schema_dialect dialect,
                              schema_report_fn *report, void *arg, struct error *err);
void schema_free(struct schema *schema);

/* Whether it uses an extension, so that no server takes it as a validator. */
bool schema_is_extended(const struct schema *schema);

/* Whether it asks for encrypted values anywhere. */
bool schema_encrypts(const struct schema *schema);

/* What it takes in memory, its patterns' machine code included. */
size_t schema_bytes(const struct schema *schema);

/* The BSON that was compiled, byte for byte; it lives as long as the schema. */
struct bytes schema_source(const struct schema *schema);

/* NULL without memory. */
struct schema_scratch *schema_scratch_new(void);
void schema_scratch_free(struct schema_scratch *scratch);
/* What is checked from now on shares the allowance, until the next call; NULL: each document has
 * its own limits only. */
void schema_scratch_allow(struct schema_scratch *scratch, struct schema_allowance *allowance);
/* A statement of the command begins, of which several values will be checked: they share what one
 * document may take. */
void schema_scratch_begin(struct schema_scratch *scratch);

/* Checks one document and that it is BSON, in one pass. For every verdict but SCHEMA_VALID err is
 * set: DocumentValidationFailure, InvalidBSON, Overflow, or what limit was reached. uniqueItems
 * over more items than fit the scratch makes the scratch grow; that is the only allocation. */
enum schema_verdict schema_check(const struct schema *schema, struct schema_scratch *scratch,
                                 struct bytes document, struct error *err);

/* The same for one value of a kind, against the whole schema or a part of it that schema_find_path
 * gave. In dialect json-schema the schema itself is applied as it is written, without the names
 * that Beanie stores. */
enum schema_verdict schema_check_value(const struct schema *schema, struct schema_scratch *scratch,
                                       uint8_t kind, struct bytes value, struct error *err);

/* Why the document is refused, as MongoDB's errInfo:
 *   failingDocumentId, [truncated: true], details
 * The document must be valid BSON that the schema refuses. The function begins `out` (build_free is
 * due whatever happens) and leaves a finished document of at most SCHEMA_ERRINFO_MAX bytes in
 * *info, owned by out. Past that size the values and the schema's own words are left out, and past
 * it again a note stands for the details. False with err set where there is no memory. */
bool schema_explain(const struct schema *schema, struct schema_scratch *scratch,
                    struct bytes document, struct build *out, struct bytes *info,
                    struct error *err);

#endif
