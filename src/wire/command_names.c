#include "wire/command_names.h"

#include <stdint.h>
#include <string.h>

struct command_spelling {
    const char *text;
    uint8_t len;
    char first;
    char last;
};

#define COMMAND_NAME_SPELLING(identifier, name)                                                    \
    {name, sizeof(name) - 1, (name)[0], (name)[sizeof(name) - 2]},
static const struct command_spelling spellings[COMMAND_NAME_COUNT + 1] = {
    {"", 0, 0, 0}, COMMAND_NAMES(COMMAND_NAME_SPELLING){"", 0, 0, 0}};
#undef COMMAND_NAME_SPELLING

/* The first name of each length. */
static const uint8_t first_of_length[] = {[3] = COMMAND_TOP,
                                          [4] = COMMAND_DROP,
                                          [5] = COMMAND_DOLLAR_EVAL,
                                          [6] = COMMAND_COPYDB,
                                          [7] = COMMAND_IS_SELF,
                                          [8] = COMMAND_ADD_SHARD,
                                          [9] = COMMAND_AGGREGATE,
                                          [10] = COMMAND_CREATE_ROLE,
                                          [11] = COMMAND_AUTO_COMPACT,
                                          [12] = COMMAND_AUTHENTICATE,
                                          [13] = COMMAND_BALANCER_START,
                                          [14] = COMMAND_ADD_SHARD_TO_ZONE,
                                          [15] = COMMAND_RECV_CHUNK_START,
                                          [16] = COMMAND_ABORT_TRANSACTION,
                                          [17] = COMMAND_CLONE_CATALOG_DATA,
                                          [18] = COMMAND_CHECK_SHARDING_INDEX,
                                          [19] = COMMAND_CREATE_SEARCH_INDEXES,
                                          [20] = COMMAND_CLUSTER_FIND_AND_MODIFY,
                                          [21] = COMMAND_AVAILABLE_QUERY_OPTIONS,
                                          [22] = COMMAND_ABORT_RESHARD_COLLECTION,
                                          [23] = COMMAND_CLONE_COLLECTION_AS_CAPPED,
                                          [24] = COMMAND_BALANCER_COLLECTION_STATUS,
                                          [25] = COMMAND_SHARDSVR_CLONE_CATALOG_DATA,
                                          [26] = COMMAND_LIST_DATABASES_FOR_ALL_TENANTS,
                                          [27] = COMMAND_COORDINATE_COMMIT_TRANSACTION,
                                          [28] = COMMAND_CLUSTER_WRITE_WITHOUT_SHARD_KEY,
                                          [30] = COMMAND_SHARDSVR_COORDINATE_MULTI_UPDATE,
                                          [31] = COMMAND_CLEANUP_STRUCTURED_ENCRYPTION_DATA,
                                          [33] = COMMAND_TRANSITION_TO_DEDICATED_CONFIG_SERVER,
                                          [35] = COMMAND_TRANSITION_FROM_DEDICATED_CONFIG_SERVER,
                                          [36] = COMMAND_SHARDSVR_RENAME_COLLECTION_PARTICIPANT,
                                          [38] =
                                              COMMAND_INTERNAL_RENAME_IF_OPTIONS_AND_INDEXES_MATCH};
_Static_assert(COMMAND_NAME_COUNT <= UINT8_MAX, "a byte holds the number of a name");

enum command_name command_name_find(const char *name, size_t len)
{
    if (len == 0 || len >= sizeof first_of_length)
        return COMMAND_UNKNOWN;
    size_t at = first_of_length[len];
    for (; spellings[at].len == len; at++)
        if (spellings[at].last == name[len - 1] && spellings[at].first == name[0] &&
            memcmp(spellings[at].text, name, len) == 0)
            return (enum command_name)at;
    return COMMAND_UNKNOWN;
}

const char *command_name_text(enum command_name name)
{
    return spellings[name].text;
}
