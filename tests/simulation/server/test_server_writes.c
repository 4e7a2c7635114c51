/* Writes of the model server: answers and their fields, retries, transactions. */
#include "server/scripted_client.h"

#define INSERT(documents) "{\"insert\": \"open\", \"documents\": [" documents "], \"$db\": \"app\"}"

static struct plan set_of(unsigned members, enum plan_server server)
{
    return (struct plan){.topology = PLAN_REPLICA_SET, .members = members, .server = server};
}

static void test_answers_of_inserts(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_4_4));
    struct peer *peer = peer_dial(&scene, "a:27017");
    bson_t *reply = peer_ask(peer, INSERT("{\"_id\": 1}"));
    assert_fields(reply, "n opTime electionId ok $clusterTime operationTime");
    assert_int_equal(field(reply, "n"), 1);
    bson_destroy(reply);
    reply = peer_ask(peer, INSERT("{\"_id\": 1}"));
    assert_fields(reply, "n writeErrors opTime electionId ok $clusterTime operationTime");
    assert_int_equal(field(reply, "n"), 0);
    assert_int_equal(field(reply, "writeErrors.0.index"), 0);
    assert_int_equal(field(reply, "writeErrors.0.code"), 11000);
    assert_int_equal(field(reply, "writeErrors.0.keyPattern._id"), 1);
    assert_int_equal(field(reply, "writeErrors.0.keyValue._id"), 1);
    assert_string_equal(text_field(reply, "writeErrors.0.errmsg"),
                        "E11000 duplicate key error collection: app.open index: _id_ dup key: { "
                        "_id: 1 }");
    bson_destroy(reply);
    struct cluster_document document;
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    assert_int_equal(document.written, 1);
    assert_int_equal(document.duplicates, 1);
    assert_int_equal(cluster_commands(scene.cluster, "insert"), 2);
    peer_free(peer);
    scene_close(&scene);
}

static void test_ordered_and_unordered(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer, INSERT("{\"_id\": 1}, {\"_id\": 1}, {\"_id\": 2}"), "n", 1);
    expect(peer, INSERT("{\"_id\": 2}"), "n", 1);
    expect(peer,
           "{\"insert\": \"open\", \"ordered\": false, \"$db\": \"app\", \"documents\": "
           "[{\"_id\": 1}, {\"_id\": 3}, {\"_id\": 2}, {\"_id\": 4}]}",
           "n", 2);
    expect(peer,
           "{\"insert\": \"open\", \"ordered\": false, \"$db\": \"app\", \"documents\": "
           "[{\"_id\": 5}, {\"_id\": 3}]}",
           "writeErrors.0.index", 1);
    peer_free(peer);
    scene_close(&scene);
}

static void test_errors_of_commands(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer, "{\"fly\": 1, \"$db\": \"app\"}", "code", 59);
    expect(peer, "{\"insert\": \"open\", \"documents\": [], \"$db\": \"app\"}", "code", 16);
    expect(peer, "{\"insert\": \"open\", \"$db\": \"app\"}", "code", 40414);
    expect(peer, "{\"insert\": \"open\", \"documents\": [{}], \"x\": 1, \"$db\": \"app\"}", "code",
           40415);
    expect(peer,
           "{\"insert\": \"open\", \"documents\": [{}], \"comment\": 1, \"comment\": 1, "
           "\"$db\": \"app\"}",
           "code", 40413);
    expect(peer, "{\"insert\": \"open\", \"documents\": [{}], \"ordered\": 1, \"$db\": \"app\"}",
           "code", 14);
    bson_t *reply = peer_ask(peer, "{\"fly\": 1, \"$db\": \"app\"}");
    assert_fields(reply, "ok errmsg code codeName $clusterTime operationTime");
    assert_string_equal(text_field(reply, "errmsg"), "no such command: 'fly'");
    bson_destroy(reply);
    peer_free(peer);
    scene_close(&scene);
}

