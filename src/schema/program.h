/* The flat program of a schema: arrays of small structs that refer to each other by index, in one
 * block of memory. A node defines the BSON types of a value and the rules for it.
 *
 * Node 0 allows everything. lower.h makes a program, evaluate.h runs it. Immutable once made. */
#ifndef SLUICE_SCHEMA_PROGRAM_H
#define SLUICE_SCHEMA_PROGRAM_H

#include "bson/compare.h"
#include "bson/number.h"
#include "schema/byte_class.h"
#include "schema/pattern.h"
#include "schema/types.h"

#define NODE_ANY     0U
#define NODE_NOTHING UINT32_MAX       /* no value is allowed here */
#define NODE_OTHER   (UINT32_MAX - 1) /* a known name that counts as an additional one */
#define NO_INDEX     UINT32_MAX

struct node {
    type_mask types;    /* the allowed types */
    type_mask plain;    /* of these: types without further rules */
    type_mask combined; /* types for which the combinations below apply */
    uint32_t object;    /* index or NO_INDEX */
    uint32_t array;
    uint32_t number;
    uint32_t string;
    uint32_t combination_first;
    uint32_t combination_count;
    int32_t binary_subtype; /* -1: any */
    uint32_t binary;        /* a string rule whose lengths count bytes; or NO_INDEX */
    uint32_t encrypted;     /* nonzero: the allowed original types of an encrypted value */
};

struct string_rule {
    uint32_t min_length; /* code points, or bytes of binary data */
    uint32_t max_length;
    const struct pattern *pattern;    /* NULL: any */
    const struct byte_class_row *row; /* the pattern's, if it is that simple */
};

/* A bound as written, for exact comparisons. */
struct number_bound {
    struct number value;
    bool upper;
    bool exclusive;
};

struct number_rule {
    int64_t min_integer; /* inclusive: the bounds among int64 … */
    int64_t max_integer;
    double min_real; /* … and among doubles */
    double max_real;
    uint32_t bound_first;
    uint32_t bound_count;
    bool integral;
    bool exact; /* a bound is NaN: every value is compared with the bounds themselves */
    bool has_multiple;
    struct number multiple_of;
};

/* One operation for all rules on values of one kind: the kind that the fields of the node most
 * likely have. The node handles values of other kinds and rules without an operation. With
 * predicted names, an order of 361 bytes takes 75 ns; without these operations it takes 137 ns. */
enum quick_op {
    QUICK_NONE,
    QUICK_FIXED, /* any value of a fixed-size kind */
    QUICK_BOOL,
    QUICK_INT32,
    QUICK_DOUBLE,
    QUICK_STRING,
    QUICK_CODE, /* a string with a pattern of fixed length */
    QUICK_ENUM, /* one of few short strings */
    QUICK_OBJECT,
    QUICK_ARRAY
};

#define QUICK_NO_KIND 0x100 /* the kind of no value, not even of a broken one */

struct quick {
    uint16_t kind; /* QUICK_NO_KIND with QUICK_NONE */
    uint8_t op;
    uint8_t size_bytes; /* for QUICK_FIXED and QUICK_CODE: the size of the whole value */
    uint32_t node;      /* or NODE_NOTHING, NODE_OTHER */
    union {
        struct {
            int32_t min;
            int32_t max;
        } int32;
        struct {
            double min;
            double max;
        } real;
        struct {
            uint32_t min_length; /* code points */
            uint32_t max_length;
            const struct byte_class_row *row; /* or NULL */
        } string;
        const struct byte_class_code *code;
        struct {
            uint32_t first; /* in program.values */
            uint32_t count;
        } values;
        uint32_t index; /* of the object's or array's rule */
    };
};

/* The first bytes of a string, with a bit for each byte that counts: one comparison finds out
 * whether the string stands at a place. */
struct head {
    uint8_t bytes[16];
    uint32_t need;
};
#define HEAD_NEVER (1U << 16) /* as `need`: matches nowhere */

