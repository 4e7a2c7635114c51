/* Any bytes as the parts of SCRAM that come from outside: the two messages of a client, the two of
 * a server, and a file of verifiers. The first byte chooses. Nothing that is read may crash, a
 * refusal has an error, and a random proof is never right. With the right keys on both sides, a
 * whole login succeeds, and one with a changed byte fails. */
#include "auth/identity.h"
#include "auth/login_as.h"
#include "auth/sasl.h"
#include "auth/scram_keys.h"
#include "auth/verifier_list.h"
#include "bson/scan.h"
#include "bson/validate.h"
#include "fail_memory.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t random_bytes[SCRAM_RANDOM_BYTES] = {9};

static bool without_memory; /* an allocation fails */

static void check(bool holds)
{
    if (!holds)
        abort();
}

static struct verifier *make_verifier(enum scram_hash hash)
{
    struct scram_keys keys = {
        .hash = hash, .iterations = 4096, .salt_bytes = 4, .salt = "salt", .stored_key = {1, 2}};
    struct verifier *verifier = verifier_new(bytes_of("ann", 3), bytes_of("admin", 5), &keys);
    check(verifier != NULL || without_memory);
    return verifier;
}

static void fuzz_first(struct bytes input)
{
    struct scram_first first;
    struct error err = {0};
    if (!scram_first_read(input, &first, &err)) {
        check(err.code == ERROR_AUTHENTICATION_FAILED && err.message[0] != 0);
        return;
    }
    check(first.name_len > 0 && first.name_len <= SCRAM_NAME_BYTES);
    check(memchr(first.name, 0, first.name_len) == NULL);
    /* the name as the proxy would send it is read back */
    struct bytes message;
    struct scram_first again;
    struct scram_client *client =
        scram_client_new(bytes_of(first.name, first.name_len), bytes_of("nonce", 5), &message);
    if (client == NULL) {
        check(without_memory);
        return;
    }
    check(scram_first_read(message, &again, &err));
    check(again.name_len == first.name_len && memcmp(again.name, first.name, first.name_len) == 0);
    scram_client_free(client);
}

static void fuzz_final(struct bytes input, enum scram_hash hash)
{
    struct scram_first first;
    struct error err = {0};
    struct bytes challenge;
    char out[SCRAM_TEXT_BYTES];
    size_t len = 0;
    uint8_t key[SCRAM_KEY_BYTES];
    struct verifier *verifier = make_verifier(hash);
    if (verifier == NULL)
        return;
    check(scram_first_read(bytes_of("n,,n=ann,r=abc", 14), &first, &err));
    struct scram_server *server =
        scram_server_new(&first, verifier_keys(verifier), bytes_of("def", 3), &challenge);
    check(server != NULL || without_memory);
    if (server != NULL) {
        check(!scram_server_finish(server, verifier_keys(verifier), input, key, out, &len, &err));
        check(err.code == ERROR_AUTHENTICATION_FAILED);
    }
    scram_server_free(server);
    verifier_release(verifier);
}

static void fuzz_challenge(struct bytes input, enum scram_hash hash)
{
    static const uint8_t key[SCRAM_KEY_BYTES];
    struct error err = {0};
    struct bytes first;
    char out[SCRAM_FINAL_BYTES];
    size_t len = 0;
    struct verifier *verifier = make_verifier(hash);
    struct scram_client *client = scram_client_new(bytes_of("ann", 3), bytes_of("abc", 3), &first);
    if (verifier == NULL || client == NULL) {
        check(without_memory);
        scram_client_free(client);
        verifier_release(verifier);
        return;
    }
    if (scram_client_prove(client, verifier_keys(verifier), key, input, out, &len, &err))
        check(len <= SCRAM_FINAL_BYTES && memcmp(out, "c=biws,r=abc", 12) == 0);
    else
        check(err.code != 0);
    check(!scram_client_check(client, verifier_keys(verifier), input, &err));
    scram_client_free(client);
    verifier_release(verifier);
}

static bool take(void *arg, const struct verifier_user *user, struct error *err)
{
    (void)err;
    (*(unsigned *)arg)++;
    check(user->has[SCRAM_SHA_1] || user->has[SCRAM_SHA_256]);
    return true;
}

