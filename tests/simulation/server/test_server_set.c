/* The model server as a replica set: hello, elections, rollback, cursors, change streams, mongos.
 */
#include "server/scripted_client.h"

#define HELLO "{\"hello\": 1, \"$db\": \"admin\"}"

static struct plan set_of(unsigned members, enum plan_server server)
{
    return (struct plan){.topology = PLAN_REPLICA_SET, .members = members, .server = server};
}

static void insert_one(struct peer *peer, int number, const char *concern, int64_t n)
{
    char json[256];
    (void)snprintf(json, sizeof json,
                   "{\"insert\": \"open\", \"documents\": [{\"_id\": %d}], \"writeConcern\": "
                   "{\"w\": %s}, \"$db\": \"app\"}",
                   number, concern);
    expect(peer, json, "n", n);
}

static void test_hello(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_4_4));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "a:27017");
    bson_t *reply = peer_ask(peer, "{\"ismaster\": 1, \"helloOk\": true, \"$db\": \"admin\"}");
    assert_fields(reply, "helloOk topologyVersion hosts setName setVersion ismaster secondary "
                         "primary me electionId lastWrite maxBsonObjectSize maxMessageSizeBytes "
                         "maxWriteBatchSize localTime logicalSessionTimeoutMinutes connectionId "
                         "minWireVersion maxWireVersion readOnly ok $clusterTime operationTime");
    assert_int_equal(field(reply, "ismaster"), 1);
    assert_int_equal(field(reply, "maxWireVersion"), 9);
    assert_string_equal(text_field(reply, "primary"), "a:27017");
    bson_destroy(reply);
    struct peer *other = peer_dial(&scene, "b:27017");
    reply = peer_ask(other, HELLO);
    assert_int_equal(field(reply, "isWritablePrimary"), 0);
    assert_int_equal(field(reply, "secondary"), 1);
    assert_string_equal(text_field(reply, "primary"), "a:27017");
    assert_false(has_field(reply, "electionId"));
    bson_destroy(reply);
    reply = peer_ask(other, "{\"insert\": \"open\", \"documents\": [{}], " LSID
                            ", " NUMBER(1) ", \"$db\": \"app\"}");
    assert_fields(reply, "errorLabels topologyVersion operationTime ok errmsg code codeName "
                         "$clusterTime");
    assert_int_equal(field(reply, "code"), 10107);
    assert_string_equal(text_field(reply, "errorLabels.0"), "RetryableWriteError");
    bson_destroy(reply);
    expect(other, "{\"find\": \"open\", \"$db\": \"app\"}", "code", 13435);
    expect(other,
           "{\"find\": \"open\", \"$readPreference\": {\"mode\": \"secondary\"}, "
           "\"$db\": \"app\"}",
           "ok", 1);
    peer_free(other);
    peer_free(peer);
    scene_close(&scene);
}

static void test_labels_of_a_secondary(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_CURRENT));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "b:27017");
    bson_t *reply = peer_ask(peer, "{\"insert\": \"open\", \"documents\": [{}], " LSID
                                   ", " NUMBER(1) ", \"$db\": \"app\"}");
    assert_string_equal(text_field(reply, "errorLabels.0"), "RetryableWriteError");
    assert_string_equal(text_field(reply, "errorLabels.1"), "NoWritesPerformed");
    bson_destroy(reply);
    reply = peer_ask(peer, "{\"insert\": \"open\", \"documents\": [{}], \"$db\": \"app\"}");
    assert_false(has_field(reply, "errorLabels"));
    bson_destroy(reply);
    peer_free(peer);
    scene_close(&scene);
}

