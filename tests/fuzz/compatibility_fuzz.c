/* Pairs of similar schemas, from any bytes: no document contradicts a verdict. The engine judges
 * each proof of a difference, and documents from the rest of the bytes are compared with each
 * statement about all documents. */
#include "schema_generate.h"

#include "bson/validate.h"
#include "compare/changes.h"
#include "compare/compatibility.h"
#include "fail_memory.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct schema_scratch *scratch; /* for all inputs */

static void check_direction(const struct schema *from, const struct schema *to,
                            enum compatibility_answer answer, struct bytes proof,
                            struct bytes document)
{
    bool contradicted = answer == COMPATIBILITY_YES &&
                        schema_check(from, scratch, document, NULL) == SCHEMA_VALID &&
                        schema_check(to, scratch, document, NULL) == SCHEMA_INVALID;
    bool no_proof =
        answer == COMPATIBILITY_NO && (schema_check(from, scratch, proof, NULL) != SCHEMA_VALID ||
                                       schema_check(to, scratch, proof, NULL) != SCHEMA_INVALID);
    if (contradicted || no_proof) {
        (void)fprintf(stderr, contradicted ? "a document contradicts the verdict\n"
                                           : "a proof does not hold\n");
        abort();
    }
}

/* --- the list of changes --- */

struct sides {
    const struct schema *a;
    const struct schema *b;
    unsigned changes;
};

/* Each proof is a document that the one side accepts and the other refuses. */
static void check_change(void *arg, const struct compatibility_change *change)
{
    struct sides *sides = arg;
    bool kept = change->keeps_old != COMPATIBILITY_NO ||
                (schema_check(sides->a, scratch, change->refused_by_new, NULL) == SCHEMA_VALID &&
                 schema_check(sides->b, scratch, change->refused_by_new, NULL) == SCHEMA_INVALID);
    bool kept_too =
        change->keeps_new != COMPATIBILITY_NO ||
        (schema_check(sides->b, scratch, change->refused_by_old, NULL) == SCHEMA_VALID &&
         schema_check(sides->a, scratch, change->refused_by_old, NULL) == SCHEMA_INVALID);
    const char *effect = compatibility_effect(change);
    sides->changes++;
    if (!kept || !kept_too || effect[0] == 0 || (change->path[0] != '/' && change->path[0] != 0)) {
        (void)fprintf(stderr, "the proof of a change does not hold: %s\n", change->path);
        abort();
    }
}

static void list_changes(const struct schema *a, const struct schema *b)
{
    struct sides sides = {a, b, 0};
    struct compatibility_side from = {&a, 1};
    struct compatibility_side to = {&b, 1};
    struct error err;
    struct bytes one = schema_source(a);
    struct bytes other = schema_source(b);
    bool same =
        bytes_left(&one) == bytes_left(&other) && memcmp(one.pos, other.pos, bytes_left(&one)) == 0;
    if (!compatibility_list_changes(&from, &to, check_change, &sides, &err))
        abort();
    if (same && sides.changes > 0) {
        (void)fprintf(stderr, "a schema differs from itself\n");
        abort();
    }
}

/* Two accepted schemas contain each of them, and a document that both refuse is none of theirs. */
static void check_sides(const struct schema *a, const struct schema *b)
{
    const struct schema *both[] = {a, b};
    struct compatibility_side one = {&a, 1};
    struct compatibility_side two = {both, 2};
    uint8_t *proof = NULL;
    size_t len = 0;
    if (compatibility_contains(&one, &two, NULL, &proof, &len) == COMPATIBILITY_NO)
        abort();
    if (compatibility_contains(&two, &one, &one, &proof, &len) == COMPATIBILITY_NO &&
        (schema_check(b, scratch, bytes_of(proof, len), NULL) != SCHEMA_VALID ||
         schema_check(a, scratch, bytes_of(proof, len), NULL) != SCHEMA_INVALID))
        abort();
    memory_free(proof);
}

static void ignore_change(void *arg, const struct compatibility_change *change)
{
    (void)arg;
    (void)change;
}

static void compare_without_memory(const struct schema *a, const struct schema *b)
{
    struct compatibility verdict;
    struct compatibility_side from = {&a, 1};
    struct compatibility_side to = {&b, 1};
    struct error err;
    if (compatibility_judge(&from, &to, &verdict, &err))
        compatibility_release(&verdict);
    (void)compatibility_list_changes(&from, &to, ignore_change, NULL, &err);
}

static void check_pair(const struct schema *a, const struct schema *b, struct stream *in)
{
    struct compatibility verdict;
    struct compatibility_side from = {&a, 1};
    struct compatibility_side to = {&b, 1};
    if (!compatibility_judge(&from, &to, &verdict, NULL))
        return;
    for (int i = 0; i < 40; i++) {
        struct build build;
        struct bytes document;
        build_begin(&build, 1 << 20);
        generate_document(in, &build);
        if (build_finish(&build, &document)) {
            check_direction(a, b, verdict.backward, verdict.refused_by_new, document);
            check_direction(b, a, verdict.forward, verdict.refused_by_old, document);
        }
        build_free(&build);
        if (in->pos == in->end)
            break;
    }
    if (compatibility_verdict(&verdict)[0] == 0)
        abort();
    compatibility_release(&verdict);
}

static struct schema *compile(const uint8_t *data, size_t size, enum schema_dialect dialect,
                              size_t *used)
{
    struct stream in = {data, data + size};
    struct build build;
    struct bytes bson;
    struct error err = {0};
    struct schema *schema = NULL;
    build_begin(&build, 1 << 20);
    generate_schema(&in, &build, dialect);
    if (build_finish(&build, &bson))
        schema = schema_compile(bson, dialect, NULL, NULL, &err);
    build_free(&build);
    *used = (size_t)(in.pos - data);
    return schema;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t used = 0;
    size_t used_too = 0;
    if (scratch == NULL)
        scratch = schema_scratch_new();
    if (size < 16 || scratch == NULL)
        return 0;
    enum schema_dialect dialect = data[0] % 2 == 0 ? SCHEMA_MONGODB : SCHEMA_JSON_SCHEMA;
    enum schema_dialect other = data[0] % 16 == 15 ? SCHEMA_MONGODB : dialect;
    size_t place = data[1];
    uint8_t *near_copy = malloc(size - 4);
    if (near_copy == NULL)
        return 0;
    memcpy(near_copy, data + 4, size - 4);
    struct schema *a = compile(data + 4, size - 4, dialect, &used);
    near_copy[place % (used == 0 ? 1 : used)] = data[2];
    if (data[3] % 4 != 0)
        near_copy[(place * 7 + data[3]) % (used == 0 ? 1 : used)] ^= data[3];
    struct schema *b = compile(near_copy, size - 4, other, &used_too);
    used = used_too > used ? used_too : used;
    struct stream rest = {data + 4 + used, data + size};
    if (a != NULL && b != NULL) {
        check_pair(a, b, &rest);
        if (data[2] % 8 == 1) /* each of them takes as long as the pair */
            list_changes(a, b);
        if (data[2] % 8 == 2)
            check_sides(a, b);
        if (fail_memory_for(data, size))
            compare_without_memory(a, b);
        memory_fail_never();
    }
    schema_free(a);
    schema_free(b);
    free(near_copy);
    return 0;
}
