/* Framing of the model server, and its smaller commands. */
#include "server/scripted_client.h"

static struct plan set_of(unsigned members, enum plan_server server)
{
    return (struct plan){.topology = PLAN_REPLICA_SET, .members = members, .server = server};
}

/* A body and one sequence; the sequence may come first. */
static size_t write_sequence(uint8_t *out, const char *body_json, const char *name,
                             const char *const *documents, size_t count, bool is_first)
{
    uint8_t sequence[2048];
    size_t len = 4 + strlen(name) + 1;
    bson_t *body = from_json(body_json);
    memcpy(sequence + 4, name, strlen(name) + 1);
    for (size_t i = 0; i < count; i++) {
        bson_t *one = from_json(documents[i]);
        memcpy(sequence + len, bson_get_data(one), one->len);
        len += one->len;
        bson_destroy(one);
    }
    put32(sequence, (uint32_t)len);
    size_t at = 20;
    for (int part = 0; part < 2; part++) {
        bool is_sequence = (part == 0) == is_first;
        out[at++] = is_sequence;
        memcpy(out + at, is_sequence ? sequence : bson_get_data(body),
               is_sequence ? len : body->len);
        at += is_sequence ? len : body->len;
    }
    bson_destroy(body);
    put32(out, (uint32_t)at);
    put32(out + 4, 55);
    put32(out + 8, 0);
    put32(out + 12, 2013);
    put32(out + 16, 0);
    return at;
}

static void test_document_sequences(void **state)
{
    static const char *const documents[] = {"{\"_id\": 1}", "{\"_id\": 2}"};
    static const char body[] = "{\"insert\": \"open\", \"comment\": {\"a\": 1}, \"$db\": \"app\"}";
    uint8_t message[4096];
    struct scene scene;
    (void)state;
    for (int is_first = 0; is_first < 2; is_first++) {
        scene_open(&scene, set_of(1, PLAN_SERVER_4_4));
        struct peer *peer = peer_dial(&scene, "a:27017");
        size_t len = write_sequence(message, body, "documents", documents, 2, is_first);
        for (size_t i = 0; i < len; i++) /* byte by byte */
            end_send(peer->end, message + i, 1);
        bson_t *reply = peer_receive(peer);
        assert_int_equal(peer->response_to, 55);
        assert_int_equal(field(reply, "n"), 2);
        bson_destroy(reply);
        len = write_sequence(message, body, "updates", documents, 2, is_first);
        end_send(peer->end, message, len);
        reply = peer_receive(peer);
        assert_int_equal(field(reply, "code"), 40415);
        bson_destroy(reply);
        /* The checksum is not looked at. */
        len = write_sequence(message, body, "documents", documents, 1, is_first);
        put32(message, (uint32_t)len + 4);
        put32(message + 16, 1);
        end_send(peer->end, message, len + 4);
        reply = peer_receive(peer);
        assert_int_equal(field(reply, "writeErrors.0.code"), 11000);
        bson_destroy(reply);
        peer_free(peer);
        scene_close(&scene);
    }
}

static void expect_close(const uint8_t *message, size_t len)
{
    struct scene scene;
    scene_open(&scene, set_of(1, PLAN_SERVER_4_4));
    struct peer *peer = peer_dial(&scene, "a:27017");
    end_send(peer->end, message, len);
    assert_null(peer_receive(peer));
    assert_true(peer->has_ended);
    peer_free(peer);
    scene_close(&scene);
}

static void test_malformed_messages(void **state)
{
    static const char *const documents[] = {"{\"_id\": 1}"};
    static const char body[] = "{\"insert\": \"open\", \"$db\": \"app\"}";
    uint8_t good[4096];
    uint8_t bad[4096];
    (void)state;
    size_t len = write_sequence(good, body, "documents", documents, 1, true);
    memcpy(bad, good, len);
    put32(bad, 15); /* shorter than a header */
    expect_close(bad, len);
    put32(bad, 48000001);
    expect_close(bad, len);
    memcpy(bad, good, len);
    put32(bad + 12, 2012); /* OP_COMPRESSED */
    expect_close(bad, len);
    memcpy(bad, good, len);
    put32(bad + 16, 1 << 5); /* an unknown flag that must be understood */
    expect_close(bad, len);
    memcpy(bad, good, len);
    put32(bad + 21, 1000); /* the sequence's length */
    expect_close(bad, len);
    memcpy(bad, good, len);
    bad[20] = 7; /* no kind of section */
    expect_close(bad, len);
    memcpy(bad, good, len);
    put32(bad + 35, 900); /* the document's length */
    expect_close(bad, len);
}