static void test_legacy_hello(void **state)
{
    struct scene scene;
    uint8_t message[256] = {0};
    (void)state;
    scene_open(&scene, (struct plan){.topology = PLAN_STANDALONE});
    struct peer *peer = peer_dial(&scene, "a:27017");
    bson_t *body = from_json("{\"isMaster\": 1}");
    size_t len = 16 + 4 + 11 + 8 + body->len;
    put32(message, (uint32_t)len);
    put32(message + 4, 77);
    put32(message + 12, 2004);
    memcpy(message + 20, "admin.$cmd", 11);
    put32(message + 35, 0xFFFFFFFF);
    memcpy(message + 39, bson_get_data(body), body->len);
    bson_destroy(body);
    end_send(peer->end, message, len);
    bson_t *reply = peer_receive(peer);
    assert_int_equal(peer->response_to, 77);
    assert_int_equal(peer->flags, 8);
    assert_int_equal(field(reply, "ismaster"), 1);
    assert_false(has_field(reply, "setName"));
    bson_destroy(reply);
    peer_free(peer);
    scene_close(&scene);
}

/* The topologyVersion of a reply, in a hello that waits. */
static bson_t *awaiting(const bson_t *reply, int wait_ms)
{
    bson_iter_t iter;
    bson_t *body = from_json("{\"hello\": 1}");
    assert_true(bson_iter_init_find(&iter, reply, "topologyVersion"));
    bson_append_iter(body, "topologyVersion", -1, &iter);
    bson_append_int32(body, "maxAwaitTimeMS", -1, wait_ms);
    bson_append_utf8(body, "$db", -1, "admin", -1);
    return body;
}

static void test_awaited_hello(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_CURRENT));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "b:27017");
    bson_t *reply = peer_ask(peer, HELLO);
    bson_t *body = awaiting(reply, 300);
    bson_destroy(reply);
    int64_t before_us = world_now_us(scene.world);
    peer_send(peer, 0, body);
    reply = peer_receive(peer);
    assert_true(world_now_us(scene.world) - before_us >= 300000);
    bson_destroy(reply);
    /* A stream: the first answer after the wait, the next with the change. */
    peer_send(peer, 1 << 16, body);
    reply = peer_receive(peer);
    assert_int_equal(peer->flags, 2);
    assert_int_equal(peer->response_to, peer->request_id);
    int32_t first = peer->reply_id;
    bson_destroy(reply);
    cluster_restart_member(scene.cluster, 0, 60000000);
    cluster_restart_member(scene.cluster, 2, 1000);
    bool is_primary = false;
    bool was_chained = true;
    for (int i = 0; i < 1000 && !is_primary; i++) {
        reply = peer_receive(peer);
        was_chained = was_chained && peer->response_to == first;
        first = peer->reply_id;
        is_primary = has_field(reply, "electionId");
        bson_destroy(reply);
    }
    assert_true(was_chained);
    bson_destroy(body);
    peer_free(peer);
    scene_close(&scene);
}

static void test_majority_waits_for_others(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_4_4));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "a:27017");
    int64_t before_us = world_now_us(scene.world);
    insert_one(peer, 1, "\"majority\"", 1);
    assert_true(world_now_us(scene.world) - before_us > 1000);
    cluster_slow_disk(scene.cluster, 1, 500000);
    cluster_slow_disk(scene.cluster, 2, 500000);
    before_us = world_now_us(scene.world);
    insert_one(peer, 2, "1", 1);
    assert_true(world_now_us(scene.world) - before_us < 100000);
    insert_one(peer, 3, "\"majority\"", 1);
    assert_true(world_now_us(scene.world) - before_us > 400000);
    bson_t *reply = peer_ask(peer, "{\"insert\": \"open\", \"documents\": [{\"_id\": 4}], "
                                   "\"writeConcern\": {\"w\": \"majority\", \"wtimeout\": 20}, "
                                   "\"$db\": \"app\"}");
    assert_fields(reply, "n writeConcernError opTime electionId ok $clusterTime operationTime");
    assert_int_equal(field(reply, "writeConcernError.code"), 64);
    assert_int_equal(field(reply, "writeConcernError.errInfo.wtimeout"), 1);
    bson_destroy(reply);
    expect(peer,
           "{\"insert\": \"open\", \"documents\": [{\"_id\": 5}], \"writeConcern\": "
           "{\"w\": 5}, \"$db\": \"app\"}",
           "writeConcernError.code", 100);
    peer_free(peer);
    scene_close(&scene);
}

