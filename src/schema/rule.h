/* A parsed schema: one rule for each sub-schema, with its keywords read and checked. The flat
 * program (lower.h) and the errors (explain.h) come from it. All data lives in the schema's arena,
 * points into the schema's copy of its BSON, and is immutable after parsing. */
#ifndef SLUICE_SCHEMA_RULE_H
#define SLUICE_SCHEMA_RULE_H

#include "bson/number.h"
#include "bson/scan.h"
#include "schema/pattern.h"
#include "schema/types.h"

/* In the order in which errors of a sub-schema are reported; the annotations are last. */
enum keyword {
    KEYWORD_REF,
    KEYWORD_PATTERN,
    KEYWORD_MAX_LENGTH,
    KEYWORD_MIN_LENGTH,
    KEYWORD_MULTIPLE_OF,
    KEYWORD_MAXIMUM,
    KEYWORD_EXCLUSIVE_MAXIMUM,
    KEYWORD_MINIMUM,
    KEYWORD_EXCLUSIVE_MINIMUM,
    KEYWORD_MIN_ITEMS,
    KEYWORD_MAX_ITEMS,
    KEYWORD_UNIQUE_ITEMS,
    KEYWORD_PREFIX_ITEMS,
    KEYWORD_ITEMS,
    KEYWORD_ADDITIONAL_ITEMS,
    KEYWORD_CONTAINS,
    KEYWORD_MIN_CONTAINS,
    KEYWORD_MAX_CONTAINS,
    KEYWORD_ENCRYPT,
    KEYWORD_PROPERTIES,
    KEYWORD_ADDITIONAL_PROPERTIES,
    KEYWORD_PATTERN_PROPERTIES,
    KEYWORD_PROPERTY_NAMES,
    KEYWORD_REQUIRED,
    KEYWORD_MIN_PROPERTIES,
    KEYWORD_MAX_PROPERTIES,
    KEYWORD_DEPENDENCIES,
    KEYWORD_DEPENDENT_REQUIRED,
    KEYWORD_DEPENDENT_SCHEMAS,
    KEYWORD_ALL_OF,
    KEYWORD_ANY_OF,
    KEYWORD_ONE_OF,
    KEYWORD_NOT,
    KEYWORD_IF,
    KEYWORD_THEN,
    KEYWORD_ELSE,
    KEYWORD_CONST,
    KEYWORD_ENUM,
    KEYWORD_TYPE,
    KEYWORD_BSON_TYPE,
    KEYWORD_FORMAT,
    KEYWORD_DISCRIMINATOR,
    KEYWORD_TITLE,
    KEYWORD_DESCRIPTION,
    KEYWORD_ENCRYPT_METADATA,
    KEYWORD_CONTENT_MEDIA_TYPE,
    KEYWORD_DEFS,
    KEYWORD_ANNOTATION, /* allowed, without meaning for validation */
    KEYWORD_COUNT
};
_Static_assert(KEYWORD_COUNT <= 64, "rule.present has a bit for each keyword");

#define KEYWORD_BIT(keyword) ((uint64_t)1 << (keyword))

struct rule_keyword {
    enum keyword keyword;
    struct scan_element element; /* as in the schema */
};

struct rule;

struct rule_list {
    struct rule **rules;
    size_t count;
};

struct rule_property {
    const char *name; /* NUL-terminated, in the schema */
    size_t name_len;
    struct rule *rule;
};

struct rule_pattern {
    const char *text;
    size_t text_len;
    const struct pattern *pattern; /* owned by the schema */
    struct rule *rule;
};

struct rule_dependency {
    const char *name;
    size_t name_len;
    struct rule *rule;           /* NULL if it is a list of names */
    struct scan_element element; /* then an array of strings */
};

/* One of minimum, maximum, exclusiveMinimum and exclusiveMaximum. */
struct rule_bound {
    bool set;
    bool exclusive;
    struct number value;
};

struct rule {
    uint64_t present; /* KEYWORD_BIT of each keyword */
    const struct rule_keyword *keywords;
    size_t keyword_count;
    struct scan_element source; /* the sub-schema itself */
    struct rule *next;          /* in the parser's list of all rules */

    type_mask types;           /* TYPES_ALL without type and bsonType */
    type_mask encrypted_types; /* the types of an encrypted value; 0: no `encrypt` */
    int32_t binary_subtype;    /* the only one allowed, -1: any */
    uint32_t node;             /* its place in the program, after lowering */
    bool never;                /* the schema `false` */
    bool integral;             /* doubles and decimals must not have a fraction ("integer") */
    bool binary_length;        /* lengths count the bytes of binary data */
    bool unique_items;
    bool no_rest;       /* additionalItems: false */
    bool no_additional; /* additionalProperties: false */
    bool visiting;      /* during the search for endless references: being visited, … */
    uint8_t in_place;   /* … and the depth found */

    const struct pattern *pattern; /* owned by the schema */
    struct rule_bound lower[2];    /* minimum, exclusiveMinimum */
    struct rule_bound upper[2];    /* maximum, exclusiveMaximum */
    struct number multiple_of;
    uint32_t min_length, max_length;
    uint32_t min_items, max_items;
    uint32_t min_properties, max_properties;
    uint32_t min_contains, max_contains;

    struct rule_list prefix; /* items as an array, prefixItems */
    struct rule *rest;       /* items as a schema, or the schema after the prefix; NULL: anything */
    struct rule *contains;

    struct rule_property *properties;
    size_t property_count;
    struct rule *additional; /* NULL: anything */
    struct rule_pattern *patterns;
    size_t pattern_count;
    struct rule *names;
    const struct rule_property *required; /* rule is NULL */
    size_t required_count;
    struct rule_dependency *dependencies;
    size_t dependency_count;

    struct rule *ref;
    struct scan_element ref_target; /* the target of $ref; kind 0 without one */
    struct rule_list all_of, any_of, one_of;
    struct rule *not_, *if_, *then_, *else_;
    const char *tag; /* discriminator.propertyName */
    size_t tag_len;
    const struct scan_element *values; /* enum, or const as one value */
    size_t value_count;
};

/* Turns a zeroed rule into one that allows everything. */
void rule_set_defaults(struct rule *rule);

/* The keyword's element, or NULL. */
const struct scan_element *rule_keyword_element(const struct rule *rule, enum keyword keyword);

static inline bool rule_has(const struct rule *rule, enum keyword keyword)
{
    return (rule->present & KEYWORD_BIT(keyword)) != 0;
}

#endif
