/* update: replacements, operators, upserts, pipelines. */
#include "support.h"

#include <stdio.h>

#include "wire/sections.h"

#define COMMAND "{\"update\":\"c\",\"$db\":\"d\"}"
#define ANY     "{\"update\":\"c\",\"ordered\":false,\"$db\":\"d\"}"

/* name: a string of at most 3, required; n: an int; tags: strings; sub: an object with an int x;
 * strict about other fields. */
#define SCHEMA                                                                                     \
    "\"schema\":{\"required\":[\"name\"],\"additionalProperties\":false,\"properties\":{"          \
    "\"_id\":{},\"name\":{\"bsonType\":\"string\",\"maxLength\":3},\"n\":{\"bsonType\":\"int\"},"  \
    "\"tags\":{\"bsonType\":\"array\",\"items\":{\"bsonType\":\"string\"}},\"at\":{\"bsonType\":"  \
    "\"date\"},\"sub\":{\"bsonType\":\"object\",\"properties\":{\"x\":{\"bsonType\":\"int\"}}}}}"

#define STRICT   "{\"ns\":\"d.c\"," SCHEMA "}"
#define REJECT   "{\"ns\":\"d.c\",\"unproved\":\"reject\"," SCHEMA "}"
#define MODERATE "{\"ns\":\"d.c\",\"level\":\"moderate\"," SCHEMA "}"

static struct support_message update(const char *body, const char *updates)
{
    return (struct support_message){.body = body, .name = "updates", .documents = updates};
}

enum { PASSED, WRONG, UNPROVED };

/* What becomes of one statement, at the strict namespace and where unproved ones are rejected. */
static void expect(const char *statement, int outcome)
{
    struct fixture f;
    char updates[1024];
    (void)snprintf(updates, sizeof updates, "[%s]", statement);
    struct support_message m = update(COMMAND, updates);
    fixture_open(&f, STRICT);
    assert_true(fixture_check(&f, &m));
    if ((f.result.outcome == ENFORCE_FORWARD) != (outcome != WRONG))
        fail_msg("outcome %d: %s", (int)f.result.outcome, statement);
    fixture_counted(&f, REGISTRY_PASSED, outcome == PASSED);
    fixture_counted(&f, REGISTRY_REFUSED, outcome == WRONG);
    fixture_counted(&f, REGISTRY_UNPROVED_ALLOWED, outcome == UNPROVED);
    fixture_close(&f);
    fixture_open(&f, REJECT);
    assert_true(fixture_check(&f, &m));
    assert_int_equal(f.result.outcome, outcome == PASSED ? ENFORCE_FORWARD : ENFORCE_ANSWER);
    fixture_counted(&f, REGISTRY_UNPROVED_REJECTED, outcome == UNPROVED);
    fixture_counted(&f, REGISTRY_REFUSED, outcome == WRONG);
    fixture_close(&f);
    fixture_open(&f, MODERATE);
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_PASSED, outcome == PASSED);
    fixture_counted(&f, REGISTRY_UNPROVED_ALLOWED, outcome != PASSED);
    fixture_close(&f);
}

static void expect_change(const char *change, int outcome)
{
    char statement[512];
    (void)snprintf(statement, sizeof statement, "{\"q\":{},\"u\":%s}", change);
    expect(statement, outcome);
}

static void test_replacement(void **state)
{
    (void)state;
    expect_change("{\"name\":\"abc\"}", PASSED);
    expect_change("{\"name\":\"abcd\"}", WRONG);
    expect_change("{}", WRONG);
    expect_change("{\"_id\":1,\"name\":\"abc\"}", PASSED);
    expect("{\"q\":{\"_id\":1},\"u\":{\"name\":\"abc\"},\"upsert\":true}", PASSED);
    expect("{\"q\":{\"_id\":1},\"u\":{\"x\":1},\"upsert\":true}", WRONG);
}

