#include "schema/prove.h"

#include "schema/explain.h"

#include <stdlib.h>

#define RULES_MAX     64  /* rules for one value at the same time */
#define COMPONENT_MAX 256 /* bytes of one name in a path */

/* All rules for the value at a path, and the known facts about it. */
struct path_rules {
    const struct rule *rules[RULES_MAX];
    size_t count;
    bool overflow;  /* there were more rules: no proof is possible */
    bool separable; /* the rest of the document does not depend on it, nor it on the rest */
    bool certain;   /* a valid document has a value here */
    bool forbidden; /* no value is allowed here */
};

struct component {
    char name[COMPONENT_MAX];
    bool index;      /* digits */
    bool positional; /* $, $[], $[x] */
};

/* Adds the rule with its references and allOf. */
static void add_rule(struct path_rules *s, const struct rule *rule)
{
    if (s->count == RULES_MAX) {
        s->overflow = true;
        return;
    }
    s->rules[s->count++] = rule;
    if (rule->ref != NULL)
        add_rule(s, rule->ref);
    for (size_t i = 0; i < rule->all_of.count; i++)
        add_rule(s, rule->all_of.rules[i]);
}

static const char *next_component(const char *path, struct component *out)
{
    size_t len = strcspn(path, ".");
    if (len == 0 || len >= sizeof out->name)
        return NULL;
    memcpy(out->name, path, len);
    out->name[len] = 0;
    out->positional = out->name[0] == '$';
    out->index = strspn(out->name, "0123456789") == len;
    return path[len] == '.' ? path + len + 1 : path + len;
}

static type_mask types_of(const struct path_rules *s)
{
    type_mask types = TYPES_ALL;
    for (size_t i = 0; i < s->count; i++)
        types &= s->rules[i]->types;
    return types;
}

/* True if only a field's own rules depend on the field. `created`: the object may be created with
 * only this field. */
static bool is_separable(const struct rule *rule, const char *name, bool created)
{
    if (rule->any_of.count > 0 || rule->one_of.count > 0 || rule->not_ != NULL ||
        rule->if_ != NULL || rule->dependency_count > 0 || rule->max_properties < UINT32_MAX ||
        rule->min_properties > 0 || rule_has(rule, KEYWORD_ENUM) || rule_has(rule, KEYWORD_CONST) ||
        rule->encrypted_types != 0)
        return false;
    for (size_t i = 0; created && i < rule->required_count; i++)
        if (strcmp(rule->required[i].name, name) != 0)
            return false;
    return true;
}

static bool is_required(const struct path_rules *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t r = 0; r < s->rules[i]->required_count; r++)
            if (strcmp(s->rules[i]->required[r].name, name) == 0)
                return true;
    return false;
}

/* Adds an object's rules for its field. */
static void enter_field(struct path_rules *to, const struct rule *rule, const char *name,
                        struct schema_scratch *scratch)
{
    bool listed = false;
    for (size_t i = 0; i < rule->property_count; i++) {
        if (strcmp(rule->properties[i].name, name) != 0)
            continue;
        add_rule(to, rule->properties[i].rule);
        listed = true;
    }
    for (size_t i = 0; i < rule->pattern_count; i++) {
        enum pattern_result found =
            scratch == NULL ? PATTERN_CUT_OFF
                            : pattern_match(rule->patterns[i].pattern, (const uint8_t *)name,
                                            strlen(name), scratch->patterns);
        if (found == PATTERN_CUT_OFF)
            to->overflow = true;
        if (found != PATTERN_YES)
            continue;
        add_rule(to, rule->patterns[i].rule);
        listed = true;
    }
    if (rule->names != NULL)
        to->separable = false;
    if (listed || to->overflow)
        return;
    if (rule->no_additional)
        to->forbidden = true;
    else if (rule->additional != NULL)
        add_rule(to, rule->additional);
}

static void enter_item(struct path_rules *to, const struct rule *rule, const struct component *c)
{
    size_t index = RULES_MAX;
    if (c->index && strlen(c->name) < 4)
        index = (size_t)strtoul(c->name, NULL, 10);
    if (c->index && index < rule->prefix.count)
        add_rule(to, rule->prefix.rules[index]);
    else if (c->index && index < RULES_MAX && rule->no_rest)
        to->forbidden = true;
    else if (rule->rest != NULL && (rule->prefix.count == 0 || (c->index && index < RULES_MAX)))
        add_rule(to, rule->rest);
}

