#include <assert.h>
#include <stdlib.h>

#include "client.h"

struct session *session_check_out(struct client *client)
{
    struct session *session = client->sessions;
    if (session != NULL) {
        client->sessions = session->next;
        session->next = NULL;
        return session;
    }
    session = calloc(1, sizeof *session);
    assert(session != NULL);
    uint8_t id[16];
    for (unsigned i = 0; i < sizeof id; i++) {
        id[i] = (uint8_t)stream_next(&client->stream);
    }
    session->lsid = bson_new();
    BSON_APPEND_BINARY(session->lsid, "id", BSON_SUBTYPE_UUID, id, sizeof id);
    return session;
}

static void free_session(struct session *session)
{
    bson_destroy(session->lsid);
    free(session);
}

void session_check_in(struct client *client, struct session *session)
{
    if (session == NULL) {
        return;
    }
    if (session->dirty || !client->alive) {
        free_session(session);
        return;
    }
    session->next = client->sessions;
    client->sessions = session;
}

unsigned session_end_all(struct client *client, bson_t *command)
{
    bson_t array;
    unsigned count = 0;
    BSON_APPEND_ARRAY_BEGIN(command, "endSessions", &array);
    for (struct session *at = client->sessions; at != NULL; at = at->next) {
        char key[16];
        const char *name;
        bson_uint32_to_string(count++, &name, key, sizeof key);
        BSON_APPEND_DOCUMENT(&array, name, at->lsid);
    }
    bson_append_array_end(command, &array);
    session_free_all(client);
    return count;
}

void session_free_all(struct client *client)
{
    while (client->sessions != NULL) {
        struct session *session = client->sessions;
        client->sessions = session->next;
        free_session(session);
    }
}

static bool read_time(const bson_t *document, uint64_t *out)
{
    bson_iter_t iter, found;
    uint32_t seconds, increment;
    if (!bson_iter_init(&iter, document) ||
        !bson_iter_find_descendant(&iter, "$clusterTime.clusterTime", &found) ||
        !BSON_ITER_HOLDS_TIMESTAMP(&found)) {
        return false;
    }
    bson_iter_timestamp(&found, &seconds, &increment);
    *out = (uint64_t)seconds << 32 | increment;
    return true;
}

void session_take_cluster_time(struct client *client, const bson_t *reply)
{
    uint64_t known = 0, told;
    if (!read_time(reply, &told)) {
        return;
    }
    if (client->cluster_time != NULL) {
        read_time(client->cluster_time, &known);
    }
    if (told > known) {
        bson_iter_t iter;
        bson_destroy(client->cluster_time);
        client->cluster_time = bson_new();
        bson_iter_init_find(&iter, reply, "$clusterTime");
        bson_append_iter(client->cluster_time, NULL, 0, &iter);
    }
}
