/* The tables of commands, and the treatment of commands that do not match them. */
#include "support.h"

#include "enforce/commands.h"
#include "enforce/grammar.h"

#define FILE_A   "{\"ns\":\"d.c\"," REQUIRES_A "}"
#define REJECT_A "{\"ns\":\"d.c\",\"unproved\":\"reject\",\"allow_bypass\":false," REQUIRES_A "}"
#define GOOD     "{\"_id\":1,\"a\":1}"
#define BAD      "{\"_id\":2}"

/* --- the tables --- */

static const struct grammar *const grammars[] = {
    &grammar_insert,
    &grammar_update,
    &grammar_update_statement,
    &grammar_bulk_write,
    &grammar_bulk_namespace,
    &grammar_bulk_insert,
    &grammar_bulk_update,
    &grammar_bulk_delete,
    &grammar_find_and_modify,
    &grammar_aggregate,
    &grammar_out,
    &grammar_merge,
    &grammar_merge_into,
    &grammar_map_reduce,
    &grammar_map_reduce_out,
    &grammar_clone_as_capped,
    &grammar_rename_collection,
};

static void test_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof grammars / sizeof grammars[0]; i++) {
        const struct grammar *grammar = grammars[i];
        bool optional = false;
        assert_in_range(grammar->count, 1, 64);
        for (size_t j = 0; j < grammar->count; j++) {
            const struct grammar_field *row = &grammar->at[j];
            assert_int_equal(row->name_len, strlen(row->name));
            if (row->known != field_name_find(row->name, row->name_len))
                fail_msg("%s: the number of '%s' is not in its row", grammar->what, row->name);
            assert_true(row->kinds != 0 && row->code != 0);
            optional = optional || row->missing == 0;
            if (optional != (row->missing == 0))
                fail_msg("%s: '%s' is required, and stands behind optional ones", grammar->what,
                         row->name);
            for (size_t k = 0; k < j; k++)
                if (strcmp(grammar->at[k].name, row->name) == 0)
                    fail_msg("%s: '%s' stands there twice", grammar->what, row->name);
        }
    }
}

static void test_commands(void **state)
{
    (void)state;
    size_t harmless = 0;
    for (int i = COMMAND_UNKNOWN + 1; i < COMMAND_NAME_COUNT; i++) {
        enum command_name name = (enum command_name)i;
        if (command_is_harmless(name) == (command_find(name) != NULL))
            fail_msg("%s has no row, or two", command_name_text(name));
        harmless += command_is_harmless(name);
    }
    assert_in_range(harmless, 200, COMMAND_NAME_COUNT - 30);
    assert_false(command_is_harmless(COMMAND_UNKNOWN));
    assert_null(command_find(COMMAND_UNKNOWN));
    assert_true(command_is_harmless(COMMAND_GETLASTERROR));
    assert_false(command_is_harmless(COMMAND_INSERT));
    assert_non_null(command_find(COMMAND_INSERT));
}

static struct scan_element field_of(const bson_t *document)
{
    struct scan scan;
    struct scan_element field;
    assert_true(scan_open(&scan, support_bytes(document)));
    assert_true(scan_next(&scan, &field));
    return field;
}

