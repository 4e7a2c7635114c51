/* Transactions of the model server over failovers and by way of a mongos. */
#include "server/scripted_client.h"

#define WRITE(session, n, begins, id)                                                              \
    "{\"insert\": \"open\", \"documents\": [{\"_id\": " #id "}], " begins                          \
    "\"autocommit\": false, " session ", " NUMBER(n) ", \"$db\": \"app\"}"
#define END(command, session, n)                                                                   \
    "{\"" command                                                                                  \
    "\": 1, \"writeConcern\": {\"w\": \"majority\"}, \"autocommit\": false, " session              \
    ", " NUMBER(n) ", \"$db\": \"admin\"}"
#define BEGINS "\"startTransaction\": true, "
#define OTHER                                                                                      \
    "\"lsid\": {\"id\": {\"$binary\": {\"base64\": \"AAAAAAAAAAAAAAAAAAAAAg==\", "                 \
    "\"subType\": \"04\"}}}"

static struct plan plan_of(enum plan_topology topology, uint64_t seed)
{
    return (struct plan){
        .topology = topology, .members = 3, .server = PLAN_SERVER_CURRENT, .seed = seed};
}

static const char *primary_of(struct scene *scene, struct cluster_view *view)
{
    cluster_view(scene->cluster, view);
    for (unsigned i = 0; i < view->count; i++)
        if (view->members[i].primary)
            return view->members[i].address;
    return "";
}

/* A commit that only a primary without its majority has. The client learns that it is open, and
 * asks the new primary. */
static void test_lost_commit(void **state)
{
    unsigned lost = 0;
    unsigned kept = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 60 && (lost == 0 || kept == 0); seed++) {
        struct scene scene;
        struct cluster_view view;
        struct cluster_document document;
        scene_open(&scene, plan_of(PLAN_REPLICA_SET, seed));
        scene_run(&scene, 100000);
        struct peer *peer = peer_dial(&scene, "a:27017");
        expect(peer, WRITE(LSID, 1, BEGINS, 1), "n", 1);
        cluster_step_down(scene.cluster, false);
        bson_t *reply = peer_ask(peer, END("commitTransaction", LSID, 1));
        if (has_field(reply, "writeConcernError")) {
            assert_int_equal(field(reply, "writeConcernError.code"), 11602);
            assert_string_equal(text_field(reply, "errorLabels.0"), "RetryableWriteError");
        }
        bson_destroy(reply);
        scene_run(&scene, 6000000);
        struct peer *other = peer_dial(&scene, primary_of(&scene, &view));
        reply = peer_ask(other, END("commitTransaction", LSID, 1));
        bool stays = cluster_find(scene.cluster, "open", 1, &document);
        if (stays) {
            assert_int_equal(field(reply, "ok"), 1);
        } else {
            assert_int_equal(field(reply, "code"), 251);
            assert_string_equal(text_field(reply, "errorLabels.0"), "TransientTransactionError");
        }
        lost += !stays;
        kept += stays;
        bson_destroy(reply);
        peer_free(other);
        peer_free(peer);
        scene_close(&scene);
    }
    assert_true(lost > 0 && kept > 0);
}

static void test_step_down_in_a_transaction(void **state)
{
    struct scene scene;
    struct cluster_view view;
    struct cluster_document document;
    (void)state;
    scene_open(&scene, plan_of(PLAN_REPLICA_SET, 5));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer, WRITE(LSID, 1, BEGINS, 1), "n", 1);
    cluster_step_down(scene.cluster, true);
    bson_t *reply = peer_ask(peer, WRITE(LSID, 1, "", 2));
    assert_int_equal(field(reply, "code"), 10107);
    assert_string_equal(text_field(reply, "errorLabels.0"), "TransientTransactionError");
    assert_false(has_field(reply, "errorLabels.1"));
    bson_destroy(reply);
    scene_run(&scene, 3000000);
    struct peer *other = peer_dial(&scene, primary_of(&scene, &view));
    expect(other, WRITE(LSID, 1, "", 2), "code", 251);
    expect(other, WRITE(LSID, 2, BEGINS, 3), "n", 1);
    expect(other, END("abortTransaction", LSID, 2), "ok", 1);
    expect(other, END("commitTransaction", LSID, 2), "code", 251);
    assert_false(cluster_find(scene.cluster, "open", 1, &document));
    assert_false(cluster_find(scene.cluster, "open", 3, &document));
    peer_free(other);
    peer_free(peer);
    scene_close(&scene);
}

static void test_transactions_through_a_mongos(void **state)
{
    struct scene scene;
    struct cluster_document document;
    (void)state;
    scene_open(&scene, plan_of(PLAN_MONGOS, 1));
    struct peer *one = peer_dial(&scene, "s:27017");
    struct peer *two = peer_dial(&scene, "s:27017");
    expect(one, WRITE(LSID, 1, BEGINS, 1), "n", 1);
    expect(two, WRITE(OTHER, 1, BEGINS, 2), "n", 1);
    expect(two, WRITE(OTHER, 1, "", 1), "code", 112); /* the other one holds it */
    expect(two, END("commitTransaction", OTHER, 1), "code", 251);
    expect(two, WRITE(LSID, 1, "", 3), "n", 1); /* any connection of the session */
    expect(one, END("commitTransaction", LSID, 1), "ok", 1);
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    assert_false(cluster_find(scene.cluster, "open", 2, &document));
    assert_true(cluster_find(scene.cluster, "open", 3, &document));
    expect(one, WRITE(LSID, 1, "", 4), "code", 256); /* it has been committed */
    peer_free(two);
    peer_free(one);
    scene_close(&scene);
}

static void test_snapshots(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, plan_of(PLAN_REPLICA_SET, 2));
    struct peer *one = peer_dial(&scene, "a:27017");
    struct peer *two = peer_dial(&scene, "a:27017");
    expect(one, WRITE(LSID, 1, BEGINS, 1), "n", 1);
    expect(two,
           "{\"insert\": \"open\", \"documents\": [{\"_id\": 2}], \"writeConcern\": {\"w\": "
           "1}, \"$db\": \"app\"}",
           "n", 1);
    bson_t *reply =
        peer_ask(one, "{\"find\": \"open\", \"filter\": {\"_id\": 2}, "
                      "\"autocommit\": false, " LSID ", " NUMBER(1) ", \"$db\": \"app\"}");
    assert_false(has_field(reply, "cursor.firstBatch.0")); /* later than its snapshot */
    bson_destroy(reply);
    expect(one, WRITE(LSID, 1, "", 2), "code", 112);
    expect(two, "{\"count\": \"open\", \"query\": {}, \"$db\": \"app\"}", "n", 1);
    peer_free(two);
    peer_free(one);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_commit),
        cmocka_unit_test(test_step_down_in_a_transaction),
        cmocka_unit_test(test_transactions_through_a_mongos),
        cmocka_unit_test(test_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
