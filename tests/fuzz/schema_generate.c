#include "schema_generate.h"

#include "bson/scan.h"

static const char *const names[] = {"a", "b", "c", "kind", "a_name_of_16_byte", "\xc3\xa9"};
static const char *const texts[] = {
    "", "a", "b", "ab", "cat", "dog", "ABC-12", "\xc3\xa9\xc3\xa9", "a\n", "zzzzzzzzz"};
static const char *const patterns[] = {"^a",  "b$",     "^[A-Z]{3}-[0-9]+$", "^[^b]*$",
                                       "a|b", "^.{2}$", "^(a+)+$",           "^[a-z]{1,3}$"};
static const char *const types[] = {"object", "string", "number", "boolean", "null", "array"};
static const char *const bson_types[] = {"int",    "long",   "double",   "decimal",
                                         "string", "date",   "objectId", "binData",
                                         "null",   "object", "bool"};

static unsigned next(struct stream *in, unsigned below)
{
    unsigned byte = in->pos < in->end ? *in->pos++ : 0;
    return byte % below;
}

#define PICK(in, list) ((list)[next((in), sizeof(list) / sizeof((list)[0]))])

static void number(struct stream *in, struct build *out, const char *name)
{
    static const double reals[] = {0.5, 1, 2, -1.5, 1e300, 9007199254740993.0, 0.1, -0.0};
    static const int64_t integers[] = {0, 1, 2, -1, 3, INT64_MAX, INT64_MIN, 9007199254740993};
    /* 1, 0.5, 0.1, NaN, Infinity, 1E+300, and one over 34 digits, which means 0. */
    static const uint64_t decimals[][2] = {{1, 0x3040000000000000},  {5, 0x303E000000000000},
                                           {1, 0x303E000000000000},  {0, 0x7C00000000000000},
                                           {0, 0x7800000000000000},  {1, 0x3298000000000000},
                                           {10, 0x303E000000000000}, {1, 0x6C10000000000000}};
    uint8_t bytes[16];
    switch (next(in, 5)) {
    case 0:
        memcpy(bytes, &PICK(in, reals), 8);
        build_value(out, name, BSON_KIND_DOUBLE, bytes_of(bytes, 8));
        break;
    case 1:
        build_int64(out, name, PICK(in, integers));
        break;
    case 2:
        memcpy(bytes, PICK(in, decimals), 16);
        build_value(out, name, BSON_KIND_DECIMAL128, bytes_of(bytes, 16));
        break;
    default:
        build_int32(out, name, (int32_t)next(in, 6) - 1);
    }
}

static void object(struct stream *in, struct build *out, unsigned depth);

static void value(struct stream *in, struct build *out, const char *name, unsigned depth)
{
    static const uint8_t zeros[24] = {0};
    switch (next(in, depth > 4 ? 7 : 11)) {
    case 0:
        build_value(out, name, BSON_KIND_NULL, bytes_of(zeros, 0));
        break;
    case 1:
        build_bool(out, name, next(in, 2) != 0);
        break;
    case 2:
        build_text(out, name, PICK(in, texts));
        break;
    case 3:
        build_value(out, name, BSON_KIND_DATE, bytes_of(zeros, 8));
        break;
    case 4:
        build_value(out, name, BSON_KIND_OBJECT_ID, bytes_of(zeros, 12));
        break;
    case 5:
    case 6:
        number(in, out, name);
        break;
    case 7:
    case 8:
        build_open_array(out, name);
        for (unsigned n = next(in, 5); n > 0; n--)
            value(in, out, NULL, depth + 1);
        build_close(out);
        break;
    default:
        build_open_object(out, name);
        object(in, out, depth + 1);
        build_close(out);
    }
}

static void object(struct stream *in, struct build *out, unsigned depth)
{
    for (unsigned n = next(in, 5); n > 0; n--)
        value(in, out, PICK(in, names), depth);
}

