/* Measures the cost of a command's check against the schemas: whole commands, as drivers send them,
 * through enforce_concerns and enforce_check, without sockets.
 *
 *   enforce_commands [ROUNDS [KIND]]     prints nanoseconds for each kind of command, or one (0, 1,
 * …)
 *
 * Instructions are steadier than time:
 *   valgrind --tool=callgrind --toggle-collect=check enforce_commands 1000 0 */
#include <bson/bson.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "enforce/enforce.h"
#include "wire/sections.h"

static const char *const file =
    "{\"ns\":\"shop.orders\",\"schema\":{\"bsonType\":\"object\",\"required\":[\"customer\","
    "\"total\"],\"properties\":{\"customer\":{\"bsonType\":\"string\"},\"total\":{\"bsonType\":"
    "\"double\",\"minimum\":0}}}}";

#define SESSION                                                                                    \
    ",\"$db\":\"%s\",\"lsid\":{\"id\":{\"$uuid\":\"c8edabc3-f738-4ca3-b68d-ab92a91478a3\"}},"      \
    "\"txnNumber\":{\"$numberLong\":\"7\"},\"$clusterTime\":{\"clusterTime\":{\"$timestamp\":{"    \
    "\"t\":1,\"i\":1}}},\"writeConcern\":{\"w\":1}}"
#define ORDER "{\"_id\":1,\"customer\":\"Ada\",\"total\":12.5}"
#define STATEMENT                                                                                  \
    "{\"q\":{\"_id\":1},\"u\":{\"$set\":{\"total\":2.5}},\"multi\":false,\"upsert\":false}"

static const struct {
    const char *what;
    const char *database;
    const char *body;      /* up to $db */
    const char *name;      /* of the sequence, or NULL */
    const char *documents; /* one of its documents */
    int count;
} kinds[] = {
    {"insert of 1", "shop", "{\"insert\":\"orders\",\"ordered\":true", "documents", ORDER, 1},
    {"insert of 100", "shop", "{\"insert\":\"orders\",\"ordered\":true", "documents", ORDER, 100},
    {"update of 1", "shop", "{\"update\":\"orders\",\"ordered\":true", "updates", STATEMENT, 1},
    {"update of 100", "shop", "{\"update\":\"orders\",\"ordered\":true", "updates", STATEMENT, 100},
    {"findAndModify", "shop",
     "{\"findAndModify\":\"orders\",\"query\":{\"_id\":1},\"new\":true,\"update\":{\"$set\":{"
     "\"total\":2.5}}",
     NULL, NULL, 0},
    {"insert beside it", "shop", "{\"insert\":\"others\",\"ordered\":true", "documents", ORDER, 1},
    {"insert elsewhere", "other", "{\"insert\":\"orders\",\"ordered\":true", "documents", ORDER, 1},
    {"update elsewhere", "other", "{\"update\":\"orders\",\"ordered\":true", "updates", STATEMENT,
     1},
    {"aggregate", "shop",
     "{\"aggregate\":\"orders\",\"pipeline\":[{\"$match\":{\"a\":1}},{\"$group\":{\"_id\":1}},{"
     "\"$sort\":{\"a\":1}}],\"cursor\":{}",
     NULL, NULL, 0},
    {"aggregate elsewhere", "other",
     "{\"aggregate\":\"orders\",\"pipeline\":[{\"$match\":{\"a\":1}},{\"$group\":{\"_id\":1}},{"
     "\"$sort\":{\"a\":1}}],\"cursor\":{}",
     NULL, NULL, 0},
};
enum { KINDS = sizeof kinds / sizeof kinds[0], PAYLOAD_BYTES = 1 << 16 };

static bson_t *from_json(const char *json)
{
    bson_error_t err;
    bson_t *bson = bson_new_from_json((const uint8_t *)json, -1, &err);
    if (bson == NULL) {
        (void)fprintf(stderr, "%s: %s\n", err.message, json);
        exit(1);
    }
    return bson;
}

static size_t write_sequence(uint8_t *at, size_t kind)
{
    bson_t *document = from_json(kinds[kind].documents);
    size_t name = strlen(kinds[kind].name) + 1;
    size_t len = 5;
    memcpy(at + len, kinds[kind].name, name);
    len += name;
    for (int i = 0; i < kinds[kind].count; i++, len += document->len)
        memcpy(at + len, bson_get_data(document), document->len);
    at[0] = 1;
    bytes_store_i32(at + 1, (int32_t)(len - 1));
    bson_destroy(document);
    return len;
}

static struct bytes make(uint8_t *payload, size_t kind)
{
    char json[1024];
    char rest[512];
    (void)snprintf(rest, sizeof rest, SESSION, kinds[kind].database);
    (void)snprintf(json, sizeof json, "%s%s", kinds[kind].body, rest);
    bson_t *body = from_json(json);
    size_t len = 5;
    memset(payload, 0, len);
    memcpy(payload + len, bson_get_data(body), body->len);
    len += body->len;
    if (kinds[kind].name != NULL)
        len += write_sequence(payload + len, kind);
    bson_destroy(body);
    return bytes_of(payload, len);
}

/* A function of its own, so that callgrind can count it alone (--toggle-collect). */
__attribute__((noinline)) static bool check(const struct registry *registry,
                                            struct schema_scratch *scratch,
                                            struct enforce_command *command)
{
    struct enforce_result result;
    struct error err;
    if (!enforce_concerns(registry, command))
        return true;
    if (!enforce_check(registry, scratch, command, NULL, &result, &err))
        return false;
    bool forwards = result.outcome == ENFORCE_FORWARD;
    enforce_result_release(&result);
    return forwards;
}

int main(int argc, char **argv)
{
    static uint8_t payload[PAYLOAD_BYTES];
    struct schema_file schema;
    struct error err;
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
    long only = argc > 2 ? strtol(argv[2], NULL, 10) : -1;
    struct registry *registry = registry_new();
    struct schema_scratch *scratch = schema_scratch_new();
    if (registry == NULL || scratch == NULL ||
        !schema_file_parse(file, strlen(file), NULL, NULL, &schema, &err) ||
        !registry_put(registry, registry_entry_new(&schema, REGISTRY_FILE, "bench")))
        return 1;
    for (size_t kind = 0; kind < KINDS; kind++) {
        if (only >= 0 && kind != (size_t)only)
            continue;
        struct wire_command command_read;
        if (!wire_command_read_whole(make(payload, kind), &command_read, &err))
            return 1;
        struct enforce_command command = {.parsed = &command_read, .max_document_bytes = 16777216};
        uint64_t start = clock_now_ns();
        for (long i = 0; i < rounds; i++)
            if (!check(registry, scratch, &command)) {
                (void)fprintf(stderr, "%s is not forwarded\n", kinds[kind].what);
                return 1;
            }
        printf("%-20s %8.1f ns\n", kinds[kind].what,
               (double)(clock_now_ns() - start) / (double)rounds);
    }
    schema_scratch_free(scratch);
    registry_release(registry);
    return 0;
}
