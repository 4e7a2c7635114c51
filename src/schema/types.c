#include "schema/types.h"

#include "base/text.h"

#define ENTRY(kind) [kind] = TYPE_BIT(kind)

const type_mask type_bits[256] = {
    ENTRY(BSON_KIND_DOUBLE),     ENTRY(BSON_KIND_STRING),    ENTRY(BSON_KIND_OBJECT),
    ENTRY(BSON_KIND_ARRAY),      ENTRY(BSON_KIND_BINARY),    ENTRY(BSON_KIND_UNDEFINED),
    ENTRY(BSON_KIND_OBJECT_ID),  ENTRY(BSON_KIND_BOOL),      ENTRY(BSON_KIND_DATE),
    ENTRY(BSON_KIND_NULL),       ENTRY(BSON_KIND_REGEX),     ENTRY(BSON_KIND_DB_POINTER),
    ENTRY(BSON_KIND_CODE),       ENTRY(BSON_KIND_SYMBOL),    ENTRY(BSON_KIND_CODE_WITH_SCOPE),
    ENTRY(BSON_KIND_INT32),      ENTRY(BSON_KIND_TIMESTAMP), ENTRY(BSON_KIND_INT64),
    ENTRY(BSON_KIND_DECIMAL128), ENTRY(BSON_KIND_MAX_KEY),   ENTRY(BSON_KIND_MIN_KEY),
};

static const struct {
    const char *alias;
    uint8_t kind;
} aliases[] = {
    {"double", BSON_KIND_DOUBLE},
    {"string", BSON_KIND_STRING},
    {"object", BSON_KIND_OBJECT},
    {"array", BSON_KIND_ARRAY},
    {"binData", BSON_KIND_BINARY},
    {"undefined", BSON_KIND_UNDEFINED},
    {"objectId", BSON_KIND_OBJECT_ID},
    {"bool", BSON_KIND_BOOL},
    {"date", BSON_KIND_DATE},
    {"null", BSON_KIND_NULL},
    {"regex", BSON_KIND_REGEX},
    {"dbPointer", BSON_KIND_DB_POINTER},
    {"javascript", BSON_KIND_CODE},
    {"symbol", BSON_KIND_SYMBOL},
    {"javascriptWithScope", BSON_KIND_CODE_WITH_SCOPE},
    {"int", BSON_KIND_INT32},
    {"timestamp", BSON_KIND_TIMESTAMP},
    {"long", BSON_KIND_INT64},
    {"decimal", BSON_KIND_DECIMAL128},
    {"minKey", BSON_KIND_MIN_KEY},
    {"maxKey", BSON_KIND_MAX_KEY},
};

type_mask type_of_alias(const char *alias, size_t len)
{
    if (text_is(alias, len, "number"))
        return TYPES_NUMBER;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (text_is(alias, len, aliases[i].alias))
            return TYPE_BIT(aliases[i].kind);
    return 0;
}

const char *type_alias(uint8_t kind)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (aliases[i].kind == kind)
            return aliases[i].alias;
    return "unknown";
}
