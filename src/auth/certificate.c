#include "auth/certificate.h"

#include "base/text.h"

#include "bson/scan.h"
#include "wire/command_names.h"

#include <strings.h>

static bool is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

static bool is_command(const char *text, size_t len, enum command_name command)
{
    return is(text, len, command_name_text(command));
}

static bool is_login(const char *name, size_t len)
{
    return is_command(name, len, COMMAND_SASL_START) || is_command(name, len, COMMAND_AUTHENTICATE);
}

static bool is_hello(const char *name, size_t len)
{
    return is_command(name, len, COMMAND_HELLO) || is_command(name, len, COMMAND_IS_MASTER);
}

/* Mechanisms that ask for a password, a ticket or a token. */
static bool is_harmless(const struct scan_element *mechanism)
{
    static const char *const harmless[] = {"SCRAM-SHA-1",  "SCRAM-SHA-256", "PLAIN",     "GSSAPI",
                                           "MONGODB-OIDC", "MONGODB-AWS",   "MONGODB-CR"};
    const char *text = NULL;
    size_t len = 0;
    if (mechanism->kind != BSON_KIND_STRING || !scan_as_string(mechanism, &text, &len))
        return false;
    const size_t count = sizeof harmless / sizeof harmless[0];
    return text_index(harmless, count, text, len) < count;
}

static bool names_another_mechanism(struct bytes login)
{
    struct scan scan;
    struct scan_element each;
    size_t harmless = 0;
    if (!scan_open(&scan, login))
        return false;
    while (scan_next(&scan, &each)) {
        if (!is(each.name, each.name_len, "mechanism"))
            continue;
        if (!scan_name_is(&each, "mechanism") || harmless > 0 || !is_harmless(&each))
            return false;
        harmless++;
    }
    return harmless == 1 && !scan.broken;
}

/* A hello may contain the first step of a login, or several. */
static bool hello_is_harmless(struct bytes body)
{
    struct scan scan;
    struct scan_element each;
    if (!scan_open(&scan, body))
        return false;
    while (scan_next(&scan, &each))
        if (is(each.name, each.name_len, "speculativeAuthenticate") &&
            (each.kind != BSON_KIND_OBJECT || !names_another_mechanism(each.value)))
            return false;
    return !scan.broken;
}

bool certificate_may_log_in(const char *name, size_t len, struct bytes body, bool alone)
{
    if (is_login(name, len))
        return !alone || !names_another_mechanism(body);
    return is_hello(name, len) && (!alone || !hello_is_harmless(body));
}
