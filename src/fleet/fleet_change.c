#include "fleet/fleet_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static enum fleet_outcome no_memory(struct error *err)
{
    (void)error_no_memory(err, "the change of a document");
    return FLEET_IMPOSSIBLE;
}

static bool state_is_same(const struct fleet_state *a, const struct fleet_state *b)
{
    if (a->level != b->level || a->action != b->action ||
        a->reject_unproved != b->reject_unproved || a->allow_bypass != b->allow_bypass ||
        a->candidate != b->candidate || a->accepted_count != b->accepted_count)
        return false;
    for (size_t i = 0; i < a->accepted_count; i++)
        if (a->accepted[i].version != b->accepted[i].version ||
            a->accepted[i].until_ms != b->accepted[i].until_ms)
            return false;
    return true;
}

/* --- the next revision -------------------------------------------------------------------------
 */

static void drop_oldest_step(struct fleet_document *document)
{
    memory_free(document->steps[0].by);
    memory_free(document->steps[0].note);
    memmove(document->steps, document->steps + 1, --document->step_count * sizeof *document->steps);
}

/* Takes over `state` as the document's, and writes down that it did. */
static enum fleet_outcome take_step(struct fleet_document *document, enum fleet_action action,
                                    const struct fleet_state *state,
                                    const struct fleet_author *author, struct error *err)
{
    if (document->revision > 0 && state_is_same(state, &document->state))
        return FLEET_UNCHANGED;
    while (document->step_count >= FLEET_HISTORY_MAX)
        drop_oldest_step(document);
    struct fleet_step *bigger =
        memory_resize(document->steps, (document->step_count + 1) * sizeof *bigger);
    if (bigger == NULL)
        return no_memory(err);
    document->steps = bigger;
    struct fleet_step *step = &bigger[document->step_count];
    *step = (struct fleet_step){.revision = document->revision + 1,
                                .at_ms = author->at_ms,
                                .action = action,
                                .by = memory_copy_string(author->by),
                                .state = *state};
    if (author->note != NULL)
        step->note = memory_copy_string(author->note);
    document->step_count++;
    if (step->by == NULL || (author->note != NULL && step->note == NULL))
        return no_memory(err);
    document->state = *state;
    document->revision = step->revision;
    document->updated_ms = author->at_ms;
    return FLEET_CHANGED;
}

/* --- accepted versions -------------------------------------------------------------------------
 */

static void remove_accepted(struct fleet_state *state, int32_t version)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->accepted_count; i++)
        if (state->accepted[i].version != version)
            state->accepted[kept++] = state->accepted[i];
    state->accepted_count = kept;
}

/* Removes accepted versions whose end has passed. */
static void remove_ended(struct fleet_state *state, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->accepted_count; i++)
        if (state->accepted[i].until_ms == 0 || state->accepted[i].until_ms > now_ms)
            state->accepted[kept++] = state->accepted[i];
    state->accepted_count = kept;
}

/* Makes the version the newest. An earlier end that was set before stays. */
static bool put_newest(const struct fleet_document *document, struct fleet_state *state,
                       int32_t version, int64_t until_ms, bool retire_others, struct error *err)
{
    bool is_newest = state->accepted_count > 0 && state->accepted[0].version == version;
    if (state->candidate == version)
        state->candidate = 0;
    if (is_newest && !retire_others && until_ms == 0)
        return true;
    remove_accepted(state, version);
    if (retire_others)
        state->accepted_count = 0;
    for (size_t i = 0; i < state->accepted_count; i++)
        if (until_ms != 0 &&
            (state->accepted[i].until_ms == 0 || state->accepted[i].until_ms > until_ms))
            state->accepted[i].until_ms = until_ms;
    if (state->accepted_count == FLEET_ACCEPTED_MAX)
        return error_set(err, ERROR_BAD_VALUE,
                         "%s accepts %d versions already; retire one first (schema retire)",
                         document->ns, FLEET_ACCEPTED_MAX);
    memmove(state->accepted + 1, state->accepted, state->accepted_count * sizeof *state->accepted);
    state->accepted[0] = (struct fleet_accepted){.version = version};
    state->accepted_count++;
    return true;
}

enum fleet_outcome fleet_promote(struct fleet_document *document, const char *version,
                                 int64_t until_ms, bool retire_others,
                                 const struct fleet_author *author, struct error *err)
{
    struct fleet_state state = document->state;
    const struct fleet_version *found = fleet_version_named(document, version, err);
    if (found == NULL)
        return FLEET_IMPOSSIBLE;
    remove_ended(&state, author->at_ms);
    if (!put_newest(document, &state, found->number, until_ms, retire_others, err))
        return FLEET_IMPOSSIBLE;
    return take_step(document, FLEET_PROMOTE, &state, author, err);
}