/* A name the schema knows. */
struct property {
    struct head head;  /* the name and its NUL; matches nothing if they are too long */
    uint32_t name_len; /* UINT32_MAX: matches nothing */
    uint64_t bit;      /* its bit among the seen names, in word index / 64 */
    struct quick quick;
    uint32_t name; /* offset in program.text, NUL-terminated */
    uint32_t hash;
};
_Static_assert(sizeof(struct property) == 64, "one cache line");

struct pattern_property {
    const struct pattern *pattern;
    uint32_t node;
};

struct dependency {
    uint32_t property;   /* index within the object's properties */
    uint32_t node;       /* applied to the object; NO_INDEX: then the names are required */
    uint32_t name_first; /* in program.links: indexes of properties */
    uint32_t name_count;
};

struct object_rule {
    uint32_t property_first;
    uint32_t property_count; /* two more entries follow, which never match */
    uint32_t slot_first;     /* hash slots, in program.links: index of a property, or NO_INDEX */
    uint32_t slot_mask;
    uint32_t required_first; /* bits, in program.bits */
    uint32_t words;          /* the number of 64-bit words for the properties */
    uint32_t additional;     /* node, or NODE_NOTHING */
    uint32_t pattern_first;
    uint32_t pattern_count;
    uint32_t names; /* node for names, or NO_INDEX */
    uint32_t dependency_first;
    uint32_t dependency_count;
    uint32_t min_properties;
    uint32_t max_properties;
    uint64_t required; /* the first word of these bits */
    bool asks_more; /* an object with one word has rules beyond its fields and its required names */
    bool check_repeated; /* all fields with the same name are checked, not only the first */
};

struct array_rule {
    uint32_t prefix_first; /* nodes, in program.links */
    uint32_t prefix_count;
    struct quick rest; /* its node may be NODE_NOTHING */
    uint32_t min_items;
    uint32_t max_items;
    uint32_t contains; /* node, or NO_INDEX */
    uint32_t min_contains;
    uint32_t max_contains;
    bool unique;
};

enum combination_kind {
    COMBINE_ALL,
    COMBINE_ANY,
    COMBINE_ONE,
    COMBINE_NOT,
    COMBINE_IF, /* links: if, then, else; NODE_ANY for a missing one */
    COMBINE_ENUM,
    COMBINE_TAG /* a discriminator selects the only link that can match */
};

struct combination {
    enum combination_kind kind;
    uint32_t first; /* nodes, in program.links; or the enum; or the tag rule */
    uint32_t count;
};

/* A set of values, as open addressing over value hashes. */
struct enum_rule {
    uint32_t slot_first; /* in program.links: index in program.values, or NO_INDEX */
    uint32_t slot_mask;
    uint32_t value_first;
    uint32_t value_count;
};

struct enum_value {
    struct compare_value value; /* bytes in the schema's copy */
    struct head head;           /* all bytes of a string, if it is short enough */
    uint64_t hash;
};

/* The field whose string selects an alternative. If the field is absent or not a string, the
 * alternatives of `otherwise` are tried. */
struct tag_rule {
    uint32_t name; /* in program.text */
    uint32_t name_len;
    uint32_t values; /* an enum_rule; links_first[i] belongs to its i-th value */
    uint32_t links_first;
    struct combination otherwise;
};

struct program {
    void *block;           /* owned: contains all of the following */
    struct quick document; /* of whole documents */
    const struct node *nodes;
    const struct object_rule *objects;
    const struct property *properties;
    const struct array_rule *arrays;
    const struct number_rule *numbers;
    const struct number_bound *bounds;
    const struct string_rule *strings;
    const struct combination *combinations;
    const struct enum_rule *enums;
    const struct enum_value *values;
    const struct tag_rule *tags;
    const struct pattern_property *patterns;
    const struct dependency *dependencies;
    const uint64_t *bits;
    const uint32_t *links;
    const char *text;
    size_t bytes; /* of the block */
};

#endif
