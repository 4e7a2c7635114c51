/* Logs in again and again with SCRAM-SHA-256: each time a new connection, a hello that begins the
 * login (speculativeAuthenticate; a saslStart where the server does not take it), one saslContinue,
 * and the end of the connection. It is C, and computes the password's keys once, so that the client
 * does not dominate the measurement. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <bson/bson.h>
#include <openssl/evp.h>

#include "auth/scram.h"
#include "auth/scram_keys.h"
#include "base/memory.h"
#include "bench/clock.h"
#include "bench/histogram.h"
#include "bson/scan.h"
#include "wire/header.h"

#define REPLY_BYTES   65536
#define MAX_THREADS   512
#define FIRST_SECTION (WIRE_HEADER_BYTES + 4 + 1) /* flags, kind 0 */

static const char usage[] = "logingen --port PORT --user NAME --password PASSWORD [option…]\n"
                            "  --logins N        1000\n"
                            "  --connections N   16; logins at a time\n"
                            "  --database NAME   admin\n"
                            "Prints {\"logins\", \"seconds\", \"logins_per_second\", \"errors\", "
                            "\"p50_us\", \"p99_us\", \"reason\"}.\n";

static struct {
    struct sockaddr_in address;
    const char *user;
    const char *password;
    const char *database;
    long logins;
    long connections;
    atomic_long begun;
    pthread_mutex_t keys_lock;
    struct scram_keys keys; /* of the last salt */
    uint8_t client_key[SCRAM_KEY_BYTES];
    bool has_keys;
} work = {
    .database = "admin", .logins = 1000, .connections = 16, .keys_lock = PTHREAD_MUTEX_INITIALIZER};

struct worker {
    pthread_t thread;
    struct histogram times;
    long errors;
    char reason[256];
    uint8_t reply[REPLY_BYTES];
};

static bool explain(struct worker *worker, const char *what)
{
    if (worker->reason[0] == '\0')
        snprintf(worker->reason, sizeof worker->reason, "%s (errno %d)", what, errno);
    return false;
}