static void test_truth(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool is_true;
    } cases[] = {
        {"{\"a\":true}", true},
        {"{\"a\":false}", false},
        {"{\"a\":1}", true},
        {"{\"a\":0}", false},
        {"{\"a\":0.0}", false},
        {"{\"a\":-0.0}", false},
        {"{\"a\":0.1}", true},
        {"{\"a\":{\"$numberDouble\":\"NaN\"}}", true},
        {"{\"a\":{\"$numberLong\":\"0\"}}", false},
        {"{\"a\":{\"$numberLong\":\"-1\"}}", true},
        {"{\"a\":{\"$numberDecimal\":\"0\"}}", false},
        {"{\"a\":{\"$numberDecimal\":\"0E+3\"}}", false},
        {"{\"a\":{\"$numberDecimal\":\"0.1\"}}", true},
        {"{\"a\":{\"$numberDecimal\":\"NaN\"}}", true},
        {"{\"a\":null}", false},
        {"{\"a\":{\"$undefined\":true}}", false},
        {"{\"a\":\"\"}", true},
        {"{\"a\":{}}", true},
        {"{\"a\":[]}", true},
        {"{\"a\":{\"$minKey\":1}}", true},
        {"{\"a\":{\"$date\":{\"$numberLong\":\"0\"}}}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bson_t *document = support_json(cases[i].json);
        struct scan_element field = field_of(document);
        if (grammar_is_true(&field) != cases[i].is_true)
            fail_msg("%s", cases[i].json);
        bson_destroy(document);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool name;
        bool with_symbols;
    } cases[] = {
        {"{\"a\":\"c\"}", true, true},
        {"{\"a\":\"\"}", false, false},
        {"{\"a\":\"c\\u0000d\"}", false, false},
        {"{\"a\":{\"$symbol\":\"c\"}}", false, true},
        {"{\"a\":{\"$symbol\":\"\"}}", false, false},
        {"{\"a\":{\"$code\":\"c\"}}", false, false},
        {"{\"a\":1}", false, false},
        {"{\"a\":null}", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bson_t *document = support_json(cases[i].json);
        struct scan_element field = field_of(document);
        struct bytes name;
        assert_int_equal(grammar_is_name(&field, false, &name), cases[i].name);
        assert_int_equal(grammar_is_name(&field, true, &name), cases[i].with_symbols);
        bson_destroy(document);
    }
}

/* --- commands --- */

enum { FORWARDED = 0, REFUSED = 121 };

/* `outcome`: FORWARDED, REFUSED by the schema, or the code of the command's error. */
struct form {
    const char *body;
    int outcome;
};

static void expect_forms(const char *file, const struct form *forms, size_t count)
{
    struct fixture f;
    fixture_open(&f, file);
    for (size_t i = 0; i < count; i++) {
        struct support_message m = {.body = forms[i].body};
        int outcome = !fixture_check(&f, &m)                ? f.err.code
                      : f.result.outcome == ENFORCE_FORWARD ? FORWARDED
                                                            : REFUSED;
        if (outcome != forms[i].outcome)
            fail_msg("%d, not %d: %s (%s)", outcome, forms[i].outcome, forms[i].body,
                     f.err.message);
    }
    fixture_close(&f);
}
#define EXPECT(file, forms) expect_forms(file, forms, sizeof(forms) / sizeof(forms)[0])

static void test_insert(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"{\"insert\":\"c\",\"documents\":[" GOOD "]}", FORWARDED},
        {"{\"insert\":\"c\",\"documents\":[" BAD "]}", REFUSED},
        {"{\"insert\":{\"$symbol\":\"c\"},\"documents\":[" BAD "]}", REFUSED},
        {"{\"insert\":{\"$symbol\":\"c\"},\"documents\":[" GOOD "]}", FORWARDED},
        {"{\"insert\":{\"$code\":\"c\"},\"documents\":[" GOOD "]}", 2},
        {"{\"insert\":1,\"documents\":[" GOOD "]}", 2},
        {"{\"insert\":\"\",\"documents\":[" GOOD "]}", 73},
        {"{\"insert\":\"c\\u0000\",\"documents\":[" GOOD "]}", 73},
        {"{\"insert\":\"free\",\"documents\":[" BAD "]}", FORWARDED},
        {"{\"insert\":{\"$symbol\":\"free\"},\"documents\":[" BAD "]}", FORWARDED},
        {"{\"insert\":\"free\",\"insert\":\"c\",\"documents\":[" BAD "]}", 40415},
        {"{\"insert\":\"c\",\"insert\":\"free\",\"documents\":[" BAD "]}", 40415},
        {"{\"insert\":\"free\",\"any\":1,\"documents\":7}", FORWARDED},
        {"{\"insert\":\"c\"}", 40414},
        {"{\"insert\":\"c\",\"documents\":[]}", 16},
        {"{\"insert\":\"c\",\"documents\":[null]}", 16},
        {"{\"insert\":\"c\",\"documents\":[null," GOOD "]}", FORWARDED},
        {"{\"insert\":\"c\",\"documents\":[null," BAD "]}", REFUSED},
        {"{\"insert\":\"c\",\"documents\":[{\"$undefined\":true}," BAD "]}", REFUSED},
        {"{\"insert\":\"c\",\"documents\":{\"x\":" BAD "}}", REFUSED},
        {"{\"insert\":\"c\",\"documents\":{\"x\":" GOOD ",\"x\":" BAD "}}", REFUSED},
        {"{\"insert\":\"c\",\"documents\":[" BAD ",7]}", 14},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"documents\":[" GOOD "]}", 40413},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"ordered\":1}", 14},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"ordered\":null}", REFUSED},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"writeConcern\":null}", 14},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"lsid\":{}}", 40414},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"txnNumber\":{\"$numberLong\":\"1\"}}", 72},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"maxTimeMS\":1.5}", 2},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"maxTimeMS\":-1}", 2},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"collation\":{}}", 40415},
        {"{\"insert\":\"c\",\"documents\":[" GOOD "],\"other\":1}", 40415},
        {"{\"insert\":\"c\",\"documents\":[" GOOD "],\"stmtIds\":[]}", 16},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"stmtIds\":[1,2]}", 16},
        {"{\"insert\":\"c\",\"documents\":[" GOOD "," GOOD "],\"stmtIds\":[1]}", 16},
        {"{\"insert\":\"c\",\"documents\":[null," GOOD "],\"stmtIds\":[1]}", FORWARDED},
        {"{\"insert\":\"c\",\"documents\":[" GOOD "],\"stmtIds\":[\"1\"]}", 14},
        {"{\"insert\":\"c\",\"documents\":[" GOOD "],\"bypassDocumentValidation\":\"\"}", 14},
        {"{\"insert\":\"c\",\"documents\":[" BAD "],\"bypassDocumentValidation\":true}", REFUSED},
        {"{\"insert\":\"system.buckets.c\",\"documents\":[" GOOD "]}", REFUSED},
        {"{\"insert\":\"system.buckets.free\",\"documents\":[" BAD "]}", FORWARDED},
        {"{\"insert\":\"c\",\"documents\":[" GOOD "],\"rawData\":true}", REFUSED},
        {"{\"insert\":\"c\",\"documents\":[" GOOD "],\"rawData\":false}", FORWARDED},
        {"{\"insert\":\"c\",\"documents\":[" GOOD "],\"encryptionInformation\":{}}", REFUSED},
        {"{\"insert\":\"c\",\"documents\":[" GOOD "],\"rawData\":true,\"isTimeseriesNamespace\":"
         "false}",
         REFUSED},
    };
    EXPECT(REJECT_A, forms);
}

