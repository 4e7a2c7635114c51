/* The application of a history: its names, users and documents. Drivers, model server, proxy and
 * checks agree here. */
#ifndef SIMULATION_APPLICATION_H
#define SIMULATION_APPLICATION_H

#include <stdint.h>

/* Collections of the database. Documents of both look alike; only the second has a schema. */
#define APPLICATION_DATABASE "app"
#define APPLICATION_OPEN     "open"
#define APPLICATION_CHECKED  "checked"

/* User 1 is "user1" with the password "password1.0", and so on; the second number grows when it is
 * created anew (passwords.h). SCRAM-SHA-256, with this number of iterations. The users may read and
 * write APPLICATION_DATABASE. */
#define APPLICATION_USER_DATABASE "admin"
#define APPLICATION_USER_FORMAT   "user%u"
#define APPLICATION_PASS_FORMAT   "password%u.%u"
enum { APPLICATION_ITERATIONS = 4096, APPLICATION_PASSWORDS = 8 };

/* A document: {_id: <token, int64>, c: <client, int32>, u: <user, int32>, i: 0 (int64), s: "ok"}.
 * `c` is the client's index in the plan. A document that breaks the strict schema lacks `s`, has a
 * number there, or a string that is too long; it satisfies the loose one. */
#define APPLICATION_SCHEMA_STRICT                                                                  \
    "{\"bsonType\": \"object\", \"required\": [\"c\", \"u\", \"i\", \"s\"], \"properties\": {"     \
    "\"c\": {\"bsonType\": \"int\"}, \"u\": {\"bsonType\": \"int\"}, "                             \
    "\"i\": {\"bsonType\": \"long\", \"minimum\": 0}, "                                            \
    "\"s\": {\"bsonType\": \"string\", \"maxLength\": 8}}}"
#define APPLICATION_SCHEMA_LOOSE "{\"bsonType\": \"object\", \"required\": [\"c\"]}"
/* The proxy's schemas have their number as description, which refusals repeat. */
#define APPLICATION_SCHEMA_NUMBER "schema %u"

/* The token names the client, the operation's number and the place of the document in it. */
static inline int64_t application_token(unsigned client, uint32_t number, unsigned index)
{
    return ((int64_t)(client + 1) << 40) | ((int64_t)(number & 0xFFFFFFF) << 12) |
           (int64_t)(index & 0xFFF);
}

static inline unsigned application_token_client(int64_t token)
{
    return (unsigned)(token >> 40) - 1;
}

static inline uint32_t application_token_number(int64_t token)
{
    return (uint32_t)(token >> 12) & 0xFFFFFFF;
}

static inline unsigned application_token_index(int64_t token)
{
    return (unsigned)token & 0xFFF;
}

#endif