static void test_operators(void **state)
{
    (void)state;
    expect_change("{\"$set\":{\"name\":\"abc\",\"n\":1}}", PASSED);
    expect_change("{\"$set\":{}}", PASSED);
    expect_change("{\"$set\":{\"n\":1,\"name\":\"abcd\"}}", WRONG);
    expect_change("{\"$set\":{\"other\":1}}", WRONG);
    expect_change("{\"$set\":{\"sub.x\":1}}", PASSED);
    expect_change("{\"$set\":{\"sub.x\":\"a\"}}", WRONG);
    expect_change("{\"$set\":{\"tags.0\":1}}", WRONG);
    expect_change("{\"$set\":{\"tags.$\":1}}", WRONG);
    expect_change("{\"$set\":{\"tags.$[]\":1}}", UNPROVED); /* there may be no item */
    expect_change("{\"$set\":{\"tags.$[x]\":\"a\"}}", UNPROVED);
    expect_change("{\"$setOnInsert\":{\"name\":1}}", PASSED); /* not an upsert: it does nothing */
    expect_change("{\"$unset\":{\"name\":\"\"}}", WRONG);
    expect_change("{\"$unset\":{\"n\":\"\"}}", PASSED);
    expect_change("{\"$set\":{\"n\":1},\"$unset\":{\"name\":\"\"}}", WRONG);
    expect_change("{\"$set\":{\"name\":1},\"$inc\":{\"n\":1}}", WRONG);
    expect_change("{\"$inc\":{\"n\":1}}", UNPROVED);
    expect_change("{\"$inc\":{\"n\":{\"$numberLong\":\"1\"}}}", WRONG);
    expect_change("{\"$inc\":{\"n\":1.5}}", WRONG);
    expect_change("{\"$mul\":{\"n\":{\"$numberDecimal\":\"1\"}}}", WRONG);
    expect_change("{\"$inc\":{\"name\":1}}", WRONG);
    expect_change("{\"$inc\":{\"tags.$[]\":1}}", UNPROVED);
    expect_change("{\"$inc\":{\"n\":\"a\"}}", UNPROVED); /* the server refuses it */
    expect_change("{\"$mul\":{\"other\":1}}", WRONG);
    expect_change("{\"$min\":{\"n\":1}}", PASSED);
    expect_change("{\"$max\":{\"n\":\"a\"}}", UNPROVED); /* it may take no effect */
    expect_change("{\"$push\":{\"tags\":\"a\"}}", UNPROVED);
    expect_change("{\"$push\":{\"tags\":1}}", WRONG);
    expect_change("{\"$push\":{\"name\":\"a\"}}", WRONG);
    expect_change("{\"$push\":{\"tags\":{\"$each\":[\"a\",1]}}}", WRONG);
    expect_change("{\"$push\":{\"tags\":{\"$each\":[\"a\"]}}}", UNPROVED);
    expect_change("{\"$push\":{\"tags\":{\"$each\":[1],\"$slice\":0}}}", UNPROVED);
    expect_change("{\"$push\":{\"tags\":{\"a\":1}}}", WRONG);
    expect_change("{\"$push\":{\"tags.$[]\":1}}", UNPROVED);
    expect_change("{\"$addToSet\":{\"tags\":1}}", WRONG);
    expect_change("{\"$addToSet\":{\"tags\":\"a\"}}", UNPROVED);
    expect_change("{\"$pull\":{\"tags\":\"a\"}}", UNPROVED);
    expect_change("{\"$pop\":{\"name\":1}}", UNPROVED); /* without the field it does nothing */
    expect_change("{\"$currentDate\":{\"at\":true}}", UNPROVED);
    expect_change("{\"$currentDate\":{\"at\":{\"?type\":\"date\"}}}", UNPROVED);
    expect_change("{\"$currentDate\":{\"at\":{\"?type\":\"timestamp\"}}}", WRONG);
    expect_change("{\"$currentDate\":{\"at\":1}}", UNPROVED);
    expect_change("{\"$currentDate\":{\"n\":true}}", WRONG);
    expect_change("{\"$rename\":{\"name\":\"n\"}}", WRONG);
    expect_change("{\"$rename\":{\"n\":\"name\"}}", UNPROVED);
    expect_change("{\"$bit\":{\"n\":{\"and\":1}}}", UNPROVED);
    expect_change("{\"$bit\":{\"name\":{\"and\":1}}}", WRONG);
    expect_change("{\"$new\":{\"n\":1}}", UNPROVED);
    expect_change("[{\"$set\":{\"name\":1}}]", UNPROVED);
}