static void test_update(void **state)
{
    (void)state;
#define UPDATE(statement) "{\"update\":\"c\",\"updates\":[" statement "]}"
#define SET               "\"u\":{\"$set\":{\"x\":1}}"
#define UNSET             "\"u\":{\"$unset\":{\"a\":1}}"
    static const struct form forms[] = {
        {UPDATE("{\"q\":{}," SET "}"), FORWARDED},
        {UPDATE("{\"q\":{}," UNSET "}"), REFUSED},
        {UPDATE("null,{\"q\":{}," UNSET "}"), REFUSED},
        {UPDATE("{\"q\":{}," UNSET "},{\"q\":1," SET "}"), 14},
        {UPDATE("{\"q\":{}," UNSET "},7"), 14},
        {UPDATE("{\"q\":null," SET "}"), 40414},
        {UPDATE("{" SET "}"), 40414},
        {UPDATE("{\"q\":{}}"), 40414},
        {UPDATE("{\"q\":{},\"u\":1}"), 9},
        {UPDATE("{\"q\":{},\"u\":null}"), 9},
        {UPDATE("{\"q\":{}," SET ",\"u\":{}}"), 40413},
        {UPDATE("{\"q\":{}," SET ",\"upsert\":1}"), 14},
        {UPDATE("{\"q\":{}," SET ",\"upsert\":null}"), FORWARDED},
        {UPDATE("{\"q\":{}," SET ",\"upsert\":true}"), REFUSED},
        {UPDATE("{\"q\":{}," SET ",\"upsert\":false,\"upsert\":true}"), 40413},
        {UPDATE("{\"q\":{}," SET ",\"multi\":\"\"}"), 14},
        {UPDATE("{\"q\":{}," SET ",\"arrayFilters\":null}"), 10065},
        {UPDATE("{\"q\":{}," SET ",\"hint\":1}"), 9},
        {UPDATE("{\"q\":{}," SET ",\"other\":1}"), 40415},
        {UPDATE("{\"q\":{}," SET ",\"c\":1}"), 14},
        {"{\"update\":\"c\",\"updates\":[]}", 16},
        {"{\"update\":\"c\",\"updates\":{\"0\":{\"q\":{}," UNSET "}}}", REFUSED},
        {"{\"update\":{\"$symbol\":\"c\"},\"updates\":[{\"q\":{}," UNSET "}]}", REFUSED},
    };
    EXPECT(REJECT_A, forms);
}

