/* Reads a schema's BSON into rules. The three parse_*.c files hold the keywords by what they are
 * about; parse.c walks and reports. */
#ifndef SLUICE_SCHEMA_PARSE_H
#define SLUICE_SCHEMA_PARSE_H

#include "schema/rule.h"
#include "schema/schema_internal.h"

/* Where the parser stands, for the JSON pointer of a problem. */
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
    struct rule *first; /* all rules, in the order in which they were begun */
    struct rule *last;
    unsigned problems;
    unsigned depth;
    bool stopped; /* no memory, or a limit: no use to go on */
};

/* Parses schema->bson into schema->root. False if there was a problem. */
bool parse_schema(struct schema *schema, schema_report_fn *report, void *arg, struct error *err);

/* Reports a problem at the parser's path. Returns false. */
bool parse_problem(struct parser *p, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool parse_out_of_memory(struct parser *p);
#define SCHEMA_TOO_LARGE "Compiled, the schema takes more than the limit of 48 MiB of memory"
/* Zeroed memory of the schema's arena; NULL with the problem reported. */
void *parse_alloc(struct parser *p, size_t count, size_t size_bytes);

/* The sub-schema in an element, with the element's name or an index added to the path. NULL with
 * the problem reported. */
struct rule *parse_sub_schema(struct parser *p, const struct scan_element *element);
struct rule *parse_indexed_schema(struct parser *p, const struct scan_element *element,
                                  size_t index);

/* The sub-schema that is the value of the keyword the path names already. */
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

/* Field names are no BSON values: only what is said about strings means something for them. */
bool parse_is_about_names(const struct rule *rule);
/* The same rule for names: they are strings, whatever a string of its format is stored as. */
struct rule *parse_rule_for_names(struct parser *p, const struct rule *rule);

/* Keywords that only mean something together; called when all of a sub-schema's are read. */
bool parse_settle(struct parser *p, struct rule *rule);
/* Dialect json-schema: from the types of JSON to those that are stored. */
void parse_map_stored_types(struct rule *rule);
/* Dialect json-schema: the rule for whole documents: `id` is stored as `_id`, and what Beanie adds
 * to a document is let through. NULL with the problem reported. */
struct rule *parse_stored_document(struct parser *p);

/* Compiles a pattern, which the schema then owns; NULL with the problem reported. */
const struct pattern *parse_compile_pattern(struct parser *p, const char *text, size_t len,
                                            enum pattern_flavour flavour);
/* That of `pattern`. */
enum pattern_flavour parse_pattern_flavour(const struct parser *p);

/* An array of distinct strings, as in `required`; `may_be_empty` in dialect json-schema. */
bool parse_check_names(struct parser *p, const struct scan_element *element, const char *keyword,
                       bool may_be_empty);

#endif