/* The address of the primary; "" without one. */
static const char *primary_of(struct scene *scene, struct cluster_view *view)
{
    cluster_view(scene->cluster, view);
    for (unsigned i = 0; i < view->count; i++)
        if (view->members[i].primary)
            return view->members[i].address;
    return "";
}

static void test_rollback(void **state)
{
    struct scene scene;
    struct cluster_document document;
    struct cluster_view view;
    bool any_lost = false;
    (void)state;
    for (uint64_t seed = 0; seed < 40 && !any_lost; seed++) {
        struct plan plan = set_of(3, PLAN_SERVER_4_4);
        plan.seed = seed;
        scene_open(&scene, plan);
        scene_run(&scene, 100000);
        struct peer *peer = peer_dial(&scene, "a:27017");
        insert_one(peer, 1, "\"majority\"", 1);
        cluster_step_down(scene.cluster, false);
        insert_one(peer, 2, "1", 1); /* nobody else hears of it */
        peer_send_json(peer, 0,
                       "{\"insert\": \"open\", \"documents\": [{\"_id\": 3}], "
                       "\"writeConcern\": {\"w\": \"majority\"}, " LSID
                       ", " NUMBER(1) ", \"$db\": \"app\"}");
        bson_t *reply = peer_receive(peer);
        /* Either the primary came back before the others elected another one, or it lost. */
        if (has_field(reply, "writeConcernError.code")) {
            assert_int_equal(field(reply, "writeConcernError.code"), 11602);
            assert_string_equal(text_field(reply, "errorLabels.0"), "RetryableWriteError");
        }
        bson_destroy(reply);
        scene_run(&scene, 6000000);
        assert_string_not_equal(primary_of(&scene, &view), "");
        assert_true(cluster_find(scene.cluster, "open", 1, &document));
        bool stays = cluster_find(scene.cluster, "open", 2, &document);
        any_lost = any_lost || !stays;
        assert_int_equal(document.rolled_back, stays ? 0 : 1);
        assert_int_equal(document.written, stays ? 1 : 0);
        peer_free(peer);
        scene_close(&scene);
    }
    assert_true(any_lost);
}

static void test_step_down_and_restart(void **state)
{
    struct scene scene;
    struct cluster_view view;
    struct cluster_document document;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_CURRENT));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "a:27017");
    insert_one(peer, 1, "1", 1);
    cluster_step_down(scene.cluster, true);
    bson_t *reply = peer_ask(peer, "{\"insert\": \"open\", \"documents\": [{\"_id\": 2}], "
                                   "\"$db\": \"app\"}");
    assert_fields(reply, "topologyVersion ok errmsg code codeName $clusterTime operationTime");
    assert_int_equal(field(reply, "code"), 10107);
    bson_destroy(reply);
    scene_run(&scene, 3000000);
    assert_true(cluster_find(scene.cluster, "open", 1, &document)); /* nothing is lost */
    const char *primary = primary_of(&scene, &view);
    unsigned number = (unsigned)(primary[0] - 'a');
    assert_true(view.members[number].up);
    struct peer *other = peer_dial(&scene, primary);
    insert_one(other, 3, "\"majority\"", 1);
    cluster_restart_member(scene.cluster, number, 1000000);
    assert_true(other->end == NULL || peer_receive(other) == NULL);
    assert_true(other->has_ended);
    scene_run(&scene, 4000000);
    assert_string_not_equal(primary_of(&scene, &view), "");
    assert_true(cluster_find(scene.cluster, "open", 3, &document));
    struct peer *refused = peer_dial(&scene, "a:27017");
    assert_true(refused->is_open);
    peer_free(refused);
    peer_free(other);
    peer_free(peer);
    scene_close(&scene);
}

static void test_retry_after_failover(void **state)
{
    static const char insert[] =
        "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}], \"writeConcern\": {\"w\": "
        "\"majority\"}, " LSID ", " NUMBER(1) ", \"$db\": \"app\"}";
    struct scene scene;
    struct cluster_view view;
    struct cluster_document document;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_4_4));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer, insert, "n", 1);
    cluster_restart_member(scene.cluster, 0, 10000000);
    scene_run(&scene, 4000000);
    struct peer *other = peer_dial(&scene, primary_of(&scene, &view));
    expect(other, insert, "n", 1);
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    assert_int_equal(document.written, 1);
    assert_int_equal(document.duplicates, 0);
    peer_free(other);
    peer_free(peer);
    scene_close(&scene);
}

