#include "config/value.h"
#include "base/host_port.h"
#include "base/http_url.h"
#include "base/name_values.h"
#include "base/quantity.h"
#include "config/limit_rules.h"
#include "config/networks.h"
#include "config/pool_rules.h"
#include "config/settings.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The field, with the type that the row promises. */
static void *field_of(const struct option *option, struct config *config)
{
    return (char *)config + option->at;
}

static const void *const_field_of(const struct option *option, const struct config *config)
{
    return (const char *)config + option->at;
}

static bool parse_number(const struct option *option, const char *text, int64_t *out)
{
    enum quantity_kind kind = option->type == OPTION_BYTES ? QUANTITY_BYTES
                              : option->type == OPTION_MS  ? QUANTITY_MS
                              : option->type == OPTION_US  ? QUANTITY_US
                                                           : QUANTITY_COUNT;
    return quantity_read(kind, text, out) && *out >= option->min && *out <= option->max;
}

static bool is_host(const char *text, size_t len, bool colons)
{
    if (len == 0 || len >= HOST_BYTES)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && strchr(colons ? ".-_:%" : ".-_", text[i]) == NULL)
            return false;
    return true;
}

static bool are_hosts(const char *text)
{
    size_t len = strcspn(text, ",");
    if (*text == 0)
        return true;
    for (; is_host(text, len, false); len = strcspn(text, ",")) {
        if (text[len] == 0)
            return true;
        text += len + 1;
    }
    return false;
}

static bool parse_address(const char *text, struct config_address *out)
{
    struct host_port read;
    if (!host_port_read(text, strlen(text), &read) || !read.has_port ||
        !is_host(read.host, strlen(read.host), read.bracketed))
        return false;
    memcpy(out->host, read.host, strlen(read.host) + 1);
    out->port = read.port;
    return true;
}

static bool parse_local(const char *text, struct config_address *out)
{
    int64_t port = 0;
    *out = (struct config_address){0};
    if (*text == '\0')
        return true;
    if (text[strspn(text, "0123456789")] != '\0')
        return parse_address(text, out);
    if (!quantity_read(QUANTITY_COUNT, text, &port) || port > UINT16_MAX)
        return false;
    *out = (struct config_address){.host = "127.0.0.1", .port = (uint16_t)port};
    return true;
}

static bool parse_uri(const char *text)
{
    static const char *const schemes[] = {"mongodb://", "mongodb+srv://"};
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(schemes[i]);
        if (strncmp(text, schemes[i], len) == 0)
            return text[len] != '\0' && text[len] != '/' && text[len] != '?';
    }
    return false;
}

/* Stores the host without brackets, as in struct config_address. */
static bool parse_host(char *text, const char **out)
{
    size_t len = strlen(text);
    size_t bracket = len >= 2 && text[0] == '[' && text[len - 1] == ']' ? 1 : 0;
    const char *colon = strchr(text, ':');
    /* One colon is a port; an IPv6 address has at least two. */
    bool colons = colon != NULL && strchr(colon + 1, ':') != NULL;
    *out = text;
    if (len == 0)
        return true;
    len -= 2 * bracket;
    if (!is_host(text + bracket, len, colons))
        return false;
    memmove(text, text + bracket, len);
    text[len] = '\0';
    return true;
}

/* YAML's other words for false and true. */
static const char *plain_switch(const char *text)
{
    static const char *const words[][2] = {
        {"off", "false"}, {"no", "false"}, {"on", "true"}, {"yes", "true"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i][0]) == 0)
            return words[i][1];
    return text;
}

static bool parse_choice(const struct option *option, const char *text, void *field)
{
    _Static_assert(sizeof(enum config_tls_mode) == sizeof(int), "choices are written as int");
    if (option->choices == options_switches)
        text = plain_switch(text);
    for (int i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            memcpy(field, &i, sizeof i);
            return true;
        }
    }
    return false;
}

/* A decimal fraction; no exponent and no sign. */
static bool parse_ratio(const char *text, double *out)
{
    char *end = NULL;
    if (text[0] == 0 || text[strspn(text, "0123456789.")] != 0)
        return false;
    *out = strtod(text, &end);
    return *end == 0 && *out >= 0 && *out <= 1;
}

static bool parse_url(const char *text)
{
    struct http_url url;
    return text[0] == 0 || http_url_read(text, &url);
}

