#include "config/limit_rules.h"

#include <string.h>

#include "config/config.h"
#include "config/rule_text.h"

enum { LIMIT_MAX = 1000000000 };

static const char *const limit_words[CONFIG_LIMITS] = {[CONFIG_LIMIT_CONNECTIONS] = "connections=",
                                                       [CONFIG_LIMIT_REQUESTS] = "requests=",
                                                       [CONFIG_LIMIT_DOCUMENTS] = "documents="};

struct limit_rule {
    int64_t limits[CONFIG_LIMITS]; /* 0: none */
    struct rule_text application;  /* pos NULL: any */
    struct rule_text user;
};

static bool read_number(struct rule_text text, int64_t *out)
{
    *out = 0;
    if (text.pos == text.end)
        return false;
    for (; text.pos < text.end; text.pos++) {
        if (*text.pos < '0' || *text.pos > '9')
            return false;
        *out = *out * 10 + (*text.pos - '0');
        if (*out > LIMIT_MAX)
            return false;
    }
    return *out > 0;
}

static bool read_limit(struct rule_text text, struct limit_rule *rule)
{
    for (unsigned i = 0; i < CONFIG_LIMITS; i++)
        if (rule_take_word(&text, limit_words[i]))
            return rule->limits[i] == 0 && read_number(text, &rule->limits[i]);
    return false;
}

static bool read_condition(struct rule_text text, struct limit_rule *rule)
{
    return rule_read_condition(text, &rule->application, &rule->user);
}

static bool read_list(struct rule_text text, struct limit_rule *rule,
                      bool (*read)(struct rule_text text, struct limit_rule *rule))
{
    if (text.pos == text.end || text.end[-1] == ',')
        return false;
    while (text.pos < text.end)
        if (!read(rule_take(&text, ','), rule))
            return false;
    return true;
}

/* The limits hold no space: the first one ends them. */
static bool read_rule(struct rule_text text, struct limit_rule *rule)
{
    *rule = (struct limit_rule){0};
    struct rule_text limits = rule_take(&text, ' ');
    struct rule_text conditions = rule_take(&text, ';');
    return read_list(limits, rule, read_limit) && read_list(conditions, rule, read_condition);
}

/* Reads the next rule. False at the end or (`broken`) at an invalid rule. */
static bool next_rule(struct rule_text *rest, struct limit_rule *rule, bool *broken)
{
    struct rule_text text;
    if (!rule_take_next(rest, &text))
        return false;
    *broken = !read_rule(text, rule);
    return !*broken;
}

bool limit_rules_are_valid(const char *text)
{
    struct rule_text rest = {text, text + strlen(text)};
    struct limit_rule rule;
    unsigned count = 0;
    bool broken = false;
    while (next_rule(&rest, &rule, &broken))
        count++;
    return !broken && count <= CONFIG_LIMIT_RULES_MAX;
}

/* The name that the rule counts apart; "" if it counts all in one. */
static bool fits(struct rule_text name, const char *text, const char **apart)
{
    *apart = "";
    if (name.pos == NULL)
        return true;
    if (!rule_is_equal(name, "*"))
        return rule_is_equal(name, text);
    *apart = text;
    return text[0] != 0;
}

size_t config_find_limits(const struct config *config, const char *application, const char *users,
                          struct config_limit out[CONFIG_LIMIT_RULES_MAX])
{
    const char *text = config->limits.rules;
    struct rule_text rest = {text, text + strlen(text)};
    struct limit_rule rule;
    size_t count = 0;
    bool broken = false;
    for (unsigned number = 1; next_rule(&rest, &rule, &broken); number++) {
        struct config_limit limit = {.number = number};
        if (!fits(rule.application, application, &limit.application) ||
            !fits(rule.user, users, &limit.user))
            continue;
        memcpy(limit.of, rule.limits, sizeof limit.of);
        out[count++] = limit;
    }
    return count;
}