/* Statements that the server refuses for their form, with its code and the others' verdicts. */
static void test_statements_of_a_wrong_form(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, REJECT_A);
    struct support_message m = {
        .body = "{\"update\":\"c\",\"ordered\":false,\"updates\":[{\"q\":{},\"u\":{\"$set\":1}},{"
                "\"q\":{},\"u\":{\"$set\":{\"x\":1}},\"c\":{}},{\"q\":{},\"u\":{\"$set\":{\"x\":1}"
                "}}]}"};
    struct support_message by = {
        .body = "{\"update\":\"c\",\"ordered\":false,\"updates\":[{\"q\":{},\"u\":{\"$set\":{\"x\""
                ":1}}}]}"};
    fixture_replaces(&f, &m, &by);
    fixture_splices(&f, "{\"n\":1,\"nModified\":1,\"ok\":1.0}",
                    "{\"n\":1,\"writeErrors\":[{\"index\":0,\"code\":9,\"errmsg\":\"Modifiers "
                    "operate on fields but one of them has another type\"},{\"index\":1,\"code\":"
                    "51198,\"errmsg\":\"Constant values may only be specified for pipeline "
                    "updates\"}],\"nModified\":1,\"ok\":1.0}");
    fixture_counted(&f, REGISTRY_REFUSED, 0);
    fixture_close(&f);
}

static void test_find_and_modify(void **state)
{
    (void)state;
#define MODIFY(more) "{\"findAndModify\":\"c\"," more "}"
    static const struct form forms[] = {
        {MODIFY("\"query\":{}," SET), 51177},
        {MODIFY("\"query\":{},\"update\":{\"$set\":{\"x\":1}}"), FORWARDED},
        {MODIFY("\"query\":{},\"update\":{\"$unset\":{\"a\":1}}"), REFUSED},
        {MODIFY("\"query\":null,\"update\":{\"$set\":{\"x\":1}}"), 31160},
        {MODIFY("\"sort\":1,\"update\":{\"$set\":{\"x\":1}}"), 31174},
        {MODIFY("\"fields\":1,\"update\":{\"$set\":{\"x\":1}}"), 31175},
        {MODIFY("\"update\":1"), 9},
        {MODIFY("\"query\":{}"), 9},
        {MODIFY("\"remove\":true"), FORWARDED},
        {MODIFY("\"remove\":\"\""), FORWARDED},
        {MODIFY("\"remove\":0"), 9},
        {MODIFY("\"remove\":true,\"update\":{}"), 9},
        {MODIFY("\"remove\":true,\"upsert\":\"x\""), 9},
        {MODIFY("\"remove\":true,\"new\":1"), 9},
        {MODIFY("\"remove\":null,\"update\":{\"$unset\":{\"a\":1}}"), REFUSED},
        {MODIFY("\"update\":{\"$set\":{\"x\":1}},\"upsert\":\"\""), REFUSED},
        {MODIFY("\"update\":{\"$set\":{\"x\":1}},\"upsert\":{\"$numberDecimal\":\"0.0\"}"),
         FORWARDED},
        {MODIFY("\"update\":{\"$set\":{\"x\":1}},\"upsert\":{\"$numberDecimal\":\"1\"}"), REFUSED},
        {MODIFY("\"update\":{\"$set\":{\"x\":1}},\"arrayFilters\":{}"), 14},
        {MODIFY("\"update\":{\"$set\":{\"x\":1}},\"other\":{}"), 51177},
        {MODIFY("\"update\":{\"$set\":{\"x\":1}},\"c\":{}"), 51177},
        {"{\"findandmodify\":{\"$symbol\":\"c\"},\"update\":{\"$unset\":{\"a\":1}}}", REFUSED},
        {"{\"findAndModify\":7,\"update\":{}}", 73},
        {"{\"findAndModify\":\"free\",\"query\":{},\"findAndModify\":\"c\",\"update\":{}}", 51177},
    };
    EXPECT(REJECT_A, forms);
}