static void test_requests_run_in_order(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    for (int i = 1; i <= 3; i++) {
        char json[256];
        (void)snprintf(json, sizeof json,
                       "{\"insert\": \"open\", \"documents\": [{\"_id\": %d}], \"writeConcern\": "
                       "{\"w\": \"majority\"}, \"$db\": \"app\"}",
                       i);
        peer_send_json(peer, 0, json);
    }
    for (int i = 1; i <= 3; i++) {
        bson_t *reply = peer_receive(peer);
        assert_int_equal(peer->response_to, i);
        assert_int_equal(field(reply, "n"), 1);
        bson_destroy(reply);
    }
    peer_free(peer);
    scene_close(&scene);
}

static void test_clients_that_leave(void **state)
{
    struct scene scene;
    struct cluster_document document;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_4_4));
    /* In order: what the server received runs. */
    struct peer *peer = peer_dial(&scene, "a:27017");
    peer_send_json(peer, 0,
                   "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}], \"$db\": "
                   "\"app\"}");
    peer_send_json(peer, 0,
                   "{\"insert\": \"open\", \"documents\": [{\"_id\": 2}], \"$db\": "
                   "\"app\"}");
    peer_free(peer);
    scene_run(&scene, 100000);
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    assert_true(cluster_find(scene.cluster, "open", 2, &document));
    /* With a reset: it may be lost. */
    unsigned stored = 0;
    for (int i = 10; i < 60; i++) {
        char json[128];
        (void)snprintf(json, sizeof json,
                       "{\"insert\": \"open\", \"documents\": [{\"_id\": %d}], \"$db\": \"app\"}",
                       i);
        peer = peer_dial(&scene, "a:27017");
        peer_send_json(peer, 0, json);
        scene_run(&scene, 60);
        end_reset(peer->end);
        peer->end = NULL;
        peer_free(peer);
        scene_run(&scene, 100000);
        stored += cluster_find(scene.cluster, "open", i, &document);
    }
    assert_true(stored > 0 && stored < 50);
    scene_close(&scene);
}

static void test_time_limits(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(3, PLAN_SERVER_CURRENT));
    scene_run(&scene, 100000);
    struct peer *peer = peer_dial(&scene, "a:27017");
    cluster_slow_disk(scene.cluster, 1, 5000000);
    cluster_slow_disk(scene.cluster, 2, 5000000);
    expect(peer,
           "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}], \"maxTimeMS\": 30, "
           "\"writeConcern\": {\"w\": \"majority\"}, \"$db\": \"app\"}",
           "writeConcernError.code", 50);
    /* A document that an open transaction holds. */
    struct peer *other = peer_dial(&scene, "a:27017");
    expect(other,
           "{\"update\": \"open\", \"updates\": [{\"q\": {\"_id\": 1}, \"u\": {\"$inc\": "
           "{\"i\": 1}}}], \"startTransaction\": true, \"autocommit\": false, " LSID
           ", " NUMBER(1) ", \"$db\": \"app\"}",
           "n", 1);
    expect(peer,
           "{\"delete\": \"open\", \"deletes\": [{\"q\": {\"_id\": 1}, \"limit\": 1}], "
           "\"maxTimeMS\": 40, \"$db\": \"app\"}",
           "code", 50);
    peer_free(other);
    peer_free(peer);
    scene_close(&scene);
}

