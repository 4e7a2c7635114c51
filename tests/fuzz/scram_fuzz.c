/* Any bytes as the parts of SCRAM that come from outside: the two messages of a client, the two of
 * a server, and a file of verifiers. The first byte chooses. Nothing that is read may crash, a
 * refusal has an error, and a random proof is never right. */
#include "auth/login_as.h"
#include "auth/sasl.h"
#include "auth/verifier_list.h"
#include "bson/scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t random_bytes[SCRAM_RANDOM_BYTES] = {9};

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
    check(verifier != NULL);
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
    check(client != NULL && scram_first_read(message, &again, &err));
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
    check(scram_first_read(bytes_of("n,,n=ann,r=abc", 14), &first, &err));
    struct scram_server *server =
        scram_server_new(&first, verifier_keys(verifier), bytes_of("def", 3), &challenge);
    check(!scram_server_finish(server, verifier_keys(verifier), input, key, out, &len, &err));
    check(err.code == ERROR_AUTHENTICATION_FAILED);
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
    build_begin(&reply, SIZE_MAX);
    if (sasl_start_read(input, &start, &fine, &err) == SASL_OTHER || !fine) {
        check(scram_first_read(bytes_of("n,,n=ann,r=abc", 14), &start.first, &err));
        start.as_text = false;
        start.skip_empty = false;
    }
    struct sasl_conversation *conversation =
        sasl_begin(&start, verifier, NULL, random_bytes, &reply);
    check(conversation != NULL);
    check(sasl_continue(conversation, input, &err) == SASL_REFUSED);
    check(sasl_continue(conversation, input, &err) == SASL_REFUSED);
    sasl_free(conversation);
    build_free(&reply);
    verifier_release(verifier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1);
    enum scram_hash hash = (data[0] & 8) == 0 ? SCRAM_SHA_1 : SCRAM_SHA_256;
    switch (data[0] & 7) {
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
    default:
        fuzz_commands(input);
        break;
    }
    return 0;
}