bool value_parse(const struct option *option, char *text, struct config *config)
{
    void *field = field_of(option, config);
    switch (option->type) {
    case OPTION_URI:
        *(const char **)field = text;
        return (option->fallback != NULL && text[0] == '\0') || parse_uri(text);
    case OPTION_NAMESPACE:
        *(const char **)field = text;
        return text[0] == '\0' || settings_is_namespace(text);
    case OPTION_ADDRESS:
        return parse_address(text, field);
    case OPTION_LOCAL:
        return parse_local(text, field);
    case OPTION_HOST:
        return parse_host(text, field);
    case OPTION_HOSTS:
        *(const char **)field = text;
        return are_hosts(text);
    case OPTION_NETWORKS:
        *(const char **)field = text;
        return networks_are_valid(text);
    case OPTION_LIMITS:
        *(const char **)field = text;
        return limit_rules_are_valid(text);
    case OPTION_RULES:
        *(const char **)field = text;
        return pool_rules_are_valid(text);
    case OPTION_READ:
    case OPTION_WRITE:
    case OPTION_FOLDER:
    case OPTION_TEXT:
        *(const char **)field = text;
        return true;
    case OPTION_URL:
        *(const char **)field = text;
        return parse_url(text);
    case OPTION_PAIRS:
        *(const char **)field = text;
        return name_values_are_valid(text);
    case OPTION_RATIO:
        return parse_ratio(text, field);
    case OPTION_INTEGER:
    case OPTION_BYTES:
    case OPTION_MS:
    case OPTION_US:
        return parse_number(option, text, field);
    case OPTION_CHOICE:
        return parse_choice(option, text, field);
    }
    return false;
}

static void add_address_json(const struct config_address *address, const char *name,
                             struct json *json)
{
    char shown[HOST_PORT_BYTES] = "";
    if (address->host[0] != '\0')
        host_port_write(address->host, address->port, shown, sizeof shown);
    json_add_string(json, name, shown);
}

static void redact_pairs(const char *rest, struct text *out)
{
    struct name_value pair;
    text_add(out, "");
    while (name_values_next(&rest, &pair))
        text_format(out, "%s%.*s=<redacted>", out->len == 0 ? "" : ",", (int)pair.name_len,
                    pair.name);
}

static void add_string_json(const struct option *option, const char *value, const char *name,
                            struct json *json)
{
    if (!option->secret) {
        json_add_string(json, name, value);
        return;
    }
    struct text shown = text_growing();
    if (option->type == OPTION_PAIRS)
        redact_pairs(value, &shown);
    else
        config_redact_uri(value, &shown);
    if (shown.cut)
        json->out->cut = true;
    json_add_string(json, name, shown.data);
    text_release(&shown);
}

void value_add_json(const struct option *option, const struct config *config, const char *name,
                    struct json *json)
{
    const void *field = const_field_of(option, config);
    int choice = 0;
    switch (option->type) {
    case OPTION_ADDRESS:
    case OPTION_LOCAL:
        add_address_json(field, name, json);
        break;
    case OPTION_URI:
    case OPTION_NAMESPACE:
    case OPTION_HOST:
    case OPTION_HOSTS:
    case OPTION_NETWORKS:
    case OPTION_RULES:
    case OPTION_LIMITS:
    case OPTION_READ:
    case OPTION_WRITE:
    case OPTION_FOLDER:
    case OPTION_TEXT:
    case OPTION_URL:
    case OPTION_PAIRS:
        add_string_json(option, *(const char *const *)field, name, json);
        break;
    case OPTION_INTEGER:
    case OPTION_BYTES:
    case OPTION_MS:
    case OPTION_US:
        json_add_int(json, name, *(const int64_t *)field);
        break;
    case OPTION_RATIO:
        json_add_real(json, name, *(const double *)field, 6);
        break;
    case OPTION_CHOICE:
        memcpy(&choice, field, sizeof choice);
        json_add_string(json, name, option->choices[choice]);
        break;
    }
}

bool value_equals(const struct option *option, const struct config *a, const struct config *b)
{
    const void *x = const_field_of(option, a);
    const void *y = const_field_of(option, b);
    switch (option->type) {
    case OPTION_ADDRESS:
    case OPTION_LOCAL: {
        const struct config_address *left = x;
        const struct config_address *right = y;
        return left->port == right->port && strcmp(left->host, right->host) == 0;
    }
    case OPTION_INTEGER:
    case OPTION_BYTES:
    case OPTION_MS:
    case OPTION_US:
        return *(const int64_t *)x == *(const int64_t *)y;
    case OPTION_RATIO:
        return *(const double *)x == *(const double *)y;
    case OPTION_CHOICE:
        return memcmp(x, y, sizeof(int)) == 0;
    default:
        return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
    }
}