static void test_long_path(void **state)
{
    (void)state;
    struct fixture f;
    char path[1100];
    char updates[1300];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = 0;
    (void)snprintf(updates, sizeof updates, "[{\"q\":{},\"u\":{\"$push\":{\"%s\":1}}}]", path);
    struct support_message m = update(COMMAND, updates);
    fixture_open(&f, STRICT);
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_UNPROVED_ALLOWED, 1);
    fixture_close(&f);
}

static void expect_upsert(const char *query, const char *change, int outcome)
{
    char statement[512];
    (void)snprintf(statement, sizeof statement, "{\"q\":%s,\"u\":%s,\"upsert\":true}", query,
                   change);
    expect(statement, outcome);
}

static void test_upsert(void **state)
{
    (void)state;
    expect_upsert("{\"_id\":1}", "{\"$set\":{\"name\":\"a\"}}", PASSED);
    expect_upsert("{\"name\":\"a\"}", "{\"$set\":{\"n\":1}}", PASSED);
    expect_upsert("{\"name\":{\"$eq\":\"a\"},\"n\":{\"$gt\":1}}", "{\"$set\":{\"n\":1}}", PASSED);
    expect_upsert("{\"name\":\"long\"}", "{\"$set\":{\"name\":\"a\"}}", PASSED);
    expect_upsert("{}", "{\"$set\":{\"n\":1},\"$setOnInsert\":{\"name\":\"a\"}}", PASSED);
    expect_upsert("{}", "{\"$setOnInsert\":{\"name\":\"a\",\"_id\":1}}", PASSED);
    expect_upsert("{\"name\":\"a\",\"$comment\":\"x\"}", "{\"$min\":{\"n\":1}}", PASSED);
    /* The stored document stays valid; the inserted one would be invalid. */
    expect_upsert("{}", "{\"$set\":{\"n\":1}}", UNPROVED);
    expect_upsert("{}", "{\"$setOnInsert\":{\"name\":1}}", UNPROVED);
    expect_upsert("{\"other\":1}", "{\"$set\":{\"name\":\"a\"}}", UNPROVED);
    expect_upsert("{\"other\":1}", "{\"$set\":{\"name\":\"a\"},\"$unset\":{\"n\":1}}", UNPROVED);
    expect_upsert("{\"name\":\"a\",\"n\":\"x\"}", "{\"$unset\":{\"n\":1}}", PASSED);
    expect_upsert("{\"name\":{\"$regex\":\"a\"}}", "{\"$set\":{\"n\":1}}", UNPROVED);
    expect_upsert("{\"name\":{\"$regularExpression\":{\"pattern\":\"a\",\"options\":\"\"}}}",
                  "{\"$set\":{\"n\":1}}", UNPROVED);
    /* What it inserts cannot be made out. */
    expect_upsert("{\"$and\":[{\"name\":\"a\"}]}", "{\"$set\":{\"n\":1}}", UNPROVED);
    expect_upsert("{\"name\":{\"$in\":[\"a\"]}}", "{\"$set\":{\"n\":1}}", UNPROVED);
    expect_upsert("{\"name\":\"a\",\"name\":\"a\"}", "{\"$set\":{\"n\":1}}", UNPROVED);
    expect_upsert("{\"sub.x\":1}", "{\"$set\":{\"name\":\"a\"}}", UNPROVED);
    expect_upsert("{}", "{\"$set\":{\"name\":\"a\",\"sub.x\":1}}", UNPROVED);
    expect_upsert("{\"name\":\"a\",\"n\":2}", "{\"$min\":{\"n\":1}}", UNPROVED);
    /* It is wrong either way. */
    expect_upsert("{}", "{\"$set\":{\"name\":1}}", WRONG);
}

