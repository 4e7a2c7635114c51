#include "main/verifier_link.h"

#include <string.h>

#include "base/log.h"

/* False: verifiers are off. */
static bool read_settings(const struct config *config, const struct uri *upstream,
                          struct verifier_source_settings *out)
{
    const char *verifiers = config->auth.verifiers;
    if (verifiers[0] == 0 || strcmp(verifiers, "none") == 0)
        return false;
    *out = (struct verifier_source_settings){.upstream = upstream,
                                             .file = strcmp(verifiers, "upstream") == 0 ? NULL
                                                                                        : verifiers,
                                             .max_age_ms = config->auth.verifiers_max_age_ms,
                                             .away_use_ms = config->auth.verifiers_away_ms};
    return true;
}

bool verifier_link_start(const struct config *config, const struct uri *upstream,
                         void (*answered)(void *arg), void *arg, struct verifier_source **out,
                         struct error *err)
{
    struct verifier_source_settings settings;
    *out = NULL;
    if (!read_settings(config, upstream, &settings))
        return true;
    if (config->pool.mode == CONFIG_SESSION && config->pool.rules[0] == 0)
        LOG_W(LOG_ACCESS, 2017, "verifiers",
              "auth.verifiers has no effect: no client is in shared mode (pool.mode, pool.rules)");
    settings.answered = answered;
    settings.arg = arg;
    *out = verifier_source_start(&settings, err);
    return *out != NULL;
}

bool verifier_link_check(const struct config *config, const struct uri *upstream, bool *away,
                         struct error *err)
{
    struct verifier_source_settings settings;
    *away = false;
    return !read_settings(config, upstream, &settings) ||
           verifier_source_check(&settings, away, err);
}
