/* The $jsonSchema of the registry's collections. An enum alone does not make a string: a BSON
 * symbol equals the string with its text. The follower checks the documents against the same
 * schemas, because somebody may have created a collection without them. */
#include "fleet/fleet_document.h"

#define STATE                                                                                      \
    "{\"bsonType\": \"object\", \"additionalProperties\": false,"                                  \
    " \"required\": [\"level\", \"action\", \"unproved\", \"allow_bypass\", \"accepted\"],"        \
    " \"properties\": {"                                                                           \
    "  \"level\": {\"bsonType\": \"string\", \"enum\": [\"strict\", \"moderate\", \"off\"]},"      \
    "  \"action\": {\"bsonType\": \"string\", \"enum\": [\"error\", \"warn\", \"errorAndLog\"]},"  \
    "  \"unproved\": {\"bsonType\": \"string\", \"enum\": [\"allow\", \"reject\"]},"               \
    "  \"allow_bypass\": {\"bsonType\": \"bool\"},"                                                \
    "  \"accepted\": {\"bsonType\": \"array\", \"maxItems\": 16, \"items\":"                       \
    "   {\"bsonType\": \"object\", \"additionalProperties\": false, \"required\": [\"version\"],"  \
    "    \"properties\": {\"version\": {\"bsonType\": \"int\", \"minimum\": 1},"                   \
    "                     \"until\": {\"bsonType\": \"date\"}}}},"                                 \
    "  \"candidate\": {\"bsonType\": \"int\", \"minimum\": 1}}}"

const char fleet_format_text[] =
    "{\"bsonType\": \"object\", \"additionalProperties\": false,"
    " \"title\": \"mongosluice: the schemas of a namespace\","
    " \"required\": [\"_id\", \"format\", \"revision\", \"updated\", \"state\", \"versions\"],"
    " \"properties\": {"
    "  \"_id\": {\"bsonType\": \"string\", \"maxLength\": 255,"
    "   \"pattern\": \"^[^.\\\\x00/\\\\\\\\ \\\"$]+\\\\.[^\\\\x00]+$\"},"
    "  \"format\": {\"enum\": [1]},"
    "  \"revision\": {\"bsonType\": \"long\", \"minimum\": 1},"
    "  \"updated\": {\"bsonType\": \"date\"},"
    "  \"state\": " STATE ","
    "  \"versions\": {\"bsonType\": \"array\", \"minItems\": 1, \"maxItems\": 64, \"items\":"
    "   {\"bsonType\": \"object\", \"additionalProperties\": false,"
    "    \"required\": [\"version\", \"dialect\", \"hash\", \"schema\", \"at\", \"by\"],"
    "    \"properties\": {"
    "     \"version\": {\"bsonType\": \"int\", \"minimum\": 1},"
    "     \"dialect\": {\"bsonType\": \"string\", \"enum\": [\"mongodb\", \"json-schema\"]},"
    "     \"hash\": {\"bsonType\": \"string\", \"pattern\": \"^[0-9a-f]{64}$\"},"
    "     \"name\": {\"bsonType\": \"string\", \"minLength\": 1, \"maxLength\": 64},"
    "     \"schema\": {\"bsonType\": \"string\"},"
    "     \"at\": {\"bsonType\": \"date\"},"
    "     \"by\": {\"bsonType\": \"string\", \"maxLength\": 256}}}},"
    "  \"history\": {\"bsonType\": \"array\", \"maxItems\": 200, \"items\":"
    "   {\"bsonType\": \"object\", \"additionalProperties\": false,"
    "    \"required\": [\"revision\", \"at\", \"by\", \"action\", \"state\"],"
    "    \"properties\": {"
    "     \"revision\": {\"bsonType\": \"long\", \"minimum\": 1},"
    "     \"at\": {\"bsonType\": \"date\"},"
    "     \"by\": {\"bsonType\": \"string\", \"maxLength\": 256},"
    "     \"action\": {\"bsonType\": \"string\", \"enum\": [\"push\", \"push candidate\","
    "                 \"promote\", \"rollback\", \"retire\", \"settings\"]},"
    "     \"note\": {\"bsonType\": \"string\", \"maxLength\": 256},"
    "     \"state\": " STATE "}}}}}";

const char fleet_proxy_format_text[] =
    "{\"bsonType\": \"object\","
    " \"title\": \"mongosluice: a proxy that follows the registry\","
    " \"required\": [\"_id\", \"seen\", \"version\", \"namespaces\", \"revisions\", \"broken\"],"
    " \"properties\": {"
    "  \"_id\": {\"bsonType\": \"string\", \"maxLength\": 300},"
    "  \"seen\": {\"bsonType\": \"date\"},"
    "  \"version\": {\"bsonType\": \"string\", \"maxLength\": 64},"
    "  \"namespaces\": {\"bsonType\": \"int\", \"minimum\": 0},"
    "  \"revisions\": {\"bsonType\": \"binData\"},"
    "  \"broken\": {\"bsonType\": \"array\", \"maxItems\": 100, \"items\":"
    "   {\"bsonType\": \"object\", \"required\": [\"ns\", \"reason\"],"
    "    \"properties\": {\"ns\": {\"bsonType\": \"string\"},"
    "                     \"reason\": {\"bsonType\": \"string\"}}}}}}";