static void schema(struct stream *in, struct build *out, enum schema_dialect dialect,
                   unsigned depth);

static void schema_in(struct stream *in, struct build *out, const char *name,
                      enum schema_dialect dialect, unsigned depth)
{
    build_open_object(out, name);
    schema(in, out, dialect, depth + 1);
    build_close(out);
}

static void schema_list(struct stream *in, struct build *out, const char *name,
                        enum schema_dialect dialect, unsigned depth)
{
    build_open_array(out, name);
    for (unsigned n = 1 + next(in, 3); n > 0; n--)
        schema_in(in, out, NULL, dialect, depth);
    build_close(out);
}

static void schema_map(struct stream *in, struct build *out, const char *name,
                       const char *const *keys, unsigned key_count, enum schema_dialect dialect,
                       unsigned depth)
{
    build_open_object(out, name);
    for (unsigned i = next(in, key_count), n = next(in, 4); n > 0 && i < key_count; i++, n--)
        schema_in(in, out, keys[i], dialect, depth);
    build_close(out);
}

static void name_list(struct stream *in, struct build *out, const char *name)
{
    build_open_array(out, name);
    unsigned first = next(in, 5);
    build_text(out, NULL, names[first]);
    if (next(in, 2) != 0)
        build_text(out, NULL, names[first + 1]);
    build_close(out);
}

static void divisor(struct stream *in, struct build *out)
{
    static const double reals[] = {0.5, 0.1, 3e100};
    static const uint64_t tenth[2] = {1, 0x303E000000000000};
    switch (next(in, 3)) {
    case 0:
        build_int32(out, "multipleOf", 1 + (int32_t)next(in, 4));
        break;
    case 1:
        build_value(out, "multipleOf", BSON_KIND_DOUBLE, bytes_of(&PICK(in, reals), 8));
        break;
    default:
        build_value(out, "multipleOf", BSON_KIND_DECIMAL128, bytes_of(tenth, 16));
    }
}

/* An enum: no two values may be equal. */
static void distinct_values(struct stream *in, struct build *out)
{
    unsigned chosen = next(in, 64);
    unsigned first = next(in, 9);
    build_open_array(out, "enum");
    build_text(out, NULL, texts[first]);
    if (chosen & 1)
        build_text(out, NULL, texts[first + 1]);
    if (chosen & 2)
        number(in, out, NULL);
    if (chosen & 4)
        build_bool(out, NULL, true);
    if (chosen & 8) {
        build_open_object(out, NULL);
        object(in, out, 3);
        build_close(out);
    }
    if (chosen & 16)
        build_value(out, NULL, BSON_KIND_NULL, bytes_of("", 0));
    build_close(out);
}

static void scalar_keywords(struct stream *in, struct build *out, unsigned chosen)
{
    if (chosen & 1)
        number(in, out, "minimum");
    if (chosen & 2)
        number(in, out, "maximum");
    if (chosen & 4)
        build_int32(out, "minLength", (int32_t)next(in, 4));
    if (chosen & 8)
        build_int32(out, "maxLength", (int32_t)next(in, 4));
    if (chosen & 16)
        build_text(out, "pattern", PICK(in, patterns));
    if (chosen & 32)
        divisor(in, out);
    if (chosen & 64)
        distinct_values(in, out);
    if (chosen & 128)
        build_bool(out, "uniqueItems", next(in, 4) != 0);
}

static void types_of(struct stream *in, struct build *out, enum schema_dialect dialect)
{
    switch (next(in, 4)) {
    case 0:
        build_text(out, "type", PICK(in, types));
        break;
    case 1:
        build_open_array(out, "type");
        build_text(out, NULL, types[next(in, 3)]);
        build_text(out, NULL, types[3 + next(in, 3)]);
        build_close(out);
        break;
    case 2:
        if (dialect != SCHEMA_JSON_SCHEMA)
            build_text(out, "bsonType", PICK(in, bson_types));
        else
            build_text(out, "type", "integer");
        break;
    default:
        break;
    }
}

