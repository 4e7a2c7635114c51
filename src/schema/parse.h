/* Reads a schema's BSON into rules. The parse_*.c files contain the keywords by subject; parse.c
 * walks and reports. */
#ifndef SLUICE_SCHEMA_PARSE_H
#define SLUICE_SCHEMA_PARSE_H

#include "schema/rule.h"
#include "schema/schema_internal.h"

/* The parser's position, for the JSON pointer of a problem. */
struct parse_path {
    const struct parse_path *up;
    const char *name; /* NULL: an index */
    size_t index;
};

struct parser {
    struct schema *schema;
    const struct parse_path *path;
    schema_report_fn *report;
    void *report_arg;
    struct error *err;  /* the first problem */
    struct rule *first; /* all rules, in the order of their start */
    struct rule *last;
    unsigned problems;
    unsigned depth;
    bool stopped; /* no memory, or a limit: the parser gives up */
};

/* Parses schema->bson into schema->root. False after a problem. */
bool parse_schema(struct schema *schema, schema_report_fn *report, void *arg, struct error *err);

/* Reports a problem at the parser's path. Returns false. */
bool parse_problem(struct parser *p, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool parse_out_of_memory(struct parser *p);
#define SCHEMA_TOO_LARGE "Compiled, the schema takes more than the limit of 48 MiB of memory"
/* Zeroed memory of the schema's arena; NULL after reporting a problem. */
void *parse_alloc(struct parser *p, size_t count, size_t size_bytes);

/* The sub-schema in an element; adds the element's name or an index to the path. NULL after
 * reporting a problem. */
struct rule *parse_sub_schema(struct parser *p, const struct scan_element *element);
struct rule *parse_indexed_schema(struct parser *p, const struct scan_element *element,
                                  size_t index);

/* The sub-schema that is the value of the keyword in the path. */
struct rule *parse_own_schema(struct parser *p, const struct scan_element *element);

typedef bool parse_fn(struct parser *p, struct rule *rule, const struct scan_element *element);

/* parse_scalar.c */
parse_fn parse_type, parse_bson_type, parse_bound, parse_exclusive, parse_multiple_of,
    parse_pattern, parse_count_keyword, parse_flag, parse_enum, parse_const, parse_format,
    parse_text, parse_description, parse_encrypt, parse_encrypt_metadata;
/* parse_object.c */
parse_fn parse_properties, parse_additional_properties, parse_pattern_properties,
    parse_property_names, parse_required, parse_dependencies, parse_dependent_required,
    parse_dependent_schemas;
/* parse_array.c */
parse_fn parse_items, parse_prefix_items, parse_additional_items, parse_contains, parse_schema_list,
    parse_single_schema, parse_ref, parse_defs, parse_discriminator, parse_annotation;

/* True if the rule is about strings only. Field names are not BSON values, so other keywords have
 * no meaning for them. */
bool parse_is_about_names(const struct rule *rule);
/* The same rule for names: they are strings, even if strings of its format are stored as another
 * type. */
struct rule *parse_rule_for_names(struct parser *p, const struct rule *rule);

/* Handles keywords that belong together, after all keywords of a sub-schema are read. */
bool parse_settle(struct parser *p, struct rule *rule);
/* Dialect json-schema: maps the types of JSON to stored types. */
void parse_map_stored_types(struct rule *rule);
/* Dialect json-schema: the rule for whole documents. `id` is stored as `_id`, and Beanie's own
 * fields are allowed. NULL after reporting a problem. */
struct rule *parse_stored_document(struct parser *p);

/* Compiles a pattern, which the schema then owns; NULL after reporting a problem. */
const struct pattern *parse_compile_pattern(struct parser *p, const char *text, size_t len,
                                            enum pattern_flavour flavour);
/* The flavour of `pattern`. */
enum pattern_flavour parse_pattern_flavour(const struct parser *p);

/* Checks an array of distinct strings, as in `required`; `may_be_empty` in dialect json-schema. */
bool parse_check_names(struct parser *p, const struct scan_element *element, const char *keyword,
                       bool may_be_empty);

#endif
