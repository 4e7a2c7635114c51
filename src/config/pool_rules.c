#include "config/pool_rules.h"

#include <ctype.h>
#include <string.h>

#include "config/config.h"

/* A part of the option's text. */
struct rule_text {
    const char *pos;
    const char *end;
};

struct pool_rule {
    enum config_pool_mode mode;
    struct rule_text application; /* pos NULL: any */
    struct rule_text user;
};

static struct rule_text trim(struct rule_text part)
{
    while (part.pos < part.end && isspace((unsigned char)*part.pos))
        part.pos++;
    while (part.end > part.pos && isspace((unsigned char)part.end[-1]))
        part.end--;
    return part;
}

/* Takes the text before the separator, or all of it. */
static struct rule_text take(struct rule_text *rest, char separator)
{
    size_t len = (size_t)(rest->end - rest->pos);
    const char *at = memchr(rest->pos, separator, len);
    struct rule_text part = {rest->pos, at != NULL ? at : rest->end};
    rest->pos = at != NULL ? at + 1 : rest->end;
    return trim(part);
}

static bool take_word(struct rule_text *rest, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(rest->end - rest->pos) < len || memcmp(rest->pos, word, len) != 0)
        return false;
    rest->pos += len;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next character of a name, with %XX decoded; -1: a broken one. */
static int next_char(struct rule_text *name)
{
    char c = *name->pos++;
    if (c != '%')
        return (unsigned char)c;
    if (name->end - name->pos < 2)
        return -1;
    int high = hex_digit(name->pos[0]);
    int low = hex_digit(name->pos[1]);
    name->pos += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_name(struct rule_text name)
{
    if (name.pos == name.end)
        return false;
    while (name.pos < name.end)
        if (next_char(&name) <= 0)
            return false;
    return true;
}

static bool is_equal(struct rule_text name, const char *text)
{
    while (name.pos < name.end) {
        int c = next_char(&name);
        if (c != (unsigned char)*text || *text == '\0')
            return false;
        text++;
    }
    return *text == '\0';
}

static bool read_condition(struct rule_text condition, struct pool_rule *rule)
{
    struct rule_text *part = NULL;
    if (take_word(&condition, "application="))
        part = &rule->application;
    else if (take_word(&condition, "user="))
        part = &rule->user;
    if (part == NULL || part->pos != NULL || !is_name(condition))
        return false;
    *part = condition;
    return true;
}

static bool read_rule(struct rule_text text, struct pool_rule *rule)
{
    *rule = (struct pool_rule){.mode = CONFIG_SESSION};
    if (take_word(&text, "shared "))
        rule->mode = CONFIG_SHARED;
    else if (!take_word(&text, "session "))
        return false;
    do {
        if (!read_condition(take(&text, ','), rule))
            return false;
    } while (text.pos < text.end);
    return text.end[-1] != ',';
}

/* Reads the next rule that is not empty. False at the end or (`broken`) at an invalid rule. */
static bool next_rule(struct rule_text *rest, struct pool_rule *rule, bool *broken)
{
    while (rest->pos < rest->end) {
        struct rule_text text = take(rest, ';');
        if (text.pos == text.end)
            continue;
        *broken = !read_rule(text, rule);
        return !*broken;
    }
    return false;
}

bool pool_rules_are_valid(const char *text)
{
    struct rule_text rest = {text, text + strlen(text)};
    struct pool_rule rule;
    bool broken = false;
    while (next_rule(&rest, &rule, &broken))
        ;
    return !broken;
}

enum config_pool_mode config_pool_mode_of(const struct config *config, const char *application,
                                          const char *users)
{
    const char *text = config->pool.rules;
    struct rule_text rest = {text, text + strlen(text)};
    struct pool_rule rule;
    bool broken = false;
    while (next_rule(&rest, &rule, &broken)) {
        bool fits = (rule.application.pos == NULL || is_equal(rule.application, application)) &&
                    (rule.user.pos == NULL || is_equal(rule.user, users));
        if (fits)
            return rule.mode;
    }
    return config->pool.mode;
}

bool config_pool_may_share(const struct config *config, const char *application)
{
    const char *text = config->pool.rules;
    struct rule_text rest = {text, text + strlen(text)};
    struct pool_rule rule;
    bool broken = false;
    if (config->pool.mode == CONFIG_SHARED)
        return true;
    while (next_rule(&rest, &rule, &broken))
        if (rule.mode == CONFIG_SHARED &&
            (rule.application.pos == NULL || is_equal(rule.application, application)))
            return true;
    return false;
}