static void object_keywords(struct stream *in, struct build *out, enum schema_dialect dialect,
                            unsigned depth)
{
    unsigned chosen = next(in, 256);
    if (chosen & 3)
        schema_map(in, out, "properties", names, 6, dialect, depth);
    if (chosen & 4)
        name_list(in, out, "required");
    if (chosen & 8) {
        if (next(in, 2) != 0)
            schema_in(in, out, "additionalProperties", dialect, depth);
        else
            build_bool(out, "additionalProperties", false);
    }
    if (chosen & 16)
        schema_map(in, out, "patternProperties", patterns, 5, dialect, depth);
    if (chosen & 32)
        build_int32(out, "maxProperties", (int32_t)next(in, 5));
    if (chosen & 64) {
        build_open_object(out,
                          dialect != SCHEMA_JSON_SCHEMA ? "dependencies" : "dependentRequired");
        name_list(in, out, names[next(in, 6)]);
        build_close(out);
    }
    if ((chosen & 128) && dialect == SCHEMA_JSON_SCHEMA) {
        build_open_object(out, "propertyNames");
        build_text(out, "pattern", PICK(in, patterns));
        build_close(out);
    }
}

static void array_keywords(struct stream *in, struct build *out, enum schema_dialect dialect,
                           unsigned depth)
{
    bool mongodb = dialect != SCHEMA_JSON_SCHEMA;
    switch (next(in, 4)) {
    case 0:
        schema_in(in, out, "items", dialect, depth);
        break;
    case 1:
        schema_list(in, out, mongodb ? "items" : "prefixItems", dialect, depth);
        if (next(in, 2) != 0)
            schema_in(in, out, mongodb ? "additionalItems" : "items", dialect, depth);
        else
            build_bool(out, mongodb ? "additionalItems" : "items", false);
        break;
    case 2:
        build_int32(out, "maxItems", (int32_t)next(in, 4));
        break;
    default:
        if (!mongodb)
            schema_in(in, out, "contains", dialect, depth);
    }
}

static void combination(struct stream *in, struct build *out, enum schema_dialect dialect,
                        unsigned depth)
{
    static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
    static const unsigned choices[] = {
        [SCHEMA_MONGODB] = 4, [SCHEMA_MONGODB_EXTENDED] = 5, [SCHEMA_JSON_SCHEMA] = 6};
    switch (next(in, choices[dialect])) {
    case 3:
        schema_in(in, out, "not", dialect, depth);
        break;
    case 4:
        build_text(out, "$ref", next(in, 3) == 0 ? "#" : "#/$defs/d");
        break;
    case 5:
        schema_in(in, out, "if", dialect, depth);
        schema_in(in, out, "then", dialect, depth);
        schema_in(in, out, "else", dialect, depth);
        break;
    default:
        schema_list(in, out, PICK(in, lists), dialect, depth);
    }
}

static void schema(struct stream *in, struct build *out, enum schema_dialect dialect,
                   unsigned depth)
{
    unsigned chosen = next(in, 256);
    if (chosen & 1)
        types_of(in, out, dialect);
    if (chosen & 2)
        scalar_keywords(in, out, next(in, 256));
    if (depth > 4)
        return;
    if (chosen & 12)
        object_keywords(in, out, dialect, depth);
    if (chosen & 16)
        array_keywords(in, out, dialect, depth);
    if (chosen & 96)
        combination(in, out, dialect, depth);
}

void generate_schema(struct stream *in, struct build *out, enum schema_dialect dialect)
{
    if (dialect != SCHEMA_MONGODB) {
        build_open_object(out, "$defs");
        schema_in(in, out, "d", dialect, 2);
        build_close(out);
    }
    schema(in, out, dialect, 0);
}

void generate_document(struct stream *in, struct build *out)
{
    object(in, out, 0);
}