static void test_aggregate(void **state)
{
    (void)state;
#define PIPE(stages)        "{\"aggregate\":\"free\",\"pipeline\":[" stages "]}"
#define PIPE_IN(db, stages) "{\"aggregate\":\"free\",\"pipeline\":[" stages "],\"$db\":\"" db "\"}"
    static const struct form forms[] = {
        {PIPE("{\"$match\":{}}"), FORWARDED},
        {PIPE("{\"$out\":\"free\"}"), FORWARDED},
        {PIPE("{\"$match\":{}},{\"$out\":\"c\"}"), REFUSED},
        {PIPE("{\"$out\":{\"db\":\"d\",\"coll\":\"c\"}}"), REFUSED},
        {PIPE("{\"$out\":{\"coll\":\"c\"}}"), REFUSED},
        {PIPE("{\"$out\":{\"db\":\"x\",\"coll\":\"c\"}}"), FORWARDED},
        {PIPE("{\"$out\":{\"db\":\"x\",\"coll\":\"c\",\"db\":\"d\"}}"), 40413},
        {PIPE("{\"$out\":{}}"), 14},
        {PIPE("{\"$out\":{\"$symbol\":\"c\"}}"), 14},
        {PIPE("{\"$out\":\"\"}"), 73},
        {PIPE("{\"$merge\":\"c\"}"), REFUSED},
        {PIPE("{\"$merge\":{\"into\":\"c\"}}"), REFUSED},
        {PIPE("{\"$merge\":{\"into\":{\"coll\":\"c\"},\"whenMatched\":\"fail\"}}"), REFUSED},
        {PIPE("{\"$merge\":{\"into\":\"free\",\"into\":\"c\"}}"), 40413},
        {PIPE("{\"$merge\":{\"into\":{\"$symbol\":\"c\"}}}"), 51178},
        {PIPE("{\"$merge\":{\"into\":{}}}"), 73},
        {PIPE("{\"$merge\":{}}"), 40414},
        {PIPE("{\"$merge\":1}"), 14},
        {PIPE("{\"$merge\":{\"into\":\"c\",\"other\":1}}"), 40415},
        {PIPE("{\"$merge\":\"system.buckets.c\"}"), REFUSED},
        {PIPE("null,{\"$merge\":\"c\"}"), 14},
        {PIPE("{},{\"$merge\":\"c\"}"), 40323},
        {PIPE("{\"$match\":{},\"$merge\":\"c\"}"), 40323},
        {PIPE("{\"$match\":{},\"$merge\":\"free\"}"), FORWARDED},
        {PIPE("{\"$merge\":\"c\"},{\"$match\":{}}"), 40601},
        {PIPE("{\"$out\":\"c\"},{\"$out\":\"free\"}"), 40601},
        {PIPE("{\"$out\":\"free\"},{\"$out\":\"c\"}"), REFUSED},
        {PIPE("{\"$facet\":{\"x\":[{\"$out\":\"c\"}]}}"), 40600},
        {PIPE("{\"$facet\":{\"x\":[{\"$out\":\"free\"}]}}"), FORWARDED},
        {PIPE("{\"$lookup\":{\"from\":\"free\",\"as\":\"x\",\"pipeline\":[{\"$merge\":\"c\"}]}}"),
         51047},
        {PIPE("{\"$unionWith\":{\"coll\":\"free\",\"pipeline\":[{\"$facet\":{\"x\":[{\"$merge\":{"
              "\"into\":\"c\"}}]}}]}}"),
         31441},
        {PIPE("{\"$newStage\":{\"deep\":{\"er\":[{\"$out\":\"c\"}]}}}"), 40601},
        {PIPE("{\"$unionWith\":\"free\"}"), FORWARDED},
        {"{\"aggregate\":\"c\",\"pipeline\":{\"0\":{\"$merge\":\"c\"}}}", 14},
        {"{\"aggregate\":\"c\",\"pipeline\":[],\"pipeline\":[{\"$merge\":\"c\"}]}", 40413},
        {"{\"aggregate\":\"c\",\"pipeline\":[{\"$merge\":\"c\"}],\"explain\":true}", FORWARDED},
        {"{\"aggregate\":\"c\",\"pipeline\":[{\"$merge\":\"c\"}],\"explain\":1}", 14},
        {"{\"aggregate\":\"c\",\"pipeline\":[{\"$merge\":\"c\"}],\"explain\":true,\"explain\":"
         "false}",
         40413},
        {"{\"aggregate\":2,\"pipeline\":[{\"$merge\":\"c\"}]}", 9},
        {"{\"aggregate\":1,\"pipeline\":[{\"$match\":{}},{\"$merge\":\"c\"}]}", 73},
        {"{\"aggregate\":1,\"pipeline\":[{\"$documents\":[]},{\"$merge\":\"c\"}]}", REFUSED},
        {"{\"aggregate\":null,\"pipeline\":[{\"$merge\":\"c\"}]}", 14},
        /* from a database without a schema */
        {PIPE_IN("x", "{\"$out\":\"c\"}"), FORWARDED},
        {PIPE_IN("x", "{\"$merge\":{\"into\":{\"db\":\"d\",\"coll\":\"c\"}}}"), REFUSED},
        {PIPE_IN("x", "{\"$merge\":{\"into\":{\"db\":\"d\",\"coll\":\"free\"}}}"), FORWARDED},
        {PIPE_IN("x", "{\"$merge\":{\"into\":{\"db\":{\"$symbol\":\"d\"},\"coll\":\"c\"}}}"), 14},
        {PIPE_IN("x", "{\"$merge\":{\"into\":{\"db\":\"x\",\"coll\":7}}}"), FORWARDED},
        {PIPE_IN("x", "{\"$facet\":{\"x\":[{\"$out\":{\"db\":\"d\",\"coll\":\"c\"}}]}}"), 40600},
        {PIPE_IN("x", "null,{},{\"$merge\":7}"), FORWARDED},
        {PIPE_IN("x", "[{\"$out\":{\"db\":\"d\",\"coll\":\"c\"}}]"), 14},
        {"{\"aggregate\":\"free\",\"pipeline\":[],\"pipeline\":[],\"$db\":\"x\"}", FORWARDED},
        {"{\"aggregate\":\"free\",\"pipeline\":[],\"pipeline\":[{\"$merge\":{\"into\":{\"db\":"
         "\"d\","
         "\"coll\":\"c\"}}}],\"$db\":\"x\"}",
         40413},
        /* views */
        {"{\"create\":\"v\",\"viewOn\":\"free\",\"pipeline\":[{\"$match\":{}}]}", FORWARDED},
        {"{\"create\":\"v\",\"viewOn\":\"free\",\"pipeline\":[{\"$out\":\"c\"}]}", 167},
        {"{\"collMod\":\"v\",\"viewOn\":\"free\",\"pipeline\":[{\"$facet\":{\"x\":[{\"$out\":\"c\"}"
         "]}}]}",
         40600},
        {"{\"create\":\"c\",\"timeseries\":{\"timeField\":\"t\"}}", FORWARDED},
    };
    EXPECT(REJECT_A, forms);
}

