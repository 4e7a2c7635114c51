/* Measures the work of a worker for one login that the proxy checks: the first message, the proof,
 * and the ClientKey. The clients' part (PBKDF2) is not in it.
 *
 *     scram_bench [LOGINS] */
#include "auth/login_as.h"
#include "auth/sasl.h"
#include "auth/scram_keys.h"
#include "bench/clock.h"

#include <stdio.h>
#include <stdlib.h>

static const uint8_t client_key[SCRAM_KEY_BYTES] = {7};
static const uint8_t random_bytes[SCRAM_RANDOM_BYTES] = {1};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "scram_bench: %s failed\n", what);
    exit(EXIT_FAILURE);
}

static struct verifier *make_verifier(enum scram_hash hash)
{
    struct scram_keys keys = {.hash = hash, .iterations = 15000, .salt_bytes = 28};
    must(scram_hash_key(hash, client_key, keys.stored_key), "the hash");
    struct verifier *verifier = verifier_new(bytes_of("ann", 3), bytes_of("admin", 5), &keys);
    must(verifier != NULL, "the verifier");
    return verifier;
}

static struct bytes answer(struct build *build)
{
    struct bytes document;
    build_int32(build, "ok", 1);
    must(build_finish(build, &document), "the reply");
    return document;
}

/* Both sides; only the server's is measured. Returns its nanoseconds. */
static uint64_t log_in(struct verifier *ours, struct verifier *servers)
{
    struct bytes command;
    struct build build;
    struct sasl_start start;
    struct error err;
    bool fine = false;
    struct login_as *login = login_as_begin(ours, random_bytes, &command);
    must(login != NULL, "the beginning");
    uint64_t begin = clock_now_ns();
    build_begin(&build, SIZE_MAX);
    must(sasl_start_read(command, &start, &fine, &err) == SASL_SCRAM && fine, "saslStart");
    struct sasl_conversation *conversation =
        sasl_begin(&start, servers, NULL, random_bytes, &build);
    must(conversation != NULL, "the conversation");
    struct bytes reply = answer(&build);
    uint64_t spent = clock_now_ns() - begin;
    must(login_as_take(login, reply, &command, &err) == LOGIN_AS_SEND, "the challenge");
    build_free(&build);
    begin = clock_now_ns();
    build_begin(&build, SIZE_MAX);
    must(sasl_continue(conversation, command, &err) == SASL_DONE, "the proof");
    sasl_answer(conversation, &build);
    reply = answer(&build);
    sasl_free(conversation);
    spent += clock_now_ns() - begin;
    must(login_as_take(login, reply, &command, &err) == LOGIN_AS_DONE, "the signature");
    build_free(&build);
    login_as_free(login);
    return spent;
}

int main(int argc, char **argv)
{
    long logins = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++) {
        struct verifier *ours = make_verifier(hash);
        struct verifier *servers = make_verifier(hash);
        uint64_t spent = 0;
        verifier_note_client_key(ours, client_key);
        for (long i = 0; i < logins; i++)
            spent += log_in(ours, servers);
        (void)printf("%s: %.1f us for each login\n", scram_mechanism_names[hash],
                     (double)spent / 1000.0 / (double)logins);
        verifier_release(ours);
        verifier_release(servers);
    }
    return EXIT_SUCCESS;
}