static void test_ended_sessions(void **state)
{
    char json[256];
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer,
           "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}, {\"_id\": 2}], " LSID
           ", " NUMBER(1) ", \"$db\": \"app\"}",
           "n", 2);
    bson_t *reply =
        peer_ask(peer, "{\"find\": \"open\", \"batchSize\": 1, " LSID ", \"$db\": \"app\"}");
    (void)snprintf(json, sizeof json,
                   "{\"getMore\": {\"$numberLong\": \"%lld\"}, \"collection\": \"open\", " LSID
                   ", \"$db\": \"app\"}",
                   (long long)field(reply, "cursor.id"));
    bson_destroy(reply);
    expect(peer,
           "{\"delete\": \"open\", \"deletes\": [{\"q\": {\"_id\": 1}, \"limit\": 1}], "
           "\"startTransaction\": true, \"autocommit\": false, " LSID
           ", " NUMBER(2) ", \"$db\": \"app\"}",
           "n", 1);
    expect(peer,
           "{\"endSessions\": [{\"id\": {\"$binary\": {\"base64\": "
           "\"AAAAAAAAAAAAAAAAAAAAAQ==\", \"subType\": \"04\"}}}], \"$db\": \"admin\"}",
           "ok", 1);
    expect(peer, json, "code", 43); /* its cursors have ended */
    expect(peer,
           "{\"commitTransaction\": 1, \"autocommit\": false, " LSID
           ", " NUMBER(2) ", \"$db\": \"admin\"}",
           "code", 251); /* and its transaction */
    peer_free(peer);
    scene_close(&scene);
}

static void test_collections(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer, "{\"create\": \"made\", \"$db\": \"app\"}", "ok", 1);
    expect(peer, "{\"create\": \"made\", \"$db\": \"app\"}", "code", 48);
    cluster_set_validator(scene.cluster, "checked", true);
    bson_t *reply = peer_ask(peer, "{\"listCollections\": 1, \"filter\": {\"name\": \"checked\"}, "
                                   "\"$db\": \"app\"}");
    assert_string_equal(text_field(reply, "cursor.firstBatch.0.name"), "checked");
    assert_string_equal(
        text_field(reply, "cursor.firstBatch.0.options.validator.$jsonSchema.bsonType"), "object");
    assert_false(has_field(reply, "cursor.firstBatch.1"));
    assert_string_equal(text_field(reply, "cursor.ns"), "app.$cmd.listCollections");
    bson_destroy(reply);
    reply = peer_ask(peer, "{\"listCollections\": 1, \"$db\": \"app\"}");
    assert_true(has_field(reply, "cursor.firstBatch.1.name"));
    assert_false(has_field(reply, "cursor.firstBatch.0.options.validator"));
    bson_destroy(reply);
    expect(peer, "{\"insert\": \"made\", \"documents\": [{\"x\": 1}], \"$db\": \"app\"}", "n", 1);
    reply = peer_ask(peer, "{\"find\": \"made\", \"$db\": \"app\"}");
    assert_true(has_field(reply, "cursor.firstBatch.0._id")); /* the server made it */
    bson_destroy(reply);
    expect(peer, "{\"buildInfo\": 1, \"$db\": \"admin\"}", "versionArray.0", 8);
    expect(peer, "{\"startSession\": 1, \"$db\": \"admin\"}", "timeoutMinutes", 30);
    peer_free(peer);
    scene_close(&scene);
}

static void test_filters(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, set_of(1, PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    expect(peer,
           "{\"insert\": \"open\", \"documents\": [{\"_id\": 1, \"s\": \"a\"}, {\"_id\": 2, "
           "\"s\": \"b\", \"x\": null}, {\"_id\": 3, \"s\": \"c\"}], \"$db\": \"app\"}",
           "n", 3);
#define COUNT(filter) "{\"count\": \"open\", \"query\": " filter ", \"$db\": \"app\"}"
    expect(peer, COUNT("{\"s\": \"b\"}"), "n", 1);
    expect(peer, COUNT("{\"s\": {\"$in\": [\"a\", \"c\"]}}"), "n", 2);
    expect(peer, COUNT("{\"_id\": {\"$gt\": 1, \"$lte\": 3}}"), "n", 2);
    expect(peer, COUNT("{\"s\": {\"$ne\": \"a\"}}"), "n", 2);
    expect(peer, COUNT("{\"x\": {\"$exists\": true}}"), "n", 1);
    expect(peer, COUNT("{\"_id\": {\"$near\": 1}}"), "code", 2);
    expect(peer, "{\"find\": \"open\", \"sort\": {\"_id\": -1}, \"limit\": 2, \"$db\": \"app\"}",
           "cursor.firstBatch.1._id", 2);
    peer_free(peer);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document_sequences),    cmocka_unit_test(test_malformed_messages),
        cmocka_unit_test(test_requests_run_in_order), cmocka_unit_test(test_clients_that_leave),
        cmocka_unit_test(test_time_limits),           cmocka_unit_test(test_ended_sessions),
        cmocka_unit_test(test_collections),           cmocka_unit_test(test_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
