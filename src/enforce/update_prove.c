/* The effect of each update operator on an existing document. */
#include "enforce/update.h"

enum { PATH_BYTES = 1024 };

struct proving {
    const struct schema *schema;
    struct schema_scratch *scratch;
    struct update_proof *out;
};

/* An operand at a path with $[] or $[x] may meet no item, even if it is wrong. */
static bool may_do_nothing(const char *path)
{
    return strstr(path, "$[") != NULL;
}

static enum schema_proof prove_set(struct proving *p, const struct scan_element *operand)
{
    enum schema_proof proof =
        schema_prove_set(p->schema, p->scratch, operand->name, operand->kind, operand->value);
    return proof == SCHEMA_PROOF_WRONG && may_do_nothing(operand->name) ? SCHEMA_PROOF_NONE : proof;
}

/* $min and $max change nothing if the stored value already satisfies them. */
static enum schema_proof prove_bound(struct proving *p, const struct scan_element *operand)
{
    enum schema_proof proof = prove_set(p, operand);
    return proof == SCHEMA_PROOF_WRONG ? SCHEMA_PROOF_NONE : proof;
}

/* It changes only an insert. */
static enum schema_proof prove_on_insert(struct proving *p, const struct scan_element *operand)
{
    (void)p;
    (void)operand;
    return SCHEMA_PROOF_RIGHT;
}

static enum schema_proof prove_unset(struct proving *p, const struct scan_element *operand)
{
    return schema_prove_unset(p->schema, operand->name);
}

static enum schema_proof prove_type(struct proving *p, const struct scan_element *operand,
                                    type_mask types)
{
    return types == 0 || may_do_nothing(operand->name)
               ? SCHEMA_PROOF_NONE
               : schema_prove_type(p->schema, operand->name, types);
}

/* The possible types of a sum or product with the operand: never a narrower one. */
static enum schema_proof prove_number(struct proving *p, const struct scan_element *operand)
{
    type_mask types = 0;
    switch (operand->kind) {
    case BSON_KIND_INT32:
        types |= TYPE_BIT(BSON_KIND_INT32);
        /* fall through */
    case BSON_KIND_INT64:
        types |= TYPE_BIT(BSON_KIND_INT64);
        /* fall through */
    case BSON_KIND_DOUBLE:
        types |= TYPE_BIT(BSON_KIND_DOUBLE);
        /* fall through */
    case BSON_KIND_DECIMAL128:
        types |= TYPE_BIT(BSON_KIND_DECIMAL128);
        break;
    default: /* the server refuses it */
        break;
    }
    return prove_type(p, operand, types);
}

static enum schema_proof prove_bits(struct proving *p, const struct scan_element *operand)
{
    return prove_type(p, operand, TYPE_BIT(BSON_KIND_INT32) | TYPE_BIT(BSON_KIND_INT64));
}

static enum schema_proof prove_date(struct proving *p, const struct scan_element *operand)
{
    struct scan_element type;
    const char *text = NULL;
    size_t len = 0;
    type_mask types = 0;
    if (operand->kind == BSON_KIND_BOOL)
        types = TYPE_BIT(BSON_KIND_DATE);
    else if (operand->kind == BSON_KIND_OBJECT && scan_find(operand->value, "$type", &type) &&
             scan_as_string(&type, &text, &len))
        types = len == 4 ? TYPE_BIT(BSON_KIND_DATE) : TYPE_BIT(BSON_KIND_TIMESTAMP);
    return prove_type(p, operand, types);
}

/* The items that $push and $addToSet add: one, or those of $each. */
struct added {
    struct scan scan;
    struct scan_element one;
    bool many;
    bool taken;
    bool sliced; /* an added item may be removed at once */
};

static struct added open_added(const struct scan_element *operand)
{
    struct added added = {.one = *operand};
    struct scan_element modifier;
    if (operand->kind == BSON_KIND_OBJECT && scan_find(operand->value, "$each", &modifier) &&
        modifier.kind == BSON_KIND_ARRAY) {
        added.many = scan_open(&added.scan, modifier.value);
        added.sliced = scan_find(operand->value, "$slice", &modifier);
    }
    return added;
}

static bool next_added(struct added *added, struct scan_element *item)
{
    if (added->many)
        return scan_next(&added->scan, item);
    *item = added->one;
    bool first = !added->taken;
    added->taken = true;
    return first;
}

static enum schema_proof prove_added(struct proving *p, const struct scan_element *operand)
{
    static const char items[] = ".$[]";
    char path[PATH_BYTES];
    struct added added = open_added(operand);
    struct scan_element item;
    if (added.sliced || operand->name_len > sizeof path - sizeof items ||
        may_do_nothing(operand->name))
        return SCHEMA_PROOF_NONE;
    memcpy(path, operand->name, operand->name_len);
    memcpy(path + operand->name_len, items, sizeof items);
    while (next_added(&added, &item))
        if (schema_prove_set(p->schema, p->scratch, path, item.kind, item.value) ==
            SCHEMA_PROOF_WRONG)
            return SCHEMA_PROOF_WRONG;
    return schema_prove_type(p->schema, operand->name, TYPE_BIT(BSON_KIND_ARRAY));
}

/* The old name is gone afterwards; the value of the new name is unknown. */
static enum schema_proof prove_rename(struct proving *p, const struct scan_element *operand)
{
    return schema_prove_unset(p->schema, operand->name) == SCHEMA_PROOF_WRONG ? SCHEMA_PROOF_WRONG
                                                                              : SCHEMA_PROOF_NONE;
}

/* Other operators ($pull, $pullAll, $pop and future ones) leave the result open. */
static const struct {
    const char *name;
    enum schema_proof (*prove)(struct proving *p, const struct scan_element *operand);
} operators[] = {
    {"$set", prove_set},        {"$setOnInsert", prove_on_insert},
    {"$unset", prove_unset},    {"$inc", prove_number},
    {"$mul", prove_number},     {"$min", prove_bound},
    {"$max", prove_bound},      {"$push", prove_added},
    {"$addToSet", prove_added}, {"$currentDate", prove_date},
    {"$rename", prove_rename},  {"$bit", prove_bits},
};

static bool prove_operand(void *arg, const struct scan_element *op,
                          const struct scan_element *operand)
{
    struct proving *p = arg;
    enum schema_proof proof = SCHEMA_PROOF_NONE;
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (scan_name_is(op, operators[i].name))
            proof = operators[i].prove(p, operand);
    /* A wrong operator decides, otherwise an open one; the first of each kind is reported. */
    bool decides = proof == SCHEMA_PROOF_WRONG
                       ? p->out->proof != SCHEMA_PROOF_WRONG
                       : proof == SCHEMA_PROOF_NONE && p->out->proof == SCHEMA_PROOF_RIGHT;
    if (decides)
        *p->out =
            (struct update_proof){.proof = proof, .operator_name = op->name, .operand = *operand};
    return true; /* continues after a wrong operator, because all operands must be BSON */
}

bool update_prove(const struct schema *schema, struct schema_scratch *scratch, struct bytes change,
                  struct update_proof *out, struct error *err)
{
    struct proving proving = {schema, scratch, out};
    bool bare = false;
    *out = (struct update_proof){.proof = SCHEMA_PROOF_RIGHT};
    bool ok = update_each(change, prove_operand, &proving, &bare, err);
    out->bare = bare;
    return ok;
}
