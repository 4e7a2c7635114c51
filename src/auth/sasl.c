#include "auth/sasl.h"

#include <string.h>

#include "base/base64.h"
#include "base/locked_memory.h"
#include "base/memory.h"
#include "base/text.h"
#include "bson/scan.h"

/* MongoDB's servers number the conversations of a connection with 1, because one is open at most.
 */
enum { CONVERSATION_ID = 1 };

struct sasl_conversation {
    struct verifier *verifier;   /* retained; NULL: the user does not exist */
    struct scram_keys *invented; /* in locked memory; NULL with a verifier */
    struct scram_server *server; /* NULL after the proof */
    bool skip_empty;
    bool as_text;
    bool ended; /* the empty message came */
    char signature[SCRAM_TEXT_BYTES];
    size_t signature_len;
};

/* A payload: binary of any subtype, or base64 in a string. */
static bool read_payload(struct bytes body, uint8_t *out, size_t cap, size_t *len, bool *as_text)
{
    struct scan_element element;
    const char *text = NULL;
    size_t text_len = 0;
    if (!scan_find_once(body, "payload", &element))
        return false;
    if (element.kind == BSON_KIND_BINARY) {
        struct bytes value = element.value;
        if (!bytes_skip(&value, 5) || bytes_left(&value) > cap)
            return false;
        *as_text = false;
        *len = bytes_left(&value);
        if (*len > 0)
            memcpy(out, value.pos, *len);
        return true;
    }
    *as_text = true;
    return scan_as_string(&element, &text, &text_len) &&
           base64_read(bytes_of(text, text_len), out, cap, len);
}

static bool read_mechanism(struct bytes body, enum scram_hash *hash)
{
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    if (!scan_find_once(body, "mechanism", &element) || !scan_as_string(&element, &text, &len))
        return false;
    size_t index = text_index(scram_mechanism_names, SCRAM_HASHES, text, len);
    *hash = (enum scram_hash)index;
    return index < SCRAM_HASHES;
}

enum sasl_kind sasl_start_read(struct bytes body, struct sasl_start *out, bool *fine,
                               struct error *err)
{
    struct scan_element element;
    struct scan_element skip;
    *fine = false;
    out->skip_empty = false;
    if (!read_mechanism(body, &out->hash))
        return SASL_OTHER;
    if (scan_find(body, "options", &element) && element.kind == BSON_KIND_OBJECT &&
        scan_find(element.value, "skipEmptyExchange", &skip))
        out->skip_empty = scan_is_true(&skip);
    if (!read_payload(body, out->payload, sizeof out->payload, &out->payload_len, &out->as_text))
        (void)error_set(err, ERROR_AUTHENTICATION_FAILED,
                        "saslStart has no payload of at most %d bytes", SCRAM_FIRST_BYTES);
    else
        *fine = scram_first_read(bytes_of(out->payload, out->payload_len), &out->first, err);
    return SASL_SCRAM;
}

static void add_payload(struct build *reply, bool as_text, struct bytes payload)
{
    uint8_t binary[5 + SCRAM_TEXT_BYTES];
    char text[BASE64_TEXT_BYTES(SCRAM_TEXT_BYTES)];
    size_t len = bytes_left(&payload);
    if (as_text) {
        build_string(reply, "payload", text, base64_write(payload.pos, len, text));
        return;
    }
    bytes_store_i32(binary, (int32_t)len);
    binary[4] = 0;
    if (len > 0)
        memcpy(binary + 5, payload.pos, len);
    build_value(reply, "payload", BSON_KIND_BINARY, bytes_of(binary, 5 + len));
}

static void add_fields(struct build *reply, bool done, bool as_text, struct bytes payload)
{
    build_int32(reply, "conversationId", CONVERSATION_ID);
    build_bool(reply, "done", done);
    add_payload(reply, as_text, payload);
}

static const struct scram_keys *keys_of(const struct sasl_conversation *conversation)
{
    return conversation->verifier != NULL ? verifier_keys(conversation->verifier)
                                          : conversation->invented;
}

