#include "fleet/fleet_render.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- writing -----------------------------------------------------------------------------------
 */

static void add_settings(const struct fleet_document *document, enum schema_dialect dialect,
                         struct text *out)
{
    const struct fleet_state *state = &document->state;
    text_add(out, "{\n  \"ns\": ");
    text_add_json_string(out, document->ns);
    text_format(out,
                ",\n  \"dialect\": \"%s\",\n  \"level\": \"%s\",\n  \"action\": \"%s\",\n"
                "  \"unproved\": \"%s\",\n  \"allow_bypass\": %s",
                schema_dialect_names[dialect], schema_level_names[state->level],
                schema_action_names[state->action], state->reject_unproved ? "reject" : "allow",
                state->allow_bypass ? "true" : "false");
}

static void add_name(const struct fleet_version *version, struct text *out)
{
    if (version->name != NULL)
        text_add_json_string(out, version->name);
    else
        text_format(out, "\"v%d\"", version->number);
}

static void add_version(const struct fleet_document *document, int32_t number, int64_t until_ms,
                        enum schema_dialect dialect, struct text *out)
{
    const struct fleet_version *version = fleet_version_find(document, number);
    text_add(out, "{\"name\": ");
    add_name(version, out);
    if (version->dialect != dialect)
        text_format(out, ", \"dialect\": \"%s\"", schema_dialect_names[version->dialect]);
    if (until_ms != 0)
        text_format(out, ", \"accepted_until\": {\"$date\": {\"$numberLong\": \"%" PRId64 "\"}}",
                    until_ms);
    text_add(out, ", \"schema\": ");
    text_add(out, version->text);
    text_add(out, "}");
}

static void write_file(const struct fleet_document *document, struct text *out)
{
    const struct fleet_state *state = &document->state;
    const struct fleet_version *newest = fleet_version_find(document, state->accepted[0].version);
    add_settings(document, newest->dialect, out);
    if (state->accepted_count == 1) {
        text_add(out, ",\n  \"name\": ");
        add_name(newest, out);
        text_add(out, ",\n  \"schema\": ");
        text_add(out, newest->text);
    } else {
        text_add(out, ",\n  \"versions\": [");
        for (size_t i = 0; i < state->accepted_count; i++) {
            text_add(out, i == 0 ? "\n    " : ",\n    ");
            add_version(document, state->accepted[i].version, state->accepted[i].until_ms,
                        newest->dialect, out);
        }
        text_add(out, "\n  ]");
    }
    if (state->candidate != 0) {
        text_add(out, ",\n  \"candidate\": ");
        add_version(document, state->candidate, 0, newest->dialect, out);
    }
    text_add(out, "\n}\n");
}

/* --- checking ----------------------------------------------------------------------------------
 */

static bool is_version(const struct schema_version *read, const struct fleet_version *version)
{
    return read->dialect == version->dialect && strcmp(read->hash, version->hash) == 0;
}

/* Reads the rendered file again and compares it with the document, so that no schema's text can
 * reach out of its place. */
static bool check_file(const struct fleet_document *document, const struct text *text,
                       const struct fleet_accepted *accepted, size_t count, int32_t candidate,
                       struct error *err)
{
    struct schema_file file;
    struct error why = {0};
    int32_t wrong = 0;
    if (text->cut)
        return error_no_memory(err, "the schema file");
    if (!schema_file_parse(text->data, text->len, NULL, NULL, &file, &why))
        return error_set(err, why.code, "the schema file would have errors: %.400s", why.message);
    bool same = file.ns != NULL && strcmp(file.ns, document->ns) == 0 &&
                file.level == document->state.level && file.action == document->state.action &&
                file.version_count == count && (file.candidate.schema != NULL) == (candidate != 0);
    for (size_t i = 0; same && i < count && wrong == 0; i++)
        if (!is_version(&file.versions[i], fleet_version_find(document, accepted[i].version)))
            wrong = accepted[i].version;
    if (same && candidate != 0 && wrong == 0 &&
        !is_version(&file.candidate, fleet_version_find(document, candidate)))
        wrong = candidate;
    schema_file_release(&file);
    if (!same)
        return error_set(err, ERROR_BAD_VALUE,
                         "the text of a schema holds more than one JSON object");
    return wrong == 0 || error_set(err, ERROR_BAD_VALUE,
                                   "the schema of version %d does not match its hash", wrong);
}

bool fleet_render(const struct fleet_document *document, struct text *out, struct error *err)
{
    if (fleet_is_empty(document))
        return error_set(err, ERROR_BAD_VALUE, "%s accepts no version", document->ns);
    write_file(document, out);
    const struct fleet_state *state = &document->state;
    return check_file(document, out, state->accepted, state->accepted_count, state->candidate, err);
}

bool fleet_render_version(const struct fleet_document *document,
                          const struct fleet_version *version, struct text *out, struct error *err)
{
    const struct fleet_accepted accepted = {.version = version->number};
    add_settings(document, version->dialect, out);
    text_add(out, ",\n  \"schema\": ");
    text_add(out, version->text);
    text_add(out, "\n}\n");
    return check_file(document, out, &accepted, 1, 0, err);
}

/* --- a schema's text ---------------------------------------------------------------------------
 */

static size_t skip_space(const char *text, size_t len, size_t at)
{
    while (at < len && strchr(" \t\r\n", text[at]) != NULL && text[at] != 0)
        at++;
    return at;
}

/* The position after the string that begins at `at`. */
static size_t skip_string(const char *text, size_t len, size_t at)
{
    for (at++; at < len && text[at] != '"'; at++)
        if (text[at] == '\\')
            at++;
    return at < len ? at + 1 : len;
}

/* The position after the value that begins at `at`. Counts brackets only: the text is valid JSON.
 */
static size_t skip_value(const char *text, size_t len, size_t at)
{
    size_t depth = 0;
    while (at < len) {
        char c = text[at];
        if (c == '"') {
            at = skip_string(text, len, at);
            if (depth == 0)
                return at;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return at;
        if (c == '{' || c == '[')
            depth++;
        if ((c == '}' || c == ']') && --depth == 0)
            return at + 1;
        at++;
    }
    return len;
}

bool fleet_find_schema_text(const char *text, size_t len, const char **start, size_t *schema_len)
{
    static const char wanted[] = "\"schema\"";
    size_t at = skip_space(text, len, 0);
    if (at >= len || text[at] != '{')
        return false;
    at = skip_space(text, len, at + 1);
    while (at < len && text[at] == '"') {
        size_t name = at;
        at = skip_string(text, len, at);
        bool found = at - name == sizeof wanted - 1 && memcmp(text + name, wanted, at - name) == 0;
        at = skip_space(text, len, at);
        if (at >= len || text[at] != ':')
            return false;
        at = skip_space(text, len, at + 1);
        size_t end = skip_value(text, len, at);
        if (found) {
            *start = text + at;
            *schema_len = end - at;
            return end > at && text[at] == '{';
        }
        at = skip_space(text, len, end);
        if (at >= len || text[at] != ',')
            return false;
        at = skip_space(text, len, at + 1);
    }
    return false;
}
