/* What the evaluator foretells (names, kinds, keys of arrays) against the plain ways: every byte of
 * some documents is set to every value, and every document is cut at every place. The verdict is
 * then that of the check of BSON and of the slow evaluator of the rules. */
#include "support.h"

#include "bson/validate.h"
#include "schema/explain.h"

#include <stdlib.h>

/* One field for each quick operation, and some that have none. */
static const char schema_json[] =
    "{'bsonType':'object','required':['code','on'],'properties':{"
    "'code':{'bsonType':'string','pattern':'^[A-Z]{2}[0-9]{2}$'},"
    "'mail':{'bsonType':'string','pattern':'^[^@ ]+@[^@ ]+$','maxLength':20},"
    "'state':{'enum':['new','paid','a state too long for sixteen',7]},"
    "'on':{'bsonType':'bool'},"
    "'':{'bsonType':'int','minimum':1,'maximum':99},"
    "'a name of twenty byte':{'bsonType':'date'},"
    "'share':{'bsonType':'number','minimum':0,'maximum':{'$numberDouble':'1.5'}},"
    "'note':{'bsonType':['string','null'],'minLength':2},"
    "'any':{},"
    "'in':{'bsonType':'object','required':['x','z'],'properties':{"
    "'x':{'bsonType':'int'},'y':{'bsonType':'string'}}},"
    "'like':{'bsonType':'object','properties':{'p':{'bsonType':'int'}},"
    "'patternProperties':{'^q':{'bsonType':'int'}},'additionalProperties':false},"
    "'list':{'bsonType':'array','maxItems':12,'items':"
    "{'bsonType':'object','properties':{'q':{'bsonType':'int','maximum':9}}}},"
    "'tags':{'bsonType':'array','items':{'bsonType':'string'},'uniqueItems':true},"
    "'id':{'bsonType':'objectId'}}}";

static const char all[] =
    "{'code':'AB12','mail':'a@example.org','state':'paid','on':true,'':7,"
    "'a name of twenty byte':{'$date':{'$numberLong':'1'}},'share':0.5,'note':'\xc3\xa9t\xc3\xa9',"
    "'any':1,'in':{'x':1,'y':'z','z':2},'like':{'p':1,'q':2},'list':[{'q':1},{'q':2},{'q':3},"
    "{'q':4},{'q':5},{'q':6},{'q':7},{'q':8},{'q':9},{'q':1},{'q':2}],"
    "'tags':['a','b'],'id':{'$oid':'000102030405060708090a0b'}}";
static const char other_kinds_and_order[] =
    "{'_id':1,'on':false,'code':'XY99','share':1,'note':null,'in':{'z':2,'y':'','x':1,"
    "'more':[1,'two',null]},'state':'a state too long for sixteen','any':null,'tags':[]}";
static const char refused_early[] =
    "{'code':'ab12','mail':'no address','state':'old','on':1,'':100,'share':-0.5,"
    "'note':'n','in':{'y':''},'list':[{'q':10},1],'tags':['a','a']}";
static const char *const documents[] = {all, other_kinds_and_order, refused_early,
                                        /* The shortest values near the end of everything. */
                                        "{'code':'AB12','on':true}",
                                        "{'on':true,'code':'AB12','x':null}"};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* JSON with ' for ". */
static bson_t *read_json(const char *text)
{
    char json[2048];
    size_t len = strlen(text);
    assert_true(len < sizeof json);
    for (size_t i = 0; i <= len; i++)
        json[i] = (char)(text[i] == '\'' ? '"' : text[i]);
    return support_json(json);
}

/* Copies the bytes to memory of exactly their size, so that the sanitizers find a read past the
 * end. */
static void check(const struct schema *schema, struct schema_scratch *scratch, const uint8_t *bytes,
                  size_t len)
{
    struct error err = {0};
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    struct bytes document = bytes_of(copy, len);
    enum schema_verdict wanted = SCHEMA_MALFORMED;
    if (validate_document(document, &err)) {
        struct explain x = {.schema = schema, .scratch = scratch, .work = SCHEMA_WORK_MAX};
        struct explain_value whole = {BSON_KIND_OBJECT, true, document};
        wanted = explain_satisfies(&x, schema->document, &whole) ? SCHEMA_VALID : SCHEMA_INVALID;
    }
    enum schema_verdict verdict = schema_check(schema, scratch, document, &err);
    if (verdict != wanted)
        fail_msg("verdict %d, not %d (%s)", (int)verdict, (int)wanted, err.message);
    free(copy);
}

static void check_changes(const struct schema *schema, struct schema_scratch *scratch,
                          const bson_t *document)
{
    size_t len = document->len;
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    memcpy(bytes, bson_get_data(document), len);
    check(schema, scratch, bytes, len);
    for (size_t at = 0; at < len; at++) {
        uint8_t kept = bytes[at];
        for (unsigned value = 0; value < 256; value++) {
            bytes[at] = (uint8_t)value;
            check(schema, scratch, bytes, len);
        }
        bytes[at] = kept;
    }
    /* Cut, with the length and the final NUL that a document has. */
    for (size_t cut = len - 1; cut >= 5; cut--) {
        bytes[cut - 1] = 0;
        bytes_store_i32(bytes, (int32_t)cut);
        check(schema, scratch, bytes, cut);
    }
    free(bytes);
}

static void test_changes(void **state)
{
    (void)state;
    struct error err = {0};
    bson_t *bson = read_json(schema_json);
    struct schema *schema = schema_compile(support_bytes(bson), SCHEMA_MONGODB, NULL, NULL, &err);
    if (schema == NULL) {
        fail_msg("%s", err.message);
        return;
    }
    struct schema_scratch *scratch = schema_scratch_new();
    assert_non_null(scratch);
    for (size_t i = 0; i < COUNT(documents); i++) {
        bson_t *document = read_json(documents[i]);
        check_changes(schema, scratch, document);
        bson_destroy(document);
    }
    schema_scratch_free(scratch);
    schema_free(schema);
    bson_destroy(bson);
}

/* A limit that is reached after a refusal changes nothing; before one, it is the answer. */
static void test_refused_and_cut_off(void **state)
{
    (void)state;
    struct error err = {0};
    static const char *const schema =
        "{\"properties\":{\"n\":{\"bsonType\":\"int\"},\"s\":{\"pattern\":\"^(a+)+$\"},"
        "\"t\":{\"pattern\":\"^(a+)+$\"},\"u\":{\"pattern\":\"^(a+)+$\"},"
        "\"v\":{\"pattern\":\"^(a+)+$\"},\"m\":{\"bsonType\":\"int\"}}}";
#define LONG "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\""
#define ALL  "\"s\":" LONG ",\"t\":" LONG ",\"u\":" LONG ",\"v\":" LONG
    assert_int_equal(support_check(SCHEMA_MONGODB, schema, "{\"n\":\"1\"," ALL "}", &err),
                     SCHEMA_INVALID);
    assert_int_equal(support_check(SCHEMA_MONGODB, schema, "{\"n\":1," ALL ",\"m\":\"1\"}", &err),
                     SCHEMA_CUT_OFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_refused_and_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