static void test_elsewhere(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {"{\"mapReduce\":\"free\",\"out\":\"c\"}", REFUSED},
        {"{\"mapreduce\":\"free\",\"out\":{\"replace\":\"c\"}}", REFUSED},
        {"{\"mapReduce\":\"free\",\"out\":{\"merge\":\"c\",\"db\":\"d\"},\"$db\":\"x\"}", REFUSED},
        {"{\"mapReduce\":\"free\",\"out\":{\"reduce\":\"c\",\"db\":\"x\"}}", FORWARDED},
        {"{\"mapReduce\":\"free\",\"out\":{\"replace\":\"free\",\"reduce\":\"c\"}}", 40413},
        {"{\"mapReduce\":\"free\",\"out\":{\"inline\":1}}", FORWARDED},
        {"{\"mapReduce\":\"free\",\"out\":\"free\"}", FORWARDED},
        {"{\"mapReduce\":\"free\",\"out\":\"free\",\"out\":\"c\"}", 40413},
        {"{\"mapReduce\":\"free\",\"out\":{\"$symbol\":\"c\"}}", 13606},
        {"{\"mapReduce\":\"free\",\"out\":{}}", 13522},
        {"{\"mapReduce\":\"free\",\"out\":\"\"}", 73},
        {"{\"mapReduce\":\"free\",\"out\":{\"replace\":\"c\"},\"$db\":\"x\"}", FORWARDED},
        {"{\"renameCollection\":\"d.free\",\"to\":\"d.c\",\"$db\":\"admin\"}", REFUSED},
        {"{\"renameCollection\":\"d.c\",\"to\":\"d.free\",\"$db\":\"admin\"}", FORWARDED},
        {"{\"renameCollection\":\"d.c\",\"to\":\"d.free\",\"to\":\"d.c\",\"$db\":\"admin\"}",
         40413},
        {"{\"renameCollection\":\"d.c\",\"to\":{\"$symbol\":\"d.c\"},\"$db\":\"admin\"}", 14},
        {"{\"internalRenameIfOptionsAndIndexesMatch\":1,\"from\":\"d.x\",\"to\":\"d.c\"}", REFUSED},
        {"{\"cloneCollectionAsCapped\":\"free\",\"toCollection\":\"c\",\"size\":1}", REFUSED},
        {"{\"cloneCollectionAsCapped\":\"c\",\"toCollection\":\"free\",\"size\":1}", FORWARDED},
        {"{\"cloneCollectionAsCapped\":\"c\",\"toCollection\":{\"$symbol\":\"c\"}}", 73},
        {"{\"convertToCapped\":\"c\",\"size\":1}", FORWARDED},
        {"{\"createIndexes\":\"c\",\"indexes\":[]}", FORWARDED},
        {"{\"explain\":{\"aggregate\":\"c\",\"pipeline\":[{\"$merge\":\"c\"}]}}", FORWARDED},
        {"{\"copydb\":1,\"fromdb\":\"x\",\"todb\":\"d\",\"$db\":\"admin\"}", REFUSED},
        {"{\"cloneCollection\":\"d.c\",\"from\":\"host\"}", REFUSED},
        {"{\"cloneCollection\":\"x.c\",\"from\":\"host\",\"$db\":\"x\"}", FORWARDED},
        {"{\"eval\":\"db.c.insert({})\"}", REFUSED},
        {"{\"godinsert\":\"c\",\"obj\":{}}", REFUSED},
        {"{\"newCommand\":\"c\"}", 59},
        {"{\"INSERT\":\"c\",\"documents\":[" BAD "]}", 59},
        {"{\"newCommand\":\"c\",\"$db\":\"x\"}", FORWARDED},
        {"{\"newCommand\":\"c\",\"$db\":\"admin\"}", FORWARDED},
    };
    EXPECT(REJECT_A, forms);
    static const struct form allowed[] = {
        {"{\"mapReduce\":\"free\",\"out\":\"c\"}", FORWARDED},
        {"{\"mapReduce\":\"free\",\"out\":1}", 13606},
        {"{\"renameCollection\":\"d.free\",\"to\":\"d.c\",\"$db\":\"admin\"}", FORWARDED},
        {"{\"cloneCollection\":\"d.c\",\"from\":\"host\"}", FORWARDED},
        {"{\"newCommand\":\"c\"}", FORWARDED},
        {"{\"insert\":\"system.buckets.c\",\"documents\":[" BAD "]}", FORWARDED},
        {"{\"aggregate\":\"c\",\"pipeline\":[{\"$facet\":{\"x\":[{\"$out\":\"c\"}]}}]}", 40600},
    };
    EXPECT(FILE_A, allowed);
}

