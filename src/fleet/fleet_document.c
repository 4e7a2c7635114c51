#include "fleet/fleet_document.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

const char *const fleet_action_names[] = {"push",   "push candidate", "promote", "rollback",
                                          "retire", "settings",       NULL};

/* MongoDB's rules: a database name has none of / \\ . " $ * < > : | ? and no space, and a namespace
 * has no NUL. */
bool fleet_is_namespace(const char *ns, size_t len)
{
    size_t database = strcspn(ns, ".");
    if (strlen(ns) != len || len > FLEET_NS_BYTES_MAX || database == 0 || database > 63 ||
        database + 1 >= len)
        return false;
    return strcspn(ns, "/\\\" $*<>:|?") >= database && ns[database + 1] != '.';
}

/* --- life --------------------------------------------------------------------------------------
 */

static void release_version(struct fleet_version *version)
{
    memory_free(version->name);
    memory_free(version->text);
    memory_free(version->by);
}

static void release_step(struct fleet_step *step)
{
    memory_free(step->by);
    memory_free(step->note);
}

void fleet_document_free(struct fleet_document *document)
{
    if (document == NULL)
        return;
    for (size_t i = 0; i < document->version_count; i++)
        release_version(&document->versions[i]);
    for (size_t i = 0; i < document->step_count; i++)
        release_step(&document->steps[i]);
    memory_free(document->versions);
    memory_free(document->steps);
    memory_free(document->ns);
    memory_free(document);
}

struct fleet_document *fleet_document_new(const char *ns)
{
    struct fleet_document *document = memory_zalloc(sizeof *document);
    if (document == NULL)
        return NULL;
    *document = (struct fleet_document){.state = {.allow_bypass = true}};
    document->ns = memory_copy_string(ns);
    if (document->ns != NULL)
        return document;
    memory_free(document);
    return NULL;
}

/* Copies NULL as NULL. */
static bool copy_text(const char *from, char **to)
{
    *to = from == NULL ? NULL : memory_copy_string(from);
    return from == NULL || *to != NULL;
}

struct fleet_document *fleet_document_copy(const struct fleet_document *from)
{
    struct fleet_document *copy = fleet_document_new(from->ns);
    if (copy == NULL)
        return NULL;
    copy->revision = from->revision;
    copy->updated_ms = from->updated_ms;
    copy->state = from->state;
    copy->versions = memory_array(from->version_count + 1, sizeof *copy->versions);
    copy->steps = memory_array(from->step_count + 1, sizeof *copy->steps);
    bool ok = copy->versions != NULL && copy->steps != NULL;
    for (size_t i = 0; ok && i < from->version_count; i++, copy->version_count++) {
        struct fleet_version *to = &copy->versions[i];
        *to = from->versions[i];
        to->text = to->by = NULL;
        ok = copy_text(from->versions[i].name, &to->name);
        ok = copy_text(from->versions[i].text, &to->text) && ok;
        ok = copy_text(from->versions[i].by, &to->by) && ok;
    }
    for (size_t i = 0; ok && i < from->step_count; i++, copy->step_count++) {
        struct fleet_step *to = &copy->steps[i];
        *to = from->steps[i];
        ok = copy_text(from->steps[i].by, &to->by);
        ok = copy_text(from->steps[i].note, &to->note) && ok;
    }
    if (ok)
        return copy;
    fleet_document_free(copy);
    return NULL;
}

/* --- finding -----------------------------------------------------------------------------------
 */

const struct fleet_version *fleet_version_find(const struct fleet_document *document,
                                               int32_t number)
{
    for (size_t i = 0; i < document->version_count; i++)
        if (document->versions[i].number == number)
            return &document->versions[i];
    return NULL;
}

bool fleet_version_is_used(const struct fleet_state *state, int32_t number)
{
    for (size_t i = 0; i < state->accepted_count; i++)
        if (state->accepted[i].version == number)
            return true;
    return state->candidate == number;
}

static bool is_called(const struct fleet_version *version, const char *name)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", version->number);
    return strcmp(name, number) == 0 || (name[0] == 'v' && strcmp(name + 1, number) == 0) ||
           (version->name != NULL && strcmp(name, version->name) == 0) ||
           (strlen(name) >= 4 && strncmp(version->hash, name, strlen(name)) == 0);
}

const struct fleet_version *fleet_version_named(const struct fleet_document *document,
                                                const char *name, struct error *err)
{
    const struct fleet_version *found = NULL;
    const struct fleet_state *state = &document->state;
    if (strcmp(name, "candidate") == 0)
        found = fleet_version_find(document, state->candidate);
    else if (strcmp(name, "newest") == 0 && state->accepted_count > 0)
        found = fleet_version_find(document, state->accepted[0].version);
    for (size_t i = 0; found == NULL && i < document->version_count; i++)
        if (document->versions[i].name != NULL && strcmp(document->versions[i].name, name) == 0)
            return &document->versions[i];
    for (size_t i = 0; i < document->version_count; i++) {
        if (!is_called(&document->versions[i], name))
            continue;
        if (found != NULL && found != &document->versions[i]) {
            (void)error_set(err, ERROR_BAD_VALUE, "%s: '%.80s' matches more than one version",
                            document->ns, name);
            return NULL;
        }
        found = &document->versions[i];
    }
    if (found == NULL)
        (void)error_set(err, ERROR_BAD_VALUE,
                        strcmp(name, "candidate") == 0
                            ? "%s has no candidate; push one with --candidate"
                            : "%s has no version '%.80s'; `schema history` lists its versions",
                        document->ns, name);
    return found;
}