/* Operators whose result on a new document is known, under a schema that allows everything else. */
static void test_upsert_operators(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "{\"ns\":\"d.c\",\"unproved\":\"reject\",\"schema\":{\"required\":[\"a\"]}}");
    static const char *const right[] = {
        "{\"$max\":{\"a\":1}}",
        "{\"$set\":{\"a\":1}}",
    };
    static const char *const open[] = {
        "{\"$min\":{\"b\":1}}",
        "{\"$unset\":{\"b\":1}}",
        "{\"$set\":{\"b\":1}}",
    };
    char updates[256];
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(updates, sizeof updates, "[{\"q\":{},\"u\":%s,\"upsert\":true}]", right[i]);
        struct support_message m = update(COMMAND, updates);
        fixture_forwards(&f, &m);
    }
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(updates, sizeof updates, "[{\"q\":{},\"u\":%s,\"upsert\":true}]", open[i]);
        struct support_message m = update(COMMAND, updates);
        assert_true(fixture_check(&f, &m));
        assert_int_equal(f.result.outcome, ENFORCE_ANSWER);
    }
    fixture_counted(&f, REGISTRY_UNPROVED_REJECTED, 3);
    fixture_close(&f);
}

static void test_many_fields(void **state)
{
    (void)state;
    struct fixture f;
    char updates[8192] = "[{\"q\":{},\"upsert\":true,\"u\":{\"$set\":{\"a\":1";
    for (int i = 0; i < 300; i++) {
        size_t len = strlen(updates);
        (void)snprintf(updates + len, sizeof updates - len, ",\"f%d\":1", i);
    }
    (void)strcat(updates, "}}}]");
    fixture_open(&f, "{\"ns\":\"d.c\",\"schema\":{\"required\":[\"a\"]}}");
    struct support_message m = update(COMMAND, updates);
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_UNPROVED_ALLOWED, 1);
    fixture_close(&f);
}

#define INFO_NAME(id)                                                                              \
    "{" id "\"details\":{\"operatorName\":\"$jsonSchema\",\"schemaRulesNotSatisfied\":[{"          \
    "\"operatorName\":\"properties\",\"propertiesNotSatisfied\":[{\"propertyName\":\"name\","      \
    "\"details\":[{\"operatorName\":\"maxLength\",\"specifiedAs\":{\"maxLength\":3},\"reason\":"   \
    "\"specified string length was not satisfied\",\"consideredValue\":\"abcd\"}]}]}]}}"
#define ERROR_NAME(index, id)                                                                      \
    "{\"index\":" index                                                                            \
    ",\"code\":121,\"errInfo\":" INFO_NAME(id) ",\"errmsg\":\"Document failed validation\"}"
#define ERROR_NAME_ID(index, id) ERROR_NAME(index, "\"failingDocumentId\":" id ",")
#define SET_NAME(id)             "{\"q\":{\"_id\":" id "},\"u\":{\"$set\":{\"name\":\"abcd\"}}}"
#define SET_N(id)                "{\"q\":{\"_id\":" id "},\"u\":{\"$set\":{\"n\":5}}}"