static bool send_document(int fd, const bson_t *document)
{
    uint8_t message[8192] = {0};
    size_t len = FIRST_SECTION + document->len;
    if (len > sizeof message)
        return false;
    struct wire_header header = {.length = (int32_t)len, .request_id = 1, .opcode = WIRE_OP_MSG};
    wire_header_write(message, &header);
    memcpy(message + FIRST_SECTION, bson_get_data(document), document->len);
    return send(fd, message, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Reads one OP_MSG; *document is in worker->reply. */
static bool receive_document(struct worker *worker, int fd, struct bytes *document)
{
    size_t have = 0;
    size_t wanted = WIRE_HEADER_BYTES;
    while (have < wanted) {
        ssize_t got = recv(fd, worker->reply + have, REPLY_BYTES - have, 0);
        if (got <= 0)
            return explain(worker, "the connection ended");
        have += (size_t)got;
        if (have >= WIRE_HEADER_BYTES)
            wanted = (size_t)wire_header_read(worker->reply).length;
        if (wanted > REPLY_BYTES)
            return explain(worker, "the reply is too long");
    }
    if (wanted <= FIRST_SECTION)
        return explain(worker, "the reply is too short");
    *document = bytes_of(worker->reply + FIRST_SECTION, wanted - FIRST_SECTION);
    return true;
}

/* Reads r, s and i of a server-first-message. */
static bool read_challenge(struct bytes challenge, char *salt, size_t salt_bytes, int *iterations)
{
    char text[SCRAM_TEXT_BYTES] = {0};
    char format[32];
    if (bytes_left(&challenge) >= sizeof text)
        return false;
    memcpy(text, challenge.pos, bytes_left(&challenge));
    const char *at = strstr(text, ",s=");
    snprintf(format, sizeof format, ",s=%%%zu[^,],i=%%d", salt_bytes - 1);
    return at != NULL && sscanf(at, format, salt, iterations) == 2;
}

/* The user's keys for this salt: from the password, or those of the last login. */
static bool take_keys(struct bytes challenge, struct scram_keys *keys, uint8_t *client_key)
{
    static const char label[] = "Client Key";
    static const char server_label[] = "Server Key";
    char salt_text[128];
    uint8_t salt[128];
    uint8_t salted[SCRAM_KEY_BYTES];
    int iterations = 0;
    if (!read_challenge(challenge, salt_text, sizeof salt_text, &iterations))
        return false;
    int salt_len = EVP_DecodeBlock(salt, (const uint8_t *)salt_text, (int)strlen(salt_text));
    for (size_t at = strlen(salt_text); at > 0 && salt_text[at - 1] == '='; at--)
        salt_len--;
    if (salt_len <= 0 || salt_len > SCRAM_SALT_BYTES)
        return false;
    pthread_mutex_lock(&work.keys_lock);
    bool same = work.has_keys && work.keys.iterations == iterations &&
                work.keys.salt_bytes == salt_len &&
                memcmp(work.keys.salt, salt, (size_t)salt_len) == 0;
    if (!same) {
        work.keys = (struct scram_keys){
            .hash = SCRAM_SHA_256, .iterations = iterations, .salt_bytes = (uint8_t)salt_len};
        memcpy(work.keys.salt, salt, (size_t)salt_len);
        work.has_keys =
            PKCS5_PBKDF2_HMAC(work.password, (int)strlen(work.password), salt, salt_len, iterations,
                              EVP_sha256(), sizeof salted, salted) == 1 &&
            scram_sign(SCRAM_SHA_256, salted, bytes_of(label, strlen(label)), work.client_key) &&
            scram_hash_key(SCRAM_SHA_256, work.client_key, work.keys.stored_key) &&
            scram_sign(SCRAM_SHA_256, salted, bytes_of(server_label, strlen(server_label)),
                       work.keys.server_key);
    }
    *keys = work.keys;
    memcpy(client_key, work.client_key, SCRAM_KEY_BYTES);
    bool has = work.has_keys;
    pthread_mutex_unlock(&work.keys_lock);
    return has;
}

static bool append_start(bson_t *to, struct bytes first)
{
    bson_t options;
    return BSON_APPEND_INT32(to, "saslStart", 1) &&
           BSON_APPEND_UTF8(to, "mechanism", "SCRAM-SHA-256") &&
           BSON_APPEND_BINARY(to, "payload", BSON_SUBTYPE_BINARY, first.pos,
                              (uint32_t)bytes_left(&first)) &&
           BSON_APPEND_DOCUMENT_BEGIN(to, "options", &options) &&
           BSON_APPEND_BOOL(&options, "skipEmptyExchange", true) &&
           bson_append_document_end(to, &options);
}

static bool send_hello(int fd, struct bytes first)
{
    bson_t hello = BSON_INITIALIZER;
    bson_t start;
    bool made = BSON_APPEND_INT32(&hello, "hello", 1) &&
                BSON_APPEND_DOCUMENT_BEGIN(&hello, "speculativeAuthenticate", &start) &&
                append_start(&start, first) && BSON_APPEND_UTF8(&start, "db", work.database) &&
                bson_append_document_end(&hello, &start) &&
                BSON_APPEND_UTF8(&hello, "$db", "admin") && send_document(fd, &hello);
    bson_destroy(&hello);
    return made;
}

static bool send_start(int fd, struct bytes first)
{
    bson_t command = BSON_INITIALIZER;
    bool made = append_start(&command, first) && BSON_APPEND_UTF8(&command, "$db", work.database) &&
                send_document(fd, &command);
    bson_destroy(&command);
    return made;
}

static bool send_continue(int fd, int32_t conversation, const char *payload, size_t len)
{
    bson_t command = BSON_INITIALIZER;
    bool made = BSON_APPEND_INT32(&command, "saslContinue", 1) &&
                BSON_APPEND_INT32(&command, "conversationId", conversation) &&
                BSON_APPEND_BINARY(&command, "payload", BSON_SUBTYPE_BINARY,
                                   (const uint8_t *)payload, (uint32_t)len) &&
                BSON_APPEND_UTF8(&command, "$db", work.database) && send_document(fd, &command);
    bson_destroy(&command);
    return made;
}

/* The payload and the conversation's number of a reply, or of a hello's part. */
static bool read_step(struct bytes document, struct bytes *payload, int64_t *conversation)
{
    struct scan_element inner;
    struct scan_element element;
    if (scan_find(document, "speculativeAuthenticate", &inner))
        document = inner.value;
    if (!scan_find(document, "conversationId", &element) ||
        !scan_as_int64(&element, conversation) || !scan_find(document, "payload", &element) ||
        element.kind != BSON_KIND_BINARY || bytes_left(&element.value) < 5)
        return false;
    *payload = bytes_of(element.value.pos + 5, bytes_left(&element.value) - 5);
    return true;
}

static bool converse(struct worker *worker, int fd, struct scram_client *client, struct bytes first)
{
    struct bytes document;
    struct bytes payload;
    struct scram_keys keys;
    uint8_t client_key[SCRAM_KEY_BYTES];
    char final[SCRAM_FINAL_BYTES];
    size_t len = 0;
    int64_t conversation = 0;
    struct error err = {0};
    struct scan_element done;
    if (!send_hello(fd, first) || !receive_document(worker, fd, &document))
        return explain(worker, "hello");
    if (!read_step(document, &payload, &conversation) && /* not every server speculates */
        (!send_start(fd, first) || !receive_document(worker, fd, &document) ||
         !read_step(document, &payload, &conversation)))
        return explain(worker, "saslStart");
    if (!take_keys(payload, &keys, client_key) ||
        !scram_client_prove(client, &keys, client_key, payload, final, &len, &err))
        return explain(worker, "the server's challenge cannot be answered");
    if (!send_continue(fd, (int32_t)conversation, final, len) ||
        !receive_document(worker, fd, &document))
        return explain(worker, "saslContinue");
    if (!scan_find(document, "done", &done) || !scan_is_true(&done) ||
        !read_step(document, &payload, &conversation) ||
        !scram_client_check(client, &keys, payload, &err))
        return explain(worker, "the login was refused");
    return true;
}

static bool log_in(struct worker *worker)
{
    uint8_t random[SCRAM_RANDOM_BYTES];
    char nonce[SCRAM_OUR_NONCE_BYTES];
    struct bytes first;
    int on = 1;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return explain(worker, "getrandom");
    scram_write_nonce(random, nonce);
    struct scram_client *client = scram_client_new(bytes_of(work.user, strlen(work.user)),
                                                   bytes_of(nonce, sizeof nonce), &first);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool done = false;
    if (client == NULL || fd < 0)
        explain(worker, "socket");
    else if (connect(fd, (const struct sockaddr *)&work.address, sizeof work.address) != 0)
        explain(worker, "connect");
    else if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0)
        done = converse(worker, fd, client, first);
    if (fd >= 0)
        close(fd);
    scram_client_free(client);
    return done;
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    while (atomic_fetch_add(&work.begun, 1) < work.logins) {
        uint64_t begin = clock_now_ns();
        if (log_in(worker))
            histogram_record(&worker->times, clock_now_ns() - begin);
        else
            worker->errors++;
    }
    return NULL;
}

static bool read_arguments(int argc, char **argv)
{
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"password", required_argument, NULL, 'w'},
                                            {"database", required_argument, NULL, 'd'},
                                            {"logins", required_argument, NULL, 'n'},
                                            {"connections", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    int option = 0;
    work.address.sin_family = AF_INET;
    work.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            work.address.sin_port = htons((uint16_t)strtol(optarg, NULL, 10));
        else if (option == 'u')
            work.user = optarg;
        else if (option == 'w')
            work.password = optarg;
        else if (option == 'd')
            work.database = optarg;
        else if (option == 'n')
            work.logins = strtol(optarg, NULL, 10);
        else if (option == 'c')
            work.connections = strtol(optarg, NULL, 10);
        else
            return false;
    }
    return optind == argc && work.address.sin_port != 0 && work.user != NULL &&
           work.password != NULL && work.logins > 0 && work.connections > 0 &&
           work.connections <= MAX_THREADS;
}