static void test_operations(void **state)
{
    (void)state;
#define APPLY(operation) "{\"applyOps\":[" operation "],\"$db\":\"admin\"}"
#define NESTED(operation)                                                                          \
    APPLY("{\"op\":\"c\",\"ns\":\"admin.$cmd\",\"o\":{\"applyOps\":[" operation "]}}")
    static const struct form forms[] = {
        {APPLY(""), FORWARDED},
        {APPLY("{\"op\":\"n\",\"ns\":\"\",\"o\":{}}"), FORWARDED},
        {APPLY("{\"op\":\"d\",\"ns\":\"d.c\",\"o\":{}}"), FORWARDED},
        {APPLY("{\"op\":\"i\",\"ns\":\"d.free\",\"o\":{}}"), FORWARDED},
        {APPLY("{\"op\":\"i\",\"ns\":\"d.c\",\"o\":{}}"), REFUSED},
        {APPLY("{\"op\":\"u\",\"ns\":\"d.c\",\"o\":{}}"), REFUSED},
        {APPLY("{\"op\":\"i\",\"ns\":\"d.system.buckets.c\",\"o\":{}}"), REFUSED},
        {APPLY("{\"op\":\"i\",\"ns\":\"d.free\",\"ui\":1,\"o\":{}}"), REFUSED},
        {APPLY("{\"op\":\"i\",\"ns\":\"d.free\",\"ns\":\"d.c\",\"o\":{}}"), REFUSED},
        {APPLY("{\"op\":\"d\",\"op\":\"i\",\"ns\":\"d.c\",\"o\":{}}"), REFUSED},
        {APPLY("{\"op\":\"i\",\"ns\":{\"$symbol\":\"d.c\"},\"o\":{}}"), REFUSED},
        {APPLY("{\"op\":\"x\",\"ns\":\"d.free\",\"o\":{}}"), REFUSED},
        {APPLY("{\"ns\":\"d.free\"}"), REFUSED},
        {APPLY("7"), REFUSED},
        {"{\"applyOps\":7,\"$db\":\"admin\"}", REFUSED},
        {"{\"applyOps\":[],\"applyOps\":[{\"op\":\"i\",\"ns\":\"d.c\",\"o\":{}}]}", REFUSED},
        {APPLY("{\"op\":\"c\",\"ns\":\"d.$cmd\",\"o\":{\"applyOps\":[],\"applyOps\":[{\"op\":\"i\","
               "\"ns\":\"d.c\",\"o\":{}}]}}"),
         REFUSED},
        {APPLY("{\"op\":\"c\",\"ns\":\"d.$cmd\",\"o\":{\"renameCollection\":\"d.free\",\"to\":"
               "\"d.free2\",\"to\":\"d.c\"}}"),
         REFUSED},
        {APPLY("{\"op\":\"c\",\"ns\":\"d.$cmd\",\"o\":{\"create\":\"c\"}}"), FORWARDED},
        {APPLY("{\"op\":\"c\",\"ns\":\"d.$cmd\",\"o\":{\"renameCollection\":\"d.free\",\"to\":"
               "\"d.c\"}}"),
         REFUSED},
        {APPLY("{\"op\":\"c\",\"ns\":\"d.$cmd\",\"o\":{\"renameCollection\":\"d.c\",\"to\":"
               "\"d.free\"}}"),
         FORWARDED},
        {APPLY("{\"op\":\"c\",\"ns\":\"d.$cmd\",\"o\":{\"other\":1}}"), REFUSED},
        {NESTED("{\"op\":\"i\",\"ns\":\"d.free\",\"o\":{}}"), FORWARDED},
        {NESTED("{\"op\":\"i\",\"ns\":\"d.c\",\"o\":{}}"), REFUSED},
        {"{\"doTxn\":[{\"op\":\"i\",\"ns\":\"d.c\",\"o\":{}}],\"$db\":\"admin\"}", REFUSED},
    };
    EXPECT(REJECT_A, forms);
}