static void test_cursors(void **state)
{
    char json[256];
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    for (int i = 1; i <= 5; i++)
        insert_one(peer, i, "1", 1);
    bson_t *reply = peer_ask(peer, "{\"find\": \"open\", \"filter\": {\"_id\": {\"$gte\": 2}}, "
                                   "\"batchSize\": 2, " LSID ", \"$db\": \"app\"}");
    assert_int_equal(field(reply, "cursor.firstBatch.1._id"), 3);
    long long id = (long long)field(reply, "cursor.id");
    assert_string_equal(text_field(reply, "cursor.ns"), "app.open");
    bson_destroy(reply);
    struct peer *other = peer_dial(&scene, "a:27017");
    (void)snprintf(json, sizeof json,
                   "{\"getMore\": {\"$numberLong\": \"%lld\"}, \"collection\": \"open\", "
                   "\"$db\": \"app\"}",
                   id);
    expect(other, json, "code", 13); /* another session */
    (void)snprintf(json, sizeof json,
                   "{\"getMore\": {\"$numberLong\": \"%lld\"}, \"collection\": \"open\", " LSID
                   ", \"$db\": \"app\"}",
                   id);
    reply = peer_ask(other, json);
    assert_int_equal(field(reply, "cursor.nextBatch.1._id"), 5);
    assert_int_equal(field(reply, "cursor.id"), 0);
    bson_destroy(reply);
    expect(other, json, "code", 43);
    expect(peer,
           "{\"killCursors\": \"open\", \"cursors\": [{\"$numberLong\": \"5\"}], \"$db\": "
           "\"app\"}",
           "cursorsNotFound.0", 5);
    expect(peer,
           "{\"aggregate\": \"open\", \"pipeline\": [{\"$match\": {\"_id\": {\"$lt\": 4}}}, "
           "{\"$group\": {\"_id\": 1, \"n\": {\"$sum\": 1}}}], \"cursor\": {}, \"$db\": "
           "\"app\"}",
           "cursor.firstBatch.0.n", 3);
    expect(peer, "{\"count\": \"open\", \"query\": {}, \"$db\": \"app\"}", "n", 5);
    peer_free(other);
    peer_free(peer);
    scene_close(&scene);
}

static void test_change_streams(void **state)
{
    char json[512];
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_CURRENT));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "a:27017");
    struct peer *watcher = peer_dial(&scene, "a:27017");
    bson_t *reply = peer_ask(watcher, "{\"aggregate\": \"open\", \"pipeline\": [{\"$changeStream\""
                                      ": {}}], \"cursor\": {}, \"$db\": \"app\"}");
    long long id = (long long)field(reply, "cursor.id");
    assert_true(has_field(reply, "cursor.postBatchResumeToken._data"));
    bson_destroy(reply);
    (void)snprintf(json, sizeof json,
                   "{\"getMore\": {\"$numberLong\": \"%lld\"}, \"collection\": \"open\", "
                   "\"maxTimeMS\": 200, \"$db\": \"app\"}",
                   id);
    int64_t before_us = world_now_us(scene.world);
    reply = peer_ask(watcher, json);
    assert_false(has_field(reply, "cursor.nextBatch.0"));
    assert_true(world_now_us(scene.world) - before_us >= 200000);
    bson_destroy(reply);
    peer_send_json(watcher, 0, json);
    insert_one(peer, 7, "1", 1);
    reply = peer_receive(watcher);
    assert_int_equal(field(reply, "cursor.nextBatch.0.documentKey._id"), 7);
    assert_string_equal(text_field(reply, "cursor.nextBatch.0.operationType"), "insert");
    assert_string_equal(text_field(reply, "cursor.nextBatch.0.ns.coll"), "open");
    assert_int_equal(field(reply, "cursor.nextBatch.0.fullDocument._id"), 7);
    (void)snprintf(json, sizeof json,
                   "{\"aggregate\": \"open\", \"pipeline\": [{\"$changeStream\": {\"resumeAfter\": "
                   "{\"_data\": \"%s\"}}}], \"cursor\": {}, \"$db\": \"app\"}",
                   text_field(reply, "cursor.nextBatch.0._id._data"));
    bson_destroy(reply);
    insert_one(peer, 8, "\"majority\"", 1);
    insert_one(peer, 9, "\"majority\"", 1);
    reply = peer_ask(watcher, json);
    assert_int_equal(field(reply, "cursor.firstBatch.0.documentKey._id"), 8);
    assert_int_equal(field(reply, "cursor.firstBatch.1.documentKey._id"), 9);
    bson_destroy(reply);
    peer_free(watcher);
    peer_free(peer);
    scene_close(&scene);
}