static void print_result(const struct histogram *times, long errors, const char *reason,
                         double seconds)
{
    printf("{\"logins\": %llu, \"seconds\": %.3f, \"logins_per_second\": %.0f, \"errors\": %ld, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"reason\": \"%s\"}\n",
           (unsigned long long)times->total, seconds, (double)times->total / seconds, errors,
           (double)histogram_percentile(times, 50) / 1000,
           (double)histogram_percentile(times, 99) / 1000, reason);
}

int main(int argc, char **argv)
{
    static struct histogram times;
    if (!read_arguments(argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    struct worker *workers = memory_array((size_t)work.connections, sizeof *workers);
    if (workers == NULL)
        return 1;
    const char *reason = "";
    long errors = 0;
    uint64_t begin = clock_now_ns();
    for (long i = 0; i < work.connections; i++)
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0) {
            fputs("logingen: cannot start a thread\n", stderr);
            return 1; /* ends the others */
        }
    for (long i = 0; i < work.connections; i++) {
        pthread_join(workers[i].thread, NULL);
        histogram_merge(&times, &workers[i].times);
        errors += workers[i].errors;
        if (reason[0] == '\0')
            reason = workers[i].reason;
    }
    print_result(&times, errors, reason, (double)(clock_now_ns() - begin) / 1e9);
    memory_free(workers);
    return errors > 0 ? 1 : 0;
}
