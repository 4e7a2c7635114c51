/* A scripted client of the model server, for its tests. */
#ifndef SIMULATION_SERVER_SCRIPTED_CLIENT_H
#define SIMULATION_SERVER_SCRIPTED_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bson/bson.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

struct scene {
    struct plan plan;
    struct world *world;
    struct cluster *cluster;
};

struct peer {
    struct scene *scene;
    struct end *end;
    bool is_open, has_ended, was_reset;
    uint8_t in[1 << 20];
    size_t len;
    int32_t request_id;
    int32_t response_to; /* of the last reply, and below */
    int32_t reply_id;
    uint32_t flags;
};

static inline void scene_open(struct scene *scene, struct plan plan)
{
    *scene = (struct scene){.plan = plan};
    scene->plan.direct = true;
    if (scene->plan.members == 0)
        scene->plan.members = 1;
    scene->world = world_create(plan.seed + 1, NULL);
    scene->cluster = cluster_create(scene->world, &scene->plan);
}

static inline void scene_close(struct scene *scene)
{
    cluster_destroy(scene->cluster);
    world_destroy(scene->world);
}

static inline void scene_tick(void *arg)
{
    *(bool *)arg = true;
}

static inline void scene_run(struct scene *scene, int64_t us)
{
    bool over = false;
    (void)world_after(scene->world, us, scene_tick, &over);
    while (!over && world_step(scene->world)) {
    }
}

static inline void peer_opened(void *arg, struct end *end)
{
    (void)end;
    ((struct peer *)arg)->is_open = true;
}

static inline void peer_came(void *arg, struct end *end, const uint8_t *data, size_t len)
{
    struct peer *peer = arg;
    (void)end;
    assert_true(peer->len + len <= sizeof peer->in);
    memcpy(peer->in + peer->len, data, len);
    peer->len += len;
}

static inline void peer_ended(void *arg, struct end *end, bool reset)
{
    struct peer *peer = arg;
    (void)end;
    peer->has_ended = true;
    peer->was_reset = reset;
    peer->end = NULL;
}

static inline struct peer *peer_dial(struct scene *scene, const char *address)
{
    static const struct end_handler handler = {peer_opened, peer_came, peer_ended};
    struct peer *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    peer->scene = scene;
    peer->end = world_dial(scene->world, "c1", address, &handler, peer);
    while (!peer->is_open && !peer->has_ended)
        assert_true(world_step(scene->world));
    return peer;
}

static inline void peer_free(struct peer *peer)
{
    if (peer->end != NULL)
        end_close(peer->end);
    free(peer);
}

static inline bson_t *from_json(const char *json)
{
    bson_error_t why;
    bson_t *document = bson_new_from_json((const uint8_t *)json, -1, &why);
    if (document == NULL)
        fail_msg("%s: %s", json, why.message);
    return document;
}

static inline void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

/* One OP_MSG of a body. */
static inline void peer_send(struct peer *peer, uint32_t flags, const bson_t *body)
{
    uint8_t message[65536] = {0};
    size_t len = 21 + body->len;
    assert_true(len <= sizeof message);
    put32(message, (uint32_t)len);
    put32(message + 4, (uint32_t)++peer->request_id);
    put32(message + 12, 2013);
    put32(message + 16, flags);
    memcpy(message + 21, bson_get_data(body), body->len);
    end_send(peer->end, message, len);
}

static inline void peer_send_json(struct peer *peer, uint32_t flags, const char *json)
{
    bson_t *body = from_json(json);
    peer_send(peer, flags, body);
    bson_destroy(body);
}

/* The next reply; NULL: the connection ended. */
static inline bson_t *peer_receive(struct peer *peer)
{
    uint32_t len = 0;
    for (;;) {
        if (peer->len >= 16) {
            memcpy(&len, peer->in, 4);
            if (peer->len >= len)
                break;
        }
        if (peer->has_ended || !world_step(peer->scene->world))
            return NULL;
    }
    uint32_t opcode = 0;
    memcpy(&peer->reply_id, peer->in + 4, 4);
    memcpy(&peer->response_to, peer->in + 8, 4);
    memcpy(&opcode, peer->in + 12, 4);
    memcpy(&peer->flags, peer->in + 16, 4);
    size_t before = opcode == 1 ? 36 : 21;
    bson_t *reply = bson_new_from_data(peer->in + before, len - before);
    assert_non_null(reply);
    memmove(peer->in, peer->in + len, peer->len - len);
    peer->len -= len;
    return reply;
}

static inline bson_t *peer_ask(struct peer *peer, const char *json)
{
    peer_send_json(peer, 0, json);
    bson_t *reply = peer_receive(peer);
    assert_non_null(reply);
    assert_int_equal(peer->response_to, peer->request_id);
    return reply;
}

/* The names of the fields, in order: "n ok". */
static inline void assert_fields(const bson_t *document, const char *expected)
{
    char names[1024] = "";
    bson_iter_t iter;
    assert_true(bson_iter_init(&iter, document));
    while (bson_iter_next(&iter)) {
        if (names[0] != 0)
            strcat(names, " ");
        strcat(names, bson_iter_key(&iter));
    }
    assert_string_equal(names, expected);
}

static inline int64_t field(const bson_t *document, const char *path)
{
    bson_iter_t iter;
    bson_iter_t found;
    if (!bson_iter_init(&iter, document) || !bson_iter_find_descendant(&iter, path, &found)) {
        char *json = bson_as_relaxed_extended_json(document, NULL);
        fail_msg("no %s in %s", path, json);
    }
    return bson_iter_as_int64(&found);
}

static inline const char *text_field(const bson_t *document, const char *path)
{
    bson_iter_t iter;
    bson_iter_t found;
    if (!bson_iter_init(&iter, document) || !bson_iter_find_descendant(&iter, path, &found) ||
        !BSON_ITER_HOLDS_UTF8(&found))
        return "";
    return bson_iter_utf8(&found, NULL);
}

static inline bool has_field(const bson_t *document, const char *path)
{
    bson_iter_t iter;
    bson_iter_t found;
    return bson_iter_init(&iter, document) && bson_iter_find_descendant(&iter, path, &found);
}

/* Asks and compares one number of the answer. */
static inline void expect(struct peer *peer, const char *json, const char *path, int64_t value)
{
    bson_t *reply = peer_ask(peer, json);
    int64_t found = has_field(reply, path) ? field(reply, path) : -999;
    if (found != value) {
        char *text = bson_as_relaxed_extended_json(reply, NULL);
        fail_msg("%s: %s is not %lld in %s", json, path, (long long)value, text);
    }
    bson_destroy(reply);
}

#define LSID                                                                                       \
    "\"lsid\": {\"id\": {\"$binary\": {\"base64\": \"AAAAAAAAAAAAAAAAAAAAAQ==\", "                 \
    "\"subType\": \"04\"}}}"
#define NUMBER(n) "\"txnNumber\": {\"$numberLong\": \"" #n "\"}"

#endif