enum fleet_outcome fleet_rollback(struct fleet_document *document, int64_t revision,
                                  const struct fleet_author *author, struct error *err)
{
    const struct fleet_step *found = NULL;
    for (size_t i = 0; i < document->step_count; i++)
        if (document->steps[i].revision == (revision == 0 ? document->revision - 1 : revision))
            found = &document->steps[i];
    if (found == NULL && revision == 0)
        (void)error_set(err, ERROR_BAD_VALUE, "%s has no earlier revision", document->ns);
    else if (found == NULL)
        (void)error_set(err, ERROR_BAD_VALUE,
                        "the history of %s does not hold revision %" PRId64
                        "; `schema history` lists them",
                        document->ns, revision);
    if (found == NULL)
        return FLEET_IMPOSSIBLE;
    struct fleet_state state = found->state;
    remove_ended(&state, author->at_ms);
    bool known = state.candidate == 0 || fleet_version_find(document, state.candidate) != NULL;
    for (size_t i = 0; i < state.accepted_count; i++)
        known = known && fleet_version_find(document, state.accepted[i].version) != NULL;
    if (!known) {
        (void)error_set(err, ERROR_BAD_VALUE,
                        "%s: revision %" PRId64
                        " has versions whose schemas the registry no longer keeps",
                        document->ns, found->revision);
        return FLEET_IMPOSSIBLE;
    }
    return take_step(document, FLEET_ROLLBACK, &state, author, err);
}

enum fleet_outcome fleet_retire(struct fleet_document *document, const char *version, int64_t at_ms,
                                const struct fleet_author *author, struct error *err)
{
    struct fleet_state state = document->state;
    const struct fleet_version *found = fleet_version_named(document, version, err);
    if (found == NULL)
        return FLEET_IMPOSSIBLE;
    if (state.accepted_count > 0 && state.accepted[0].version == found->number) {
        (void)error_set(err, ERROR_BAD_VALUE,
                        "%s: version %d is the newest; promote another first, or retire --all to "
                        "end the enforcement of the namespace",
                        document->ns, found->number);
        return FLEET_IMPOSSIBLE;
    }
    if (at_ms == 0) {
        remove_accepted(&state, found->number);
        if (state.candidate == found->number)
            state.candidate = 0;
    }
    for (size_t i = 0; at_ms != 0 && i < state.accepted_count; i++)
        if (state.accepted[i].version == found->number)
            state.accepted[i].until_ms = at_ms;
    return take_step(document, FLEET_RETIRE, &state, author, err);
}

enum fleet_outcome fleet_retire_others(struct fleet_document *document,
                                       const struct fleet_author *author, struct error *err)
{
    struct fleet_state state = document->state;
    state.accepted_count = state.accepted_count > 0;
    return take_step(document, FLEET_RETIRE, &state, author, err);
}

enum fleet_outcome fleet_retire_all(struct fleet_document *document,
                                    const struct fleet_author *author, struct error *err)
{
    struct fleet_state state = document->state;
    state.accepted_count = 0;
    state.candidate = 0;
    return take_step(document, FLEET_RETIRE, &state, author, err);
}

/* --- a new version -----------------------------------------------------------------------------
 */

/* Makes room for one version: drops the oldest one that no proxy uses. */
static bool drop_unused(struct fleet_document *document, const struct fleet_state *state)
{
    size_t at = 0;
    while (at < document->version_count &&
           (fleet_version_is_used(state, document->versions[at].number) ||
            fleet_version_is_used(&document->state, document->versions[at].number)))
        at++;
    if (at == document->version_count)
        return false;
    memory_free(document->versions[at].name);
    memory_free(document->versions[at].text);
    memory_free(document->versions[at].by);
    document->version_count--;
    memmove(document->versions + at, document->versions + at + 1,
            (document->version_count - at) * sizeof *document->versions);
    return true;
}

static size_t bytes_of_versions(const struct fleet_document *document)
{
    size_t bytes = 0;
    for (size_t i = 0; i < document->version_count; i++)
        bytes += strlen(document->versions[i].text) + 1024;
    return bytes;
}

static bool make_room(struct fleet_document *document, size_t text_len, struct error *err)
{
    while (document->version_count >= FLEET_VERSIONS_MAX ||
           bytes_of_versions(document) + text_len + 1024 > FLEET_BYTES_MAX)
        if (!drop_unused(document, &document->state))
            return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT,
                             "%s: its accepted versions fill its document (%zu MiB, %d versions); "
                             "retire one first",
                             document->ns, FLEET_BYTES_MAX >> 20, FLEET_VERSIONS_MAX);
    return true;
}

