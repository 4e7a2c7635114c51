#include "auth/scram_text.h"

#include "base/base64.h"

void scram_write_nonce(const uint8_t random[SCRAM_RANDOM_BYTES], char out[SCRAM_OUR_NONCE_BYTES])
{
    (void)base64_write(random, SCRAM_RANDOM_BYTES, out);
}

bool scram_text_take(struct bytes *at, char letter, struct bytes *value)
{
    if (bytes_left(at) < 2 || at->pos[0] != (uint8_t)letter || at->pos[1] != '=')
        return false;
    const uint8_t *begin = at->pos + 2;
    const uint8_t *comma = memchr(begin, ',', (size_t)(at->end - begin));
    value->pos = begin;
    value->end = comma == NULL ? at->end : comma;
    at->pos = comma == NULL ? at->end : comma + 1;
    return true;
}

bool scram_text_is_nonce(struct bytes nonce, size_t cap)
{
    if (bytes_left(&nonce) == 0 || bytes_left(&nonce) > cap)
        return false;
    for (const uint8_t *at = nonce.pos; at < nonce.end; at++)
        if (*at < 0x21 || *at > 0x7E || *at == ',')
            return false;
    return true;
}

bool scram_text_read_count(struct bytes text, int32_t *out)
{
    uint8_t c = 0;
    int32_t count = 0;
    if (bytes_left(&text) == 0 || *text.pos == '0')
        return false;
    while (bytes_read_u8(&text, &c)) {
        if (c < '0' || c > '9')
            return false;
        count = count * 10 + (c - '0');
        if (count > SCRAM_ITERATIONS_MAX)
            return false;
    }
    *out = count;
    return true;
}

static bool put(struct scram_first *first, char c)
{
    if (c == '\0' || first->name_len == SCRAM_NAME_BYTES)
        return false;
    first->name[first->name_len++] = c;
    return true;
}

/* "=2C" is a comma and "=3D" an equals sign; no other '=' may occur. */
static bool read_name(struct bytes at, struct scram_first *first)
{
    uint8_t c = 0;
    first->name_len = 0;
    while (bytes_read_u8(&at, &c)) {
        struct bytes escape;
        if (c == '=') {
            if (!bytes_take(&at, 2, &escape))
                return false;
            if (memcmp(escape.pos, "2C", 2) == 0)
                c = ',';
            else if (memcmp(escape.pos, "3D", 2) == 0)
                c = '=';
            else
                return false;
        }
        if (!put(first, (char)c))
            return false;
    }
    return first->name_len > 0;
}

/* gs2-header: "n" or "y", a comma, an optional authzid, a comma. With "y" the client would bind the
 * channel if the server could. An authzid would let a user act as another. */
static bool read_header(struct bytes *at, struct scram_first *out, struct error *err)
{
    struct bytes header = {.pos = at->pos};
    uint8_t flag = 0;
    if (!bytes_read_u8(at, &flag) || (flag != 'n' && flag != 'y' && flag != 'p'))
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the first SCRAM message has no header \"n,,\"");
    if (flag == 'p')
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the first SCRAM message asks for channel binding, which MongoDB does "
                         "not have");
    if (bytes_left(at) < 2 || memcmp(at->pos, ",,", 2) != 0)
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the first SCRAM message names a user to act as (authzid)");
    at->pos += 2;
    header.end = at->pos;
    out->header = header;
    return true;
}

bool scram_first_read(struct bytes payload, struct scram_first *out, struct error *err)
{
    struct bytes name;
    if (bytes_left(&payload) > SCRAM_FIRST_BYTES)
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the first SCRAM message is longer than %d bytes", SCRAM_FIRST_BYTES);
    if (!read_header(&payload, out, err))
        return false;
    out->bare = payload;
    if (!scram_text_take(&payload, 'n', &name) || !read_name(name, out))
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the first SCRAM message has no user name of 1 to %d bytes",
                         SCRAM_NAME_BYTES);
    if (!scram_text_take(&payload, 'r', &out->nonce) ||
        !scram_text_is_nonce(out->nonce, SCRAM_NONCE_BYTES))
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the first SCRAM message has no nonce of 1 to %d printable characters",
                         SCRAM_NONCE_BYTES);
    return true;
}