/* Answers to the same command again, as measured on a MongoDB 4.4 server. */
static void repeat(enum plan_server server, const char *documents, int64_t first_n, int64_t again_n,
                   int first_error, int second_error)
{
    char json[512];
    struct scene scene;
    scene_open(&scene, set_of(1, server));
    struct peer *peer = peer_dial(&scene, "a:27017");
    (void)snprintf(json, sizeof json,
                   "{\"insert\": \"open\", \"ordered\": false, " LSID
                   ", " NUMBER(1) ", "
                                  "\"documents\": [%s], \"$db\": \"app\"}",
                   documents);
    expect(peer, INSERT("{\"_id\": 0}"), "n", 1);
    expect(peer, json, "n", first_n);
    bson_t *reply = peer_ask(peer, json);
    assert_int_equal(field(reply, "n"), again_n);
    assert_int_equal(has_field(reply, "writeErrors.0") ? field(reply, "writeErrors.0.index") : -1,
                     first_error);
    assert_int_equal(has_field(reply, "writeErrors.1") ? field(reply, "writeErrors.1.index") : -1,
                     second_error);
    bson_destroy(reply);
    peer_free(peer);
    scene_close(&scene);
}

static void test_repeated_inserts(void **state)
{
    (void)state;
    repeat(PLAN_SERVER_4_4, "{\"_id\": 1}, {\"_id\": 0}, {\"_id\": 2}", 2, 2, -1, -1);
    repeat(PLAN_SERVER_4_4, "{\"_id\": 1}, {\"_id\": 0}, {\"_id\": 2}, {\"_id\": 0}", 2, 2, 2, 3);
    repeat(PLAN_SERVER_4_4, "{\"_id\": 0}, {\"_id\": 1}", 1, 1, -1, -1);
    repeat(PLAN_SERVER_4_4, "{\"_id\": 1}, {\"_id\": 2}", 2, 2, -1, -1);
    repeat(PLAN_SERVER_CURRENT, "{\"_id\": 1}, {\"_id\": 0}, {\"_id\": 2}", 2, 2, 1, -1);
    repeat(PLAN_SERVER_CURRENT, "{\"_id\": 1}, {\"_id\": 0}, {\"_id\": 2}, {\"_id\": 0}", 2, 2, 1,
           3);
    repeat(PLAN_SERVER_CURRENT, "{\"_id\": 0}, {\"_id\": 1}", 1, 1, 0, -1);
}

static void test_single_statements_again(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_4_4));
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer,
           "{\"insert\": \"open\", \"ordered\": false, " LSID
           ", " NUMBER(3) ", "
                          "\"documents\": [{\"_id\": 1}, {\"_id\": 2}], \"$db\": \"app\"}",
           "n", 2);
    /* The second document alone: known. A third: runs. */
    expect(peer,
           "{\"insert\": \"open\", " LSID
           ", " NUMBER(3) ", \"stmtIds\": [1], "
                          "\"documents\": [{\"_id\": 2}], \"$db\": \"app\"}",
           "n", 1);
    expect(peer,
           "{\"insert\": \"open\", " LSID
           ", " NUMBER(3) ", \"stmtIds\": [2], "
                          "\"documents\": [{\"_id\": 2}], \"$db\": \"app\"}",
           "writeErrors.0.code", 11000);
    bson_t *reply =
        peer_ask(peer, "{\"insert\": \"open\", " LSID
                       ", " NUMBER(2) ", "
                                      "\"documents\": [{\"_id\": 9}], \"$db\": \"app\"}");
    assert_int_equal(field(reply, "code"), 225);
    assert_string_equal(text_field(reply, "codeName"), "TransactionTooOld");
    assert_false(has_field(reply, "errorLabels"));
    bson_destroy(reply);
    peer_free(peer);
    scene_close(&scene);
}