static bool add_version(struct fleet_document *document, const struct fleet_push *push,
                        const struct fleet_author *author, int32_t *number, struct error *err)
{
    if (!make_room(document, push->text_len, err))
        return false;
    struct fleet_version *bigger =
        memory_resize(document->versions, (document->version_count + 1) * sizeof *bigger);
    if (bigger == NULL)
        return error_no_memory(err, "the change of a document");
    document->versions = bigger;
    *number = document->version_count == 0 ? 1 : bigger[document->version_count - 1].number + 1;
    struct fleet_version *version = &bigger[document->version_count];
    *version = (struct fleet_version){.number = *number,
                                      .dialect = push->dialect,
                                      .text = memory_alloc(push->text_len + 1),
                                      .at_ms = author->at_ms,
                                      .by = memory_copy_string(author->by)};
    if (push->name != NULL)
        version->name = memory_copy_string(push->name);
    (void)snprintf(version->hash, sizeof version->hash, "%s", push->hash);
    document->version_count++;
    if (version->text == NULL || version->by == NULL ||
        (push->name != NULL && version->name == NULL))
        return error_no_memory(err, "the change of a document");
    memcpy(version->text, push->text, push->text_len);
    version->text[push->text_len] = 0;
    return true;
}

static bool check_name(const struct fleet_document *document, const struct fleet_push *push,
                       struct error *err)
{
    if (push->name == NULL)
        return true;
    size_t len = strlen(push->name);
    if (len == 0 || len > FLEET_NAME_BYTES_MAX)
        return error_set(err, ERROR_BAD_VALUE, "the name of a version has 1 to %d bytes",
                         FLEET_NAME_BYTES_MAX);
    if (push->name[strspn(push->name, "0123456789")] == 0 ||
        (push->name[0] == 'v' && push->name[1 + strspn(push->name + 1, "0123456789")] == 0) ||
        strcmp(push->name, "candidate") == 0 || strcmp(push->name, "newest") == 0)
        return error_set(err, ERROR_BAD_VALUE,
                         "the name '%s' looks like a version's number or position", push->name);
    for (size_t i = 0; i < document->version_count; i++)
        if (document->versions[i].name != NULL &&
            strcmp(document->versions[i].name, push->name) == 0)
            return error_set(err, ERROR_BAD_VALUE, "%s has a version named '%s': version %d",
                             document->ns, push->name, document->versions[i].number);
    return true;
}

/* The stored version with this schema; 0 if there is none. */
static int32_t find_same(const struct fleet_document *document, const struct fleet_push *push)
{
    for (size_t i = 0; i < document->version_count; i++)
        if (document->versions[i].dialect == push->dialect &&
            strcmp(document->versions[i].hash, push->hash) == 0)
            return document->versions[i].number;
    return 0;
}

enum fleet_outcome fleet_push(struct fleet_document *document, const struct fleet_push *push,
                              const struct fleet_author *author, struct error *err)
{
    struct fleet_state state = document->state;
    int32_t number = find_same(document, push);
    bool is_new = number == 0;
    if (is_new &&
        (!check_name(document, push, err) || !add_version(document, push, author, &number, err)))
        return FLEET_IMPOSSIBLE;
    remove_ended(&state, author->at_ms);
    if (push->as_candidate && state.accepted_count == 0) {
        (void)error_set(
            err, ERROR_BAD_VALUE,
            "%s accepts no version yet, and a candidate needs an accepted version. Push it without "
            "--candidate; with \"action\": \"warn\" in its file, the proxies refuse nothing",
            document->ns);
        return FLEET_IMPOSSIBLE;
    }
    if (push->as_candidate) {
        if (state.accepted_count > 0 && state.accepted[0].version == number)
            return FLEET_UNCHANGED;
        state.candidate = number;
        return take_step(document, FLEET_PUSH_CANDIDATE, &state, author, err);
    }
    state.level = push->level;
    state.action = push->action;
    state.reject_unproved = push->reject_unproved;
    state.allow_bypass = push->allow_bypass;
    bool was_newest = state.accepted_count > 0 && state.accepted[0].version == number;
    if (!put_newest(document, &state, number, push->until_ms, push->retire_others, err))
        return FLEET_IMPOSSIBLE;
    return take_step(document, was_newest ? FLEET_SETTINGS : FLEET_PUSH, &state, author, err);
}
