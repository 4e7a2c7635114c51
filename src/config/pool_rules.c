#include "config/pool_rules.h"

#include <string.h>

#include "config/config.h"
#include "config/rule_text.h"

struct pool_rule {
    enum config_pool_mode mode;
    struct rule_text application; /* pos NULL: any */
    struct rule_text user;
};

static bool read_rule(struct rule_text text, struct pool_rule *rule)
{
    *rule = (struct pool_rule){.mode = CONFIG_SESSION};
    if (rule_take_word(&text, "shared "))
        rule->mode = CONFIG_SHARED;
    else if (!rule_take_word(&text, "session "))
        return false;
    do {
        if (!rule_read_condition(rule_take(&text, ','), &rule->application, &rule->user))
            return false;
    } while (text.pos < text.end);
    return text.end[-1] != ',';
}

/* Reads the next rule. False at the end or (`broken`) at an invalid rule. */
static bool next_rule(struct rule_text *rest, struct pool_rule *rule, bool *broken)
{
    struct rule_text text;
    if (!rule_take_next(rest, &text))
        return false;
    *broken = !read_rule(text, rule);
    return !*broken;
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
        bool fits =
            (rule.application.pos == NULL || rule_is_equal(rule.application, application)) &&
            (rule.user.pos == NULL || rule_is_equal(rule.user, users));
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
            (rule.application.pos == NULL || rule_is_equal(rule.application, application)))
            return true;
    return false;
}