static void test_updates_and_deletes(void **state)
{
    static const char increase[] =
        "{\"update\": \"open\", " LSID
        ", " NUMBER(1) ", \"updates\": [{\"q\": {\"_id\": 1}, "
                       "\"u\": {\"$inc\": {\"i\": 1}}}], \"$db\": \"app\"}";
    struct cluster_document document;
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer, INSERT("{\"_id\": 1, \"i\": {\"$numberLong\": \"0\"}}"), "n", 1);
    bson_t *reply = peer_ask(peer, increase);
    assert_fields(reply, "n nModified opTime electionId ok $clusterTime operationTime");
    bson_destroy(reply);
    expect(peer, increase, "nModified", 1); /* known: it does not run again */
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    assert_int_equal(document.increments, 1);
    expect(peer,
           "{\"update\": \"open\", \"updates\": [{\"q\": {\"_id\": 7}, \"u\": {\"$set\": "
           "{\"x\": 1}}, \"upsert\": true}], \"$db\": \"app\"}",
           "upserted.0._id", 7);
    expect(peer,
           "{\"delete\": \"open\", \"deletes\": [{\"q\": {\"_id\": 7}, \"limit\": 1}], "
           "\"$db\": \"app\"}",
           "n", 1);
    assert_false(cluster_find(scene.cluster, "open", 7, &document));
    assert_true(document.is_deleted);
    expect(peer, "{\"find\": \"open\", \"filter\": {\"_id\": 1}, \"$db\": \"app\"}",
           "cursor.firstBatch.0.i", 1);
    peer_free(peer);
    scene_close(&scene);
}

#define IN_TRANSACTION(n)  LSID ", " NUMBER(n) ", \"autocommit\": false, \"$db\": \"app\"}"
#define END_TRANSACTION(n) LSID ", " NUMBER(n) ", \"autocommit\": false, \"$db\": \"admin\"}"
#define OTHER_LSID                                                                                 \
    "\"lsid\": {\"id\": {\"$binary\": {\"base64\": \"AAAAAAAAAAAAAAAAAAAAAg==\", "                 \
    "\"subType\": \"04\"}}}"

static void test_transactions(void **state)
{
    struct cluster_document document;
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer,
           "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}], \"startTransaction\": "
           "true, " IN_TRANSACTION(1),
           "n", 1);
    assert_false(cluster_find(scene.cluster, "open", 1, &document));
    expect(peer, "{\"find\": \"open\", \"filter\": {\"_id\": 1}, " IN_TRANSACTION(1),
           "cursor.firstBatch.0._id", 1);
    expect(
        peer,
        "{\"commitTransaction\": 1, \"writeConcern\": {\"w\": \"majority\"}, " END_TRANSACTION(1),
        "ok", 1);
    expect(peer, "{\"commitTransaction\": 1, " END_TRANSACTION(1), "ok", 1); /* again */
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    /* One that was not begun. */
    bson_t *reply =
        peer_ask(peer, "{\"insert\": \"open\", \"documents\": [{\"_id\": 2}], " IN_TRANSACTION(2));
    assert_int_equal(field(reply, "code"), 251);
    assert_string_equal(text_field(reply, "errorLabels.0"), "TransientTransactionError");
    bson_destroy(reply);
    /* A conflict of two. */
    expect(peer,
           "{\"update\": \"open\", \"updates\": [{\"q\": {\"_id\": 1}, \"u\": {\"$inc\": "
           "{\"i\": 1}}}], \"startTransaction\": true, " IN_TRANSACTION(3),
           "n", 1);
    reply = peer_ask(peer, "{\"update\": \"open\", \"updates\": [{\"q\": {\"_id\": 1}, \"u\": "
                           "{\"$inc\": {\"i\": 1}}}], \"startTransaction\": true, " OTHER_LSID
                           ", " NUMBER(1) ", \"autocommit\": false, \"$db\": \"app\"}");
    assert_int_equal(field(reply, "code"), 112);
    assert_string_equal(text_field(reply, "errorLabels.0"), "TransientTransactionError");
    bson_destroy(reply);
    /* A plain write waits for the end. */
    struct peer *other = peer_dial(&scene, "a:27017");
    peer_send_json(other, 0,
                   "{\"update\": \"open\", \"updates\": [{\"q\": {\"_id\": 1}, \"u\": {\"$inc\": "
                   "{\"i\": 10}}}], \"$db\": \"app\"}");
    scene_run(&scene, 200000);
    assert_int_equal(other->len, 0);
    expect(peer, "{\"abortTransaction\": 1, " END_TRANSACTION(3), "ok", 1);
    reply = peer_receive(other);
    assert_int_equal(field(reply, "nModified"), 1);
    bson_destroy(reply);
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    assert_int_equal(document.increments, 10);
    peer_free(other);
    peer_free(peer);
    scene_close(&scene);
}