struct sasl_conversation *sasl_begin(const struct sasl_start *start, struct verifier *verifier,
                                     const struct scram_keys *invented,
                                     const uint8_t random[SCRAM_RANDOM_BYTES], struct build *reply)
{
    char nonce[SCRAM_OUR_NONCE_BYTES];
    struct bytes challenge = {0};
    struct sasl_conversation *conversation = memory_zalloc(sizeof *conversation);
    if (conversation == NULL)
        return NULL;
    conversation->skip_empty = start->skip_empty;
    conversation->as_text = start->as_text;
    if (verifier != NULL)
        conversation->verifier = verifier_retain(verifier);
    else if ((conversation->invented = locked_memory_alloc()) != NULL)
        *conversation->invented = *invented;
    scram_write_nonce(random, nonce);
    if (keys_of(conversation) != NULL)
        conversation->server = scram_server_new(&start->first, keys_of(conversation),
                                                bytes_of(nonce, sizeof nonce), &challenge);
    if (conversation->server == NULL) {
        sasl_free(conversation);
        return NULL;
    }
    add_fields(reply, false, conversation->as_text, challenge);
    return conversation;
}

static bool check_number(struct bytes body, struct error *err)
{
    struct scan_element element;
    int64_t number = 0;
    return (scan_find_once(body, "conversationId", &element) && scan_as_int64(&element, &number) &&
            number == CONVERSATION_ID) ||
           error_set(err, ERROR_AUTHENTICATION_FAILED,
                     "saslContinue does not name the conversation");
}

/* The proof is checked for users that do not exist, too: it takes the same time. */
static enum sasl_step take_proof(struct sasl_conversation *conversation, struct bytes payload,
                                 struct error *err)
{
    uint8_t client_key[SCRAM_KEY_BYTES];
    bool right =
        scram_server_finish(conversation->server, keys_of(conversation), payload, client_key,
                            conversation->signature, &conversation->signature_len, err);
    scram_server_free(conversation->server);
    conversation->server = NULL;
    if (right && conversation->verifier == NULL)
        right = error_set(err, ERROR_AUTHENTICATION_FAILED, "the user does not exist");
    if (right)
        verifier_note_client_key(conversation->verifier, client_key);
    explicit_bzero(client_key, sizeof client_key);
    return !right ? SASL_REFUSED : conversation->skip_empty ? SASL_DONE : SASL_MORE;
}

enum sasl_step sasl_continue(struct sasl_conversation *conversation, struct bytes body,
                             struct error *err)
{
    uint8_t payload[SCRAM_FINAL_BYTES];
    size_t len = 0;
    bool as_text = false;
    if (!check_number(body, err))
        return SASL_REFUSED;
    if (!read_payload(body, payload, sizeof payload, &len, &as_text)) {
        (void)error_set(err, ERROR_AUTHENTICATION_FAILED,
                        "saslContinue has no payload of at most %d bytes", SCRAM_FINAL_BYTES);
        return SASL_REFUSED;
    }
    if (conversation->server != NULL)
        return take_proof(conversation, bytes_of(payload, len), err);
    if (len != 0 || conversation->signature_len == 0 || conversation->ended) {
        (void)error_set(err, ERROR_AUTHENTICATION_FAILED,
                        "the last message of the conversation is not empty");
        return SASL_REFUSED;
    }
    conversation->ended = true;
    return SASL_DONE;
}

void sasl_answer(const struct sasl_conversation *conversation, struct build *reply)
{
    size_t len = conversation->ended ? 0 : conversation->signature_len;
    add_fields(reply, conversation->ended || conversation->skip_empty, conversation->as_text,
               bytes_of(conversation->signature, len));
}

struct verifier *sasl_verifier(const struct sasl_conversation *conversation)
{
    return conversation->verifier;
}

void sasl_free(struct sasl_conversation *conversation)
{
    if (conversation == NULL)
        return;
    verifier_release(conversation->verifier);
    locked_memory_free(conversation->invented);
    scram_server_free(conversation->server);
    memory_free(conversation);
}