/* Documents that a command has as a sequence that it does not take. */
static void test_sequences(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *name;
        int code;
    } cases[] = {
        {"{\"insert\":\"c\",\"documents\":[" GOOD "]}", "other", 40415},
        {"{\"insert\":\"c\"}", "documents.0", 40415},
        {"{\"insert\":\"c\"}", "ordered", 40415},
        {"{\"update\":\"c\",\"updates\":[{\"q\":{},\"u\":{\"a\":1}}]}", "documents", 40415},
        {"{\"findAndModify\":\"c\",\"query\":{}}", "update", 40472},
        {"{\"findAndModify\":\"c\",\"update\":{\"a\":1}}", "query", 40472},
        {"{\"aggregate\":\"c\",\"pipeline\":[]}", "pipeline", 40472},
        {"{\"aggregate\":\"c\"}", "pipeline", 14},
        {"{\"create\":\"c\"}", "pipeline", 40472},
        {"{\"mapReduce\":\"c\",\"out\":{\"inline\":1}}", "out", 40472},
    };
    struct fixture f;
    fixture_open(&f, REJECT_A);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct support_message m = {
            .body = cases[i].body, .name = cases[i].name, .documents = "[" BAD "]"};
        if (fixture_check(&f, &m) || f.err.code != cases[i].code)
            fail_msg("%d: %s, %s", f.err.code, cases[i].body, cases[i].name);
    }
    fixture_close(&f);
}

/* {FIRST: "c", LIST: [ITEM, ITEM, …], $db: "d"} */
static void expect_many(const char *first, const char *list, const char *item, int count,
                        int outcome)
{
    bson_t body = BSON_INITIALIZER;
    bson_t items;
    bson_t *one = support_json(item);
    if (first != NULL)
        BSON_APPEND_UTF8(&body, first, "free");
    bson_append_array_begin(&body, list, -1, &items);
    for (int i = 0; i < count; i++)
        bson_append_document(&items, "0", 1, one);
    bson_append_array_end(&body, &items);
    struct fixture f;
    fixture_open(&f, REJECT_A);
    struct support_message m = {.body = NULL};
    uint8_t *payload = malloc(body.len + 5);
    memset(payload, 0, 5);
    memcpy(payload + 5, bson_get_data(&body), body.len);
    struct wire_command parsed;
    struct enforce_command command = support_command(&m, bytes_of(payload, body.len + 5), &parsed);
    struct enforce_result result = {.outcome = ENFORCE_FORWARD};
    struct error err = {0};
    bool ok = !enforce_concerns(f.registry, &command) ||
              enforce_check(f.registry, f.scratch, &command, NULL, &result, &err);
    int got = !ok ? err.code : result.outcome == ENFORCE_FORWARD ? FORWARDED : REFUSED;
    assert_int_equal(got, outcome);
    enforce_result_release(&result);
    fixture_close(&f);
    free(payload);
    bson_destroy(one);
    bson_destroy(&body);
}

/* A command whose reading would take too long counts as not understood. */
static void test_many(void **state)
{
    (void)state;
    expect_many("aggregate", "pipeline", "{\"$match\":{}}", 10000, FORWARDED);
    expect_many("aggregate", "pipeline", "{\"$match\":{}}", 10001, 7749501);
    expect_many(NULL, "applyOps", "{\"op\":\"n\",\"ns\":\"d.c\"}", 10000, FORWARDED);
    expect_many(NULL, "applyOps", "{\"op\":\"n\",\"ns\":\"d.c\"}", 10001, REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_truth),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_insert),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_statements_of_a_wrong_form),
        cmocka_unit_test(test_find_and_modify),
        cmocka_unit_test(test_aggregate),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