static void test_mongos(void **state)
{
    static const char insert[] =
        "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}], \"writeConcern\": {\"w\": "
        "\"majority\"}, " LSID ", " NUMBER(1) ", \"$db\": \"app\"}";
    struct scene scene;
    struct cluster_view view;
    struct cluster_document document;
    (void)state;
    scene_open(&scene,
               (struct plan){.topology = PLAN_MONGOS, .members = 3, .server = PLAN_SERVER_CURRENT});
    struct peer *peer = peer_dial(&scene, "s:27017");
    bson_t *reply = peer_ask(peer, HELLO);
    assert_string_equal(text_field(reply, "msg"), "isdbgrid");
    assert_false(has_field(reply, "setName"));
    bson_destroy(reply);
    assert_string_equal(primary_of(&scene, &view), "s:27017");
    assert_int_equal(view.count, 1);
    peer_send_json(peer, 0, insert);
    scene_run(&scene, 800);
    cluster_step_down(scene.cluster, true); /* the mongos tries again */
    reply = peer_receive(peer);
    assert_int_equal(field(reply, "n"), 1);
    assert_false(has_field(reply, "writeConcernError"));
    bson_destroy(reply);
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    assert_int_equal(document.written, 1);
    cluster_restart_member(scene.cluster, 3, 100000);
    assert_null(peer_receive(peer));
    scene_run(&scene, 200000);
    struct peer *again = peer_dial(&scene, "s:27017");
    expect(again, insert, "n", 1);
    peer_free(again);
    peer_free(peer);
    scene_close(&scene);
}

static void test_after_cluster_time(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_CURRENT));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "a:27017");
    struct peer *other = peer_dial(&scene, "b:27017");
    bson_t *reply = peer_ask(peer, "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}], "
                                   "\"writeConcern\": {\"w\": 1}, \"$db\": \"app\"}");
    bson_iter_t iter;
    uint32_t seconds = 0;
    uint32_t increment = 0;
    assert_true(bson_iter_init_find(&iter, reply, "operationTime"));
    bson_iter_timestamp(&iter, &seconds, &increment);
    bson_destroy(reply);
    char json[512];
    (void)snprintf(json, sizeof json,
                   "{\"find\": \"open\", \"filter\": {\"_id\": 1}, \"readConcern\": "
                   "{\"afterClusterTime\": {\"$timestamp\": {\"t\": %u, \"i\": %u}}}, "
                   "\"$readPreference\": {\"mode\": \"secondary\"}, \"$db\": \"app\"}",
                   seconds, increment);
    expect(other, json, "cursor.firstBatch.0._id", 1);
    peer_free(other);
    peer_free(peer);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_labels_of_a_secondary),
        cmocka_unit_test(test_legacy_hello),
        cmocka_unit_test(test_awaited_hello),
        cmocka_unit_test(test_majority_waits_for_others),
        cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_step_down_and_restart),
        cmocka_unit_test(test_retry_after_failover),
        cmocka_unit_test(test_cursors),
        cmocka_unit_test(test_change_streams),
        cmocka_unit_test(test_mongos),
        cmocka_unit_test(test_after_cluster_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