static void test_replies(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, STRICT);
    struct support_message m = update(COMMAND, "[" SET_NAME("1") "]");
    fixture_answers(
        &f, &m,
        "{\"n\":0,\"nModified\":0,\"writeErrors\":[" ERROR_NAME_ID("0", "1") "],\"ok\":1.0}");
    assert_string_equal(f.told, "d.c refused name: maxLength|");
    m.documents = "[{\"q\":{\"_id\":{\"$gt\":3}},\"u\":{\"name\":\"abcd\"},\"multi\":false}]";
    fixture_answers(
        &f, &m, "{\"n\":0,\"nModified\":0,\"writeErrors\":[" ERROR_NAME("0", "") "],\"ok\":1.0}");
    m.documents = "[{\"q\":{\"_id\":7},\"u\":{\"name\":\"abcd\"}}]";
    fixture_answers(
        &f, &m,
        "{\"n\":0,\"nModified\":0,\"writeErrors\":[" ERROR_NAME_ID("0", "7") "],\"ok\":1.0}");
    m.documents = "[{\"q\":{\"_id\":{\"$eq\":7}},\"u\":{\"$unset\":{\"name\":1}}}]";
    fixture_answers(&f, &m,
                    "{\"n\":0,\"nModified\":0,\"writeErrors\":[{\"index\":0,\"code\":121,"
                    "\"errInfo\":{\"failingDocumentId\":7,\"details\":{\"operatorName\":"
                    "\"$jsonSchema\",\"updateOperator\":\"$unset\",\"path\":\"name\",\"reason\":"
                    "\"no document matches the schema after this update\"}},\"errmsg\":\"Document "
                    "failed validation\"}],\"ok\":1.0}");
    assert_string_equal(f.told, "d.c refused $unset of name: no document matches the schema after "
                                "this update|");
    fixture_close(&f);
    fixture_open(&f, REJECT);
    m.documents = "[{\"q\":{},\"u\":[]}]";
    fixture_answers(&f, &m,
                    "{\"n\":0,\"nModified\":0,\"writeErrors\":[{\"index\":0,\"code\":121,"
                    "\"errInfo\":{\"details\":{\"operatorName\":\"$jsonSchema\",\"reason\":\"the "
                    "result of a pipeline depends on the stored document\"}},\"errmsg\":\"Document "
                    "cannot be validated before the write, as this namespace requires\"}],\"ok\":"
                    "1.0}");
    fixture_close(&f);
}

static void test_splice(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, STRICT);
    struct support_message m = update(
        ANY, "[" SET_NAME("1") "," SET_N("2") "," SET_NAME("3") "," SET_N("4") "," SET_N("5") "]");
    struct support_message by = update(ANY, "[" SET_N("2") "," SET_N("4") "," SET_N("5") "]");
    fixture_replaces(&f, &m, &by);
    fixture_splices(
        &f,
        "{\"n\":2,\"upserted\":[{\"index\":0,\"_id\":2},{\"index\":2,\"_id\":5}],\"nModified\":0,"
        "\"writeErrors\":[{\"index\":1,\"code\":1,\"errmsg\":\"x\"}],\"ok\":1.0}",
        "{\"n\":2,\"upserted\":[{\"index\":1,\"_id\":2},{\"index\":4,\"_id\":5}],\"nModified\":0,"
        "\"writeErrors\":[" ERROR_NAME_ID("0", "1") "," ERROR_NAME_ID(
            "2", "3") ",{\"index\":3,\"code\":1,\"errmsg\":\"x\"}],\"ok\":1.0}");
    m.body = COMMAND;
    m.documents = "[" SET_N("1") "," SET_NAME("2") "," SET_N("3") "]";
    by = update(COMMAND, "[" SET_N("1") "]");
    fixture_replaces(&f, &m, &by);
    fixture_splices(
        &f, "{\"n\":1,\"nModified\":1,\"ok\":1.0}",
        "{\"n\":1,\"writeErrors\":[" ERROR_NAME_ID("1", "2") "],\"nModified\":1,\"ok\":1.0}");
    m.in_transaction = true;
    m.body = ANY;
    by.body = ANY;
    fixture_replaces(&f, &m, &by);
    m.in_transaction = false;
    m.flags = WIRE_FLAG_MORE_TO_COME;
    by = update(ANY, "[" SET_N("1") "," SET_N("3") "]");
    by.flags = m.flags;
    fixture_replaces(&f, &m, &by);
    m.documents = "[" SET_NAME("1") "]";
    fixture_drops(&f, &m);
    fixture_counted(&f, REGISTRY_DROPPED, 2);
    fixture_close(&f);
}