/* --- a whole login, at the proxy as a server and by the proxy as a client --- */

static const uint8_t client_key[SCRAM_KEY_BYTES] = {7, 7, 7};
static const uint8_t other_key[SCRAM_KEY_BYTES];

/* A verifier of that key, for a user from the input. */
static struct verifier *make_own(enum scram_hash hash, struct bytes name)
{
    struct scram_keys keys = {
        .hash = hash, .iterations = 5000, .salt_bytes = 4, .salt = "salt", .server_key = {4}};
    check(scram_hash_key(hash, client_key, keys.stored_key));
    struct verifier *verifier = verifier_new(name, bytes_of("admin", 5), &keys);
    if (verifier == NULL)
        return NULL;
    struct bytes user = verifier_user(verifier);
    struct bytes database = verifier_database(verifier);
    check(bytes_left(&user) == bytes_left(&name) && bytes_left(&database) == 5);
    check(verifier_equal(verifier, verifier) && !verifier_equal(verifier, NULL));
    struct identity identity = {0};
    memcpy(identity.users, verifier_users(verifier), sizeof identity.users);
    check(verifier_is_of(verifier, &identity));
    return verifier;
}

/* The server's reply to a step of the login: ok, and what the conversation answers. */
static bool reply_to(struct sasl_conversation **conversation, struct verifier *verifier,
                     enum scram_hash hash, struct bytes command, struct build *build)
{
    struct sasl_start start;
    struct error err = {0};
    bool fine = false;
    build_begin(build, SIZE_MAX);
    build_int32(build, "ok", 1);
    if (*conversation == NULL) {
        if (sasl_start_read(command, &start, &fine, &err) != SASL_SCRAM || !fine)
            return false;
        check(start.hash == hash);
        *conversation = sasl_begin(&start, verifier, NULL, random_bytes, build);
        return *conversation != NULL;
    }
    check(sasl_verifier(*conversation) == verifier);
    if (sasl_continue(*conversation, command, &err) == SASL_REFUSED)
        return false;
    sasl_answer(*conversation, build);
    return true;
}

/* Input: how the replies change (the place and the difference of a byte, 0: none), then the name of
 * the user. */
static void fuzz_login(struct bytes input, enum scram_hash hash, bool sound)
{
    struct bytes head;
    struct bytes command;
    struct error err = {0};
    struct sasl_conversation *conversation = NULL;
    enum login_as_step step = LOGIN_AS_SEND;
    if (!bytes_take(&input, 2, &head) || bytes_left(&input) == 0 ||
        bytes_left(&input) > SCRAM_NAME_BYTES || memchr(input.pos, 0, bytes_left(&input)) != NULL)
        return;
    struct verifier *verifier = make_own(hash, input);
    if (verifier == NULL)
        return;
    check(verifier_client_key(verifier) == NULL);
    verifier_note_client_key(verifier, other_key);
    check(verifier_client_key(verifier) == NULL);
    verifier_note_client_key(verifier, client_key);
    verifier_note_client_key(verifier, client_key);
    struct login_as *login = login_as_begin(verifier, random_bytes, &command);
    for (int i = 0; login != NULL && step == LOGIN_AS_SEND && i < 4; i++) {
        struct build build;
        struct bytes reply;
        if (!reply_to(&conversation, verifier, hash, command, &build) ||
            !build_finish(&build, &reply)) {
            build_free(&build);
            break;
        }
        if (head.pos[0] % 4 == i + 1)
            build.data[4 + head.pos[0] % (bytes_left(&reply) - 4)] ^= head.pos[1];
        step = login_as_take(login, reply, &command, &err);
        build_free(&build);
    }
    bool changed = head.pos[0] % 4 != 0 && head.pos[1] != 0;
    if (sound && !changed)
        check(step == LOGIN_AS_DONE && verifier_client_key(verifier) != NULL);
    verifier_note_stale(verifier);
    check(verifier_is_stale(verifier));
    login_as_free(login);
    sasl_free(conversation);
    verifier_release(verifier);
}