static void test_bulk_writes(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    bson_t *reply = peer_ask(
        peer, "{\"bulkWrite\": 1, \"ordered\": false, \"nsInfo\": [{\"ns\": \"app.open\"}], "
              "\"ops\": [{\"insert\": 0, \"document\": {\"_id\": 1}}, {\"insert\": 0, "
              "\"document\": {\"_id\": 1}}, {\"update\": 0, \"filter\": {\"_id\": 1}, "
              "\"updateMods\": {\"$inc\": {\"i\": 1}}}, {\"delete\": 0, \"filter\": {\"_id\": "
              "1}}], \"$db\": \"admin\"}");
    assert_fields(reply, "cursor nErrors nInserted nMatched nModified nUpserted nDeleted opTime "
                         "electionId ok $clusterTime operationTime");
    assert_int_equal(field(reply, "nErrors"), 1);
    assert_int_equal(field(reply, "nInserted"), 1);
    assert_int_equal(field(reply, "nModified"), 1);
    assert_int_equal(field(reply, "nDeleted"), 1);
    assert_int_equal(field(reply, "cursor.firstBatch.1.code"), 11000);
    assert_int_equal(field(reply, "cursor.firstBatch.1.idx"), 1);
    bson_destroy(reply);
    peer_free(peer);
    scene_close(&scene);
    scene_open(&scene, set_of(1, PLAN_SERVER_4_4));
    peer = peer_dial(&scene, "a:27017");
    expect(peer, "{\"bulkWrite\": 1, \"$db\": \"admin\"}", "code", 59);
    peer_free(peer);
    scene_close(&scene);
}

static void test_validators(void **state)
{
    struct scene scene;
    struct plan plan = set_of(1, PLAN_SERVER_CURRENT);
    (void)state;
    plan.schemas = true;
    scene_open(&scene, plan);
    struct peer *peer = peer_dial(&scene, "a:27017");
    bson_t *reply = peer_ask(peer, "{\"insert\": \"checked\", \"documents\": [{\"_id\": 5, \"c\": "
                                   "1, \"u\": 1, \"i\": {\"$numberLong\": \"0\"}}], \"$db\": "
                                   "\"app\"}");
    assert_int_equal(field(reply, "writeErrors.0.code"), 121);
    assert_string_equal(text_field(reply, "writeErrors.0.errmsg"), "Document failed validation");
    assert_int_equal(field(reply, "writeErrors.0.errInfo.failingDocumentId"), 5);
    assert_string_equal(
        text_field(reply, "writeErrors.0.errInfo.details.schemaRulesNotSatisfied.0.operatorName"),
        "required");
    bson_destroy(reply);
    expect(peer,
           "{\"insert\": \"checked\", \"documents\": [{\"_id\": 5, \"c\": 1, \"u\": 1, "
           "\"i\": {\"$numberLong\": \"0\"}, \"s\": \"ok\"}], \"$db\": \"app\"}",
           "n", 1);
    cluster_set_validator(scene.cluster, "checked", false);
    expect(peer, "{\"insert\": \"checked\", \"documents\": [{\"_id\": 6}], \"$db\": \"app\"}", "n",
           1);
    struct cluster_document document;
    assert_true(cluster_find(scene.cluster, "checked", 6, &document));
    assert_true(document.breaks_schema);
    peer_free(peer);
    scene_close(&scene);
}