static void test_settings(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m =
        update("{\"update\":\"c\",\"bypassDocumentValidation\":true,\"$db\":\"d\"}",
               "[" SET_NAME("1") "," SET_N("2") "]");
    fixture_open(&f, STRICT);
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_BYPASSED, 2);
    m.body = "{\"update\":\"other\",\"$db\":\"d\"}";
    fixture_forwards(&f, &m);
    m.body = COMMAND;
    fixture_close(&f);
    fixture_open(&f, "{\"ns\":\"d.c\",\"action\":\"warn\"," SCHEMA "}");
    fixture_forwards(&f, &m);
    assert_string_equal(f.told, "d.c warned name: maxLength|");
    fixture_counted(&f, REGISTRY_WARNED, 1);
    fixture_counted(&f, REGISTRY_PASSED, 1);
    fixture_close(&f);
    fixture_open(&f, "{\"ns\":\"d.c\",\"action\":\"warn\",\"unproved\":\"reject\"," SCHEMA "}");
    m.documents = "[{\"q\":{},\"u\":[]}]";
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_WARNED, 1);
    fixture_counted(&f, REGISTRY_UNPROVED_REJECTED, 0);
    fixture_close(&f);
}

/* The schema wants an _id that no ObjectId is: of a replacement without one it is not known. */
static void test_replacement_without_id(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "{\"ns\":\"d.c\",\"schema\":{\"required\":[\"a\"],\"properties\":{\"_id\":{"
                     "\"bsonType\":\"int\"}}}}");
    struct support_message m = update(COMMAND, "[{\"q\":{\"x\":1},\"u\":{\"a\":1}}]");
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_UNPROVED_ALLOWED, 1);
    m.documents = "[{\"q\":{\"_id\":1},\"u\":{\"a\":1}}]";
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_PASSED, 1);
    m.documents = "[{\"q\":{\"_id\":1},\"u\":{\"b\":1}}]";
    fixture_answers(&f, &m,
                    "{\"n\":0,\"nModified\":0,\"writeErrors\":[" ERROR_A("0", "1") "],\"ok\":1.0}");
    fixture_close(&f);
}

/* What a query may give as the _id to the document that an upsert inserts. */
static void test_upserted_id(void **state)
{
    static const char *const open[] = {
        "{\"$and\":[{\"_id\":1}]}",
        "{\"$or\":[{\"$and\":[{\"x\":1},{\"_id\":1}]}]}",
        "{\"_id\":{\"$in\":[1]}}",
        "{\"_id\":{\"$all\":[1]}}",
        "{\"_id\":{\"$gte\":1,\"$eq\":1}}",
        "{\"_id\":{\"$eq\":1,\"$gte\":1}}",
        "{\"_id.a\":1}",
        "{\"x\":1,\"$and\":[{\"_id.a\":1}]}",
        "{\"_id\":{\"$oid\":\"010203040506070809101112\"},\"$and\":[{\"_id\":1}]}",
    };
    static const char *const clear[] = {
        "{}",
        "{\"x\":1,\"y\":{\"_id\":1}}",
        "{\"$or\":[{\"x\":1},{\"y\":2}]}",
        "{\"_id\":{\"$ne\":1}}",
        "{\"_id\":{\"$oid\":\"010203040506070809101112\"},\"$or\":[{\"x\":1}]}",
    };
    struct fixture f;
    char updates[512] = "";
    struct support_message m = update(COMMAND, updates);
    (void)state;
    fixture_open(&f, "{\"ns\":\"d.c\",\"unproved\":\"reject\",\"schema\":{\"properties\":{\"_id\":{"
                     "\"bsonType\":\"objectId\"}}}}");
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        (void)snprintf(updates, sizeof updates, "[{\"q\":%s,\"u\":{\"a\":1},\"upsert\":true}]",
                       open[i]);
        assert_true(fixture_check(&f, &m));
        if (f.result.outcome != ENFORCE_ANSWER)
            fail_msg("it passes: %s", open[i]);
        fixture_counted(&f, REGISTRY_UNPROVED_REJECTED, i + 1);
        (void)snprintf(updates, sizeof updates, "[{\"q\":%s,\"u\":{\"a\":1}}]", open[i]);
        if (strstr(open[i], "$oid") == NULL)
            fixture_forwards(&f, &m);
    }
    for (size_t i = 0; i < sizeof clear / sizeof clear[0]; i++) {
        (void)snprintf(updates, sizeof updates, "[{\"q\":%s,\"u\":{\"a\":1},\"upsert\":true}]",
                       clear[i]);
        fixture_forwards(&f, &m);
    }
    fixture_close(&f);
}