/* Any document as a server's reply to each step of a login. */
static void fuzz_reply(struct bytes input, enum scram_hash hash)
{
    struct bytes command;
    struct error err = {0};
    struct scan scan;
    struct verifier *verifier = make_own(hash, bytes_of("ann", 3));
    if (verifier == NULL)
        return;
    verifier_note_client_key(verifier, client_key);
    struct login_as *login = login_as_begin(verifier, random_bytes, &command);
    enum login_as_step step = LOGIN_AS_SEND;
    while (login != NULL && step == LOGIN_AS_SEND && scan_open(&scan, input)) {
        size_t len = (size_t)bytes_load_i32(input.pos);
        step = login_as_take(login, bytes_of(input.pos, len), &command, &err);
        check(step != LOGIN_AS_DONE);
        input.pos += len;
    }
    login_as_free(login);
    verifier_release(verifier);
}

/* The keys of a user that does not exist: the same each time, and others for another name. */
static void fuzz_invented(struct bytes input, enum scram_hash hash)
{
    struct scram_keys keys;
    struct scram_keys again;
    struct error err = {0};
    struct sasl_start start = {.hash = hash};
    struct build reply;
    struct scram_shape shape = scram_default_shape(hash);
    struct bytes secret = bytes_of("secret", 6);
    if (!scram_invent_keys(hash, shape, secret, input, bytes_of("d", 1), &keys))
        return;
    check(scram_invent_keys(hash, shape, secret, input, bytes_of("d", 1), &again));
    check(scram_keys_equal(&keys, &again));
    check(scram_invent_keys(hash, shape, secret, input, bytes_of("e", 1), &again));
    check(!scram_keys_equal(&keys, &again));
    check(scram_first_read(bytes_of("n,,n=ann,r=abc", 14), &start.first, &err));
    build_begin(&reply, SIZE_MAX);
    struct sasl_conversation *conversation = sasl_begin(&start, NULL, &keys, random_bytes, &reply);
    if (conversation != NULL)
        check(sasl_continue(conversation, input, &err) == SASL_REFUSED);
    sasl_free(conversation);
    build_free(&reply);
}

static void fuzz_file(struct bytes input)
{
    unsigned count = 0;
    uint8_t space[VERIFIER_SECRET_BYTES_MAX];
    struct bytes secret;
    struct error err = {0};
    if (!verifier_file_read((const char *)input.pos, bytes_left(&input), take, &count, space,
                            &secret, &err))
        check(err.code != 0 && err.message[0] != 0);
}

/* Bodies of saslStart and saslContinue. */
static void fuzz_commands(struct bytes input)
{
    struct sasl_start start;
    struct error err = {0};
    struct build reply;
    bool fine = false;
    struct verifier *verifier = make_verifier(SCRAM_SHA_256);
    if (verifier == NULL)
        return;
    build_begin(&reply, SIZE_MAX);
    if (sasl_start_read(input, &start, &fine, &err) == SASL_OTHER || !fine) {
        check(scram_first_read(bytes_of("n,,n=ann,r=abc", 14), &start.first, &err));
        start.as_text = false;
        start.skip_empty = false;
    }
    struct sasl_conversation *conversation =
        sasl_begin(&start, verifier, NULL, random_bytes, &reply);
    check(conversation != NULL || without_memory);
    for (int i = 0; conversation != NULL && i < 2; i++)
        check(sasl_continue(conversation, input, &err) == SASL_REFUSED);
    sasl_free(conversation);
    build_free(&reply);
    verifier_release(verifier);
}

static void run(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data + 1, size - 1);
    enum scram_hash hash = (data[0] & 8) == 0 ? SCRAM_SHA_1 : SCRAM_SHA_256;
    switch (data[0] & 0xF7) {
    case 0:
        fuzz_first(input);
        break;
    case 1:
        fuzz_final(input, hash);
        break;
    case 2:
        fuzz_challenge(input, hash);
        break;
    case 3:
        fuzz_file(input);
        break;
    case 16:
        fuzz_login(input, hash, !without_memory);
        break;
    case 17:
        fuzz_reply(input, hash);
        break;
    case 18:
        fuzz_invented(input, hash);
        break;
    default:
        fuzz_commands(input);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    run(data, size);
    without_memory = fail_memory_for(data, size);
    if (without_memory)
        run(data, size);
    memory_fail_never();
    without_memory = false;
    return 0;
}
