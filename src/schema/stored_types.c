/* Dialect json-schema: maps the types of a JSON schema to the types that Beanie and pydantic store.
 * docs/schemas.md contains the table. */
#include "schema/parse.h"

static bool is_string(const struct scan_element *element, const char *wanted)
{
    const char *text = NULL;
    size_t len = 0;
    return element != NULL && scan_as_string(element, &text, &len) && strlen(wanted) == len &&
           memcmp(text, wanted, len) == 0;
}

/* The stored type of a string with this format; other formats are stored as strings. */
static const struct {
    const char *format;
    type_mask types;
    int32_t binary_subtype;
} stored[] = {
    {"date-time", TYPE_BIT(BSON_KIND_DATE), -1},
    {"date", TYPE_BIT(BSON_KIND_DATE), -1},
    {"duration", TYPE_BIT(BSON_KIND_DOUBLE), -1},
    {"uuid", TYPE_BIT(BSON_KIND_BINARY), 4},
    {"uuid1", TYPE_BIT(BSON_KIND_BINARY), 4},
    {"uuid3", TYPE_BIT(BSON_KIND_BINARY), 4},
    {"uuid4", TYPE_BIT(BSON_KIND_BINARY), 4},
    {"uuid5", TYPE_BIT(BSON_KIND_BINARY), 4},
    {"uuid6", TYPE_BIT(BSON_KIND_BINARY), 4},
    {"uuid7", TYPE_BIT(BSON_KIND_BINARY), 4},
    {"uuid8", TYPE_BIT(BSON_KIND_BINARY), 4},
    {"binary", TYPE_BIT(BSON_KIND_BINARY), 0},
    /* Base64Bytes is stored as bytes and Base64Str as a string, but their schemas are equal. */
    {"base64", TYPE_BIT(BSON_KIND_BINARY) | TYPE_BIT(BSON_KIND_STRING), 0},
    {"base64url", TYPE_BIT(BSON_KIND_BINARY) | TYPE_BIT(BSON_KIND_STRING), 0},
    /* The same holds for SecretStr and SecretBytes. */
    {"password", TYPE_BIT(BSON_KIND_BINARY) | TYPE_BIT(BSON_KIND_STRING), 0},
    {"regex", TYPE_BIT(BSON_KIND_REGEX), -1},
};

/* The patterns with which pydantic and Beanie describe types that are not stored as strings. */
#define OBJECT_ID_PATTERN "^[0-9a-f]{24}$"
#define DECIMAL_PATTERN   "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$"

static void map_string(struct rule *rule)
{
    const struct scan_element *format = rule_keyword_element(rule, KEYWORD_FORMAT);
    const struct scan_element *pattern = rule_keyword_element(rule, KEYWORD_PATTERN);
    for (size_t i = 0; i < sizeof stored / sizeof stored[0]; i++) {
        if (!is_string(format, stored[i].format))
            continue;
        rule->types = (rule->types & ~TYPE_BIT(BSON_KIND_STRING)) | stored[i].types;
        rule->binary_subtype = stored[i].binary_subtype;
        rule->binary_length = stored[i].binary_subtype == 0;
        return;
    }
    if (is_string(rule_keyword_element(rule, KEYWORD_CONTENT_MEDIA_TYPE), "application/json"))
        rule->types = TYPES_ALL; /* pydantic's Json: the content of the text is stored */
    else if (is_string(pattern, OBJECT_ID_PATTERN))
        rule->types |= TYPE_BIT(BSON_KIND_OBJECT_ID);
    else if (is_string(pattern, DECIMAL_PATTERN))
        rule->types |= TYPE_BIT(BSON_KIND_DECIMAL128);
}

void parse_map_stored_types(struct rule *rule)
{
    if (rule_has(rule, KEYWORD_TYPE) && (rule->types & TYPE_BIT(BSON_KIND_STRING)) != 0)
        map_string(rule);
}

static const struct rule_property *find_property(const struct rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->property_count; i++)
        if (strcmp(rule->properties[i].name, name) == 0)
            return &rule->properties[i];
    return NULL;
}

static bool rename_id(struct parser *p, struct rule *rule)
{
    if (find_property(rule, "_id") != NULL)
        return true;
    struct rule_property *required = parse_alloc(p, rule->required_count, sizeof *required);
    if (required == NULL)
        return false;
    for (size_t i = 0; i < rule->property_count; i++)
        if (strcmp(rule->properties[i].name, "id") == 0)
            rule->properties[i] = (struct rule_property){"_id", 3, rule->properties[i].rule};
    for (size_t i = 0; i < rule->required_count; i++)
        required[i] = strcmp(rule->required[i].name, "id") == 0
                          ? (struct rule_property){"_id", 3, NULL}
                          : rule->required[i];
    rule->required = required;
    return true;
}

struct rule *parse_stored_document(struct parser *p)
{
    static const char *const added[] = {"_id", "revision_id", "_class_id"};
    const size_t added_count = sizeof added / sizeof added[0];
    const struct rule *root = p->schema->root;
    /* A recursive model is a reference to one of its own definitions. */
    for (int hops = 0; hops < SCHEMA_IN_PLACE_MAX && root->ref != NULL; hops++)
        if ((root->present & ~(KEYWORD_BIT(KEYWORD_REF) | KEYWORD_BIT(KEYWORD_DEFS) |
                               KEYWORD_BIT(KEYWORD_ANNOTATION) | KEYWORD_BIT(KEYWORD_TITLE) |
                               KEYWORD_BIT(KEYWORD_DESCRIPTION))) == 0)
            root = root->ref;
    struct rule *document = parse_alloc(p, 1, sizeof *document);
    struct rule *anything = parse_alloc(p, 1, sizeof *anything);
    struct rule_property *properties =
        parse_alloc(p, root->property_count + added_count, sizeof *properties);
    if (document == NULL || anything == NULL || properties == NULL)
        return NULL;
    *document = *root;
    document->next = NULL;
    rule_set_defaults(anything);
    for (size_t i = 0; i < root->property_count; i++)
        properties[i] = root->properties[i];
    document->properties = properties;
    if (!rename_id(p, document))
        return NULL;
    for (size_t i = 0; i < added_count; i++)
        if (find_property(document, added[i]) == NULL)
            properties[document->property_count++] =
                (struct rule_property){added[i], strlen(added[i]), anything};
    return document;
}

static bool names_strings(const struct scan_element *type)
{
    struct scan scan;
    struct scan_element one;
    if (type == NULL || is_string(type, "string"))
        return true;
    if (type->kind != BSON_KIND_ARRAY)
        return false;
    (void)scan_open(&scan, type->value);
    while (scan_next(&scan, &one))
        if (is_string(&one, "string"))
            return true;
    return false;
}

struct rule *parse_rule_for_names(struct parser *p, const struct rule *rule)
{
    struct rule *names = parse_alloc(p, 1, sizeof *names);
    if (names == NULL)
        return NULL;
    *names = *rule;
    names->next = NULL;
    names->integral = false;
    names->binary_subtype = -1;
    names->binary_length = false;
    if (!rule->never)
        names->types = names_strings(rule_keyword_element(rule, KEYWORD_TYPE)) ? TYPES_ALL : 0;
    return names;
}