static void test_cut_off(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m =
        update(COMMAND, "[{\"q\":{},\"u\":{\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"}}]");
    fixture_open(&f, "{\"ns\":\"d.c\",\"schema\":{\"properties\":{\"s\":{\"pattern\":"
                     "\"^(a+)+$\"}}}}");
    assert_true(fixture_check(&f, &m));
    assert_int_equal(f.result.outcome, ENFORCE_ANSWER);
    m.documents = "[{\"q\":{},\"u\":{\"$set\":{\"s\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"}}}]";
    fixture_forwards(&f, &m);
    fixture_counted(&f, REGISTRY_UNPROVED_ALLOWED, 1);
    fixture_close(&f);
}

/* Every byte of a statement that is no BSON any more is found, or changes nothing but a value. */
static void test_malformed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, STRICT);
    static const struct {
        const char *updates;
        char wrong; /* the byte that becomes 0xFF */
    } cases[] = {
        {"[{\"q\":{\"_id\":\"Z\"},\"u\":{\"$set\":{\"name\":\"a\"}}}]", 'Z'},
        {"[{\"q\":{\"Z\":1},\"u\":{\"$set\":{\"name\":\"a\"}}}]", 'Z'},
        {"[{\"q\":{},\"u\":{\"$set\":{\"name\":\"Z\"}}}]", 'Z'},
        {"[{\"q\":{},\"u\":{\"$set\":{\"Z\":1}}}]", 'Z'},
        {"[{\"q\":{},\"u\":{\"$Z\":{\"a\":1}}}]", 'Z'},
        {"[{\"q\":{},\"u\":{\"$set\":\"Z\"}}]", 'Z'},
        {"[{\"q\":{},\"u\":{\"name\":\"Z\"}}]", 'Z'},
        {"[{\"q\":{},\"u\":[{\"$set\":{\"name\":\"Z\"}}]}]", 'Z'},
        {"[{\"q\":{},\"u\":{\"name\":\"a\"},\"hint\":\"Z\"}]", 'Z'},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct support_message m = update(COMMAND, cases[i].updates);
        size_t len = 0;
        struct enforce_result result;
        struct error err = {0};
        uint8_t *payload = support_payload(&m, &len);
        struct wire_command parsed;
        struct enforce_command command = support_command(&m, bytes_of(payload, len), &parsed);
        assert_true(enforce_concerns(f.registry, &command));
        uint8_t *at = memchr(payload, cases[i].wrong, len);
        assert_non_null(at);
        *at = 0xFF;
        if (enforce_check(f.registry, f.scratch, &command, NULL, &result, &err))
            fail_msg("not found: %s", cases[i].updates);
        assert_int_equal(err.code, ERROR_INVALID_BSON);
        free(payload);
    }
    struct support_message m = update(COMMAND, "[{\"q\":{},\"u\":{\"a\":1},\"u\":{\"b\":1}}]");
    fixture_fails(&f, &m, 40413);
    m = update(COMMAND, "[{\"q\":{},\"u\":{\"a\":1}}]");
    m.name_2 = "updates";
    m.documents_2 = "[]";
    fixture_fails(&f, &m, 40431);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replacement),      cmocka_unit_test(test_operators),
        cmocka_unit_test(test_long_path),        cmocka_unit_test(test_upsert),
        cmocka_unit_test(test_upsert_operators), cmocka_unit_test(test_many_fields),
        cmocka_unit_test(test_replies),          cmocka_unit_test(test_splice),
        cmocka_unit_test(test_settings),         cmocka_unit_test(test_replacement_without_id),
        cmocka_unit_test(test_upserted_id),      cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