static void test_unacknowledged(void **state)
{
    struct scene scene;
    struct cluster_document document;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_4_4));
    struct peer *peer = peer_dial(&scene, "a:27017");
    peer_send_json(peer, 2,
                   "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}], "
                   "\"writeConcern\": {\"w\": 0}, \"$db\": \"app\"}");
    expect(peer, "{\"ping\": 1, \"$db\": \"admin\"}", "ok", 1);
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    peer_free(peer);
    scene_close(&scene);
}

static void test_standalone(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, (struct plan){.topology = PLAN_STANDALONE});
    struct peer *peer = peer_dial(&scene, "a:27017");
    bson_t *reply = peer_ask(peer, INSERT("{\"_id\": 1}"));
    assert_fields(reply, "n ok");
    bson_destroy(reply);
    expect(peer,
           "{\"insert\": \"open\", \"documents\": [{\"_id\": 2}], " LSID
           ", " NUMBER(1) ", \"$db\": \"app\"}",
           "code", 20);
    peer_free(peer);
    scene_close(&scene);
}

/* A command that fails in the midst: what ran before stays, and is known when it comes again. */
static void test_full_disk(void **state)
{
    static const char insert[] = "{\"insert\": \"open\", \"ordered\": false, " LSID ", " NUMBER(
        1) ", \"documents\": "
           "[{\"_id\": 1}, {\"_id\": 2}, {\"_id\": 3}, {\"_id\": 4}], \"$db\": \"app\"}";
    struct cluster_document document;
    bool any_partial = false;
    (void)state;
    for (uint64_t seed = 0; seed < 20 && !any_partial; seed++) {
        struct scene scene;
        struct plan plan = set_of(1, PLAN_SERVER_4_4);
        plan.seed = seed;
        scene_open(&scene, plan);
        struct peer *peer = peer_dial(&scene, "a:27017");
        cluster_fill_disks(scene.cluster, 400, 1000000);
        bson_t *reply = peer_ask(peer, insert);
        if (has_field(reply, "code")) {
            assert_int_equal(field(reply, "code"), 14031);
            assert_false(has_field(reply, "errorLabels"));
        }
        any_partial = has_field(reply, "code") && cluster_find(scene.cluster, "open", 1, &document);
        bson_destroy(reply);
        scene_run(&scene, 1000000);
        expect(peer, insert, "n", 4);
        for (int i = 1; i <= 4; i++) {
            assert_true(cluster_find(scene.cluster, "open", i, &document));
            assert_int_equal(document.written, 1);
        }
        peer_free(peer);
        scene_close(&scene);
    }
    assert_true(any_partial);
}

static void test_lost_answers(void **state)
{
    static const char insert[] = "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}], " LSID
                                 ", " NUMBER(1) ", \"$db\": \"app\"}";
    struct scene scene;
    struct cluster_document document;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_4_4));
    struct peer *peer = peer_dial(&scene, "a:27017");
    cluster_lose_answers(scene.cluster, 1000, 1000000);
    expect(peer, "{\"ping\": 1, \"$db\": \"admin\"}", "ok", 1); /* writes only */
    peer_send_json(peer, 0, insert);
    assert_null(peer_receive(peer));
    assert_true(peer->was_reset);
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    scene_run(&scene, 1000000);
    struct peer *other = peer_dial(&scene, "a:27017");
    expect(other, insert, "n", 1);
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    assert_int_equal(document.written, 1);
    peer_free(other);
    peer_free(peer);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_of_inserts),
        cmocka_unit_test(test_ordered_and_unordered),
        cmocka_unit_test(test_errors_of_commands),
        cmocka_unit_test(test_repeated_inserts),
        cmocka_unit_test(test_single_statements_again),
        cmocka_unit_test(test_updates_and_deletes),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_bulk_writes),
        cmocka_unit_test(test_validators),
        cmocka_unit_test(test_unacknowledged),
        cmocka_unit_test(test_standalone),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_lost_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