/* From the rules for a value to those for its part. False if the part is uncertain. */
static bool enter(const struct path_rules *from, const struct component *c, bool top,
                  struct schema_scratch *scratch, struct path_rules *to)
{
    type_mask types = top ? TYPE_BIT(BSON_KIND_OBJECT) : types_of(from);
    bool array = (types & TYPE_BIT(BSON_KIND_ARRAY)) != 0;
    bool object = (types & TYPE_BIT(BSON_KIND_OBJECT)) != 0;
    bool item = c->positional || (c->index && !object);
    *to = (struct path_rules){.separable = from->separable,
                              .certain = from->certain && !array && is_required(from, c->name)};
    if (c->index && object && array)
        return false;
    if (item ? !array : !object) {
        to->forbidden = true;
        return true;
    }
    if (item)
        to->separable = false;
    for (size_t i = 0; i < from->count && !to->overflow; i++) {
        const struct rule *rule = from->rules[i];
        if (item)
            enter_item(to, rule, c);
        else
            enter_field(to, rule, c->name, scratch);
        to->separable = to->separable && is_separable(rule, c->name, !top);
    }
    return !to->overflow;
}

/* Walks the path. On true, *parent and *leaf are the last two sets of rules (parent->count is 0 if
 * the path ended in a forbidden place), and `last` is the last component. */
static bool walk(const struct schema *schema, const char *path, struct schema_scratch *scratch,
                 struct path_rules *parent, struct path_rules *leaf, struct component *last)
{
    *leaf = (struct path_rules){.separable = true, .certain = true};
    add_rule(leaf, schema->document);
    if (*path == 0)
        return false;
    for (bool top = true; *path != 0; top = false) {
        *parent = *leaf;
        path = next_component(path, last);
        if (path == NULL || parent->overflow || !enter(parent, last, top, scratch, leaf))
            return false;
        if (leaf->forbidden)
            return true;
    }
    return true;
}

/* Checks that the value satisfies all rules of the leaf; open if that takes too much work. */
static enum schema_proof prove_value(struct explain *x, const struct path_rules *leaf,
                                     const struct explain_value *value)
{
    for (size_t i = 0; i < leaf->count; i++) {
        bool satisfied = explain_satisfies(x, leaf->rules[i], value);
        if (x->work == 0 || x->cut_off)
            return SCHEMA_PROOF_NONE;
        if (!satisfied)
            return SCHEMA_PROOF_WRONG;
    }
    return leaf->separable ? SCHEMA_PROOF_RIGHT : SCHEMA_PROOF_NONE;
}

enum schema_proof schema_prove_set(const struct schema *schema, struct schema_scratch *scratch,
                                   const char *path, uint8_t kind, struct bytes value)
{
    struct path_rules parent;
    struct path_rules leaf;
    struct component last;
    struct explain x = {.schema = schema, .scratch = scratch, .work = schema_scratch_work(scratch)};
    uint64_t given = x.work;
    struct explain_value one = {kind, false, value};
    if (scratch->allowance == NULL)
        schema_scratch_begin(scratch);
    if (!walk(schema, path, scratch, &parent, &leaf, &last))
        return SCHEMA_PROOF_NONE;
    if (leaf.forbidden)
        return SCHEMA_PROOF_WRONG;
    enum schema_proof proof = prove_value(&x, &leaf, &one);
    schema_scratch_spend(scratch, given - x.work);
    return proof;
}

enum schema_proof schema_prove_type(const struct schema *schema, const char *path, type_mask types)
{
    struct path_rules parent;
    struct path_rules leaf;
    struct component last;
    if (!walk(schema, path, NULL, &parent, &leaf, &last))
        return SCHEMA_PROOF_NONE;
    return leaf.forbidden || (types_of(&leaf) & types) == 0 ? SCHEMA_PROOF_WRONG
                                                            : SCHEMA_PROOF_NONE;
}

enum schema_proof schema_prove_unset(const struct schema *schema, const char *path)
{
    struct path_rules parent;
    struct path_rules leaf;
    struct component last;
    if (!walk(schema, path, NULL, &parent, &leaf, &last) || last.positional)
        return SCHEMA_PROOF_NONE;
    /* without its parent there is nothing to unset; in an array the item becomes null */
    bool from_object = types_of(&parent) == TYPE_BIT(BSON_KIND_OBJECT) || !last.index;
    if (is_required(&parent, last.name))
        return parent.certain && from_object ? SCHEMA_PROOF_WRONG : SCHEMA_PROOF_NONE;
    if (leaf.forbidden) /* a forbidden value is gone, but other rules may still be broken */
        return SCHEMA_PROOF_NONE;
    return leaf.separable && from_object ? SCHEMA_PROOF_RIGHT : SCHEMA_PROOF_NONE;
}
