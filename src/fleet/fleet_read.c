/* Documents of the registry from BSON, and back. */
#include "fleet/fleet_document.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "enforce/reason.h"

struct fleet_reader {
    struct schema *format;
    struct schema_scratch *scratch;
};

struct fleet_reader *fleet_reader_new(struct error *err)
{
    bson_error_t why;
    struct fleet_reader *reader = memory_zalloc(sizeof *reader);
    bson_t *bson = bson_new_from_json((const uint8_t *)fleet_format_text, -1, &why);
    if (reader != NULL && bson != NULL) {
        reader->format = schema_compile(bytes_of(bson_get_data(bson), bson->len), SCHEMA_MONGODB,
                                        NULL, NULL, err);
        reader->scratch = schema_scratch_new();
    }
    bson_destroy(bson);
    if (reader != NULL && reader->format != NULL && reader->scratch != NULL)
        return reader;
    fleet_reader_free(reader);
    (void)error_no_memory(err, "a reader of the registry");
    return NULL;
}

void fleet_reader_free(struct fleet_reader *reader)
{
    if (reader == NULL)
        return;
    schema_free(reader->format);
    schema_scratch_free(reader->scratch);
    memory_free(reader);
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* The format is checked: a field has its type, and the first field of a name counts. */
static bool find(const bson_t *in, const char *name, bson_iter_t *at)
{
    return bson_iter_init_find(at, in, name);
}

static int64_t read_number(const bson_t *in, const char *name)
{
    bson_iter_t at;
    return find(in, name, &at) ? bson_iter_as_int64(&at) : 0;
}

static int64_t read_date(const bson_t *in, const char *name)
{
    bson_iter_t at;
    return find(in, name, &at) ? bson_iter_date_time(&at) : 0;
}

/* The text. *ok is false if it holds a NUL, or without memory. NULL: there is none. */
static char *read_text(const bson_t *in, const char *name, bool *ok)
{
    bson_iter_t at;
    uint32_t len = 0;
    if (!find(in, name, &at))
        return NULL;
    const char *text = bson_iter_utf8(&at, &len);
    char *copy = strlen(text) == len ? memory_copy_string(text) : NULL;
    *ok = *ok && copy != NULL;
    return copy;
}

static int read_name(const bson_t *in, const char *name, const char *const *names)
{
    bson_iter_t at;
    return find(in, name, &at) ? schema_name_index(names, bson_iter_utf8(&at, NULL)) : 0;
}

static bool open_child(const bson_iter_t *at, bson_t *child)
{
    const uint8_t *data = NULL;
    uint32_t len = 0;
    if (BSON_ITER_HOLDS_ARRAY(at))
        bson_iter_array(at, &len, &data);
    else
        bson_iter_document(at, &len, &data);
    return bson_init_static(child, data, len);
}

static bool open_field(const bson_t *in, const char *name, bson_t *child)
{
    bson_iter_t at;
    return find(in, name, &at) && open_child(&at, child);
}

static bool read_state(const bson_t *in, struct fleet_state *state)
{
    bson_t from;
    bson_t list;
    bson_t one;
    bson_iter_t at;
    if (!open_field(in, "state", &from) || !open_field(&from, "accepted", &list) ||
        !bson_iter_init(&at, &list))
        return false;
    *state = (struct fleet_state){
        .level = (enum schema_level)read_name(&from, "level", schema_level_names),
        .action = (enum schema_action)read_name(&from, "action", schema_action_names),
        .candidate = (int32_t)read_number(&from, "candidate")};
    state->allow_bypass = find(&from, "allow_bypass", &at) && bson_iter_bool(&at);
    state->reject_unproved =
        find(&from, "unproved", &at) && strcmp(bson_iter_utf8(&at, NULL), "reject") == 0;
    (void)bson_iter_init(&at, &list);
    while (bson_iter_next(&at) && open_child(&at, &one)) {
        if (state->accepted_count == FLEET_ACCEPTED_MAX)
            return false;
        state->accepted[state->accepted_count++] = (struct fleet_accepted){
            .version = (int32_t)read_number(&one, "version"), .until_ms = read_date(&one, "until")};
    }
    return true;
}

static bool read_version(const bson_t *in, struct fleet_version *version)
{
    bool ok = true;
    bson_iter_t at;
    *version = (struct fleet_version){
        .number = (int32_t)read_number(in, "version"),
        .dialect = (enum schema_dialect)read_name(in, "dialect", schema_dialect_names),
        .at_ms = read_date(in, "at")};
    version->name = read_text(in, "name", &ok);
    version->text = read_text(in, "schema", &ok);
    version->by = read_text(in, "by", &ok);
    if (find(in, "hash", &at))
        (void)snprintf(version->hash, sizeof version->hash, "%s", bson_iter_utf8(&at, NULL));
    return ok;
}

static bool read_step(const bson_t *in, struct fleet_step *step)
{
    bool ok = true;
    *step = (struct fleet_step){.revision = read_number(in, "revision"),
                                .at_ms = read_date(in, "at"),
                                .action =
                                    (enum fleet_action)read_name(in, "action", fleet_action_names)};
    step->by = read_text(in, "by", &ok);
    step->note = read_text(in, "note", &ok);
    return read_state(in, &step->state) && ok;
}

static bool read_versions(const bson_t *in, struct fleet_document *document)
{
    bson_t list;
    bson_t one;
    bson_iter_t at;
    if (!open_field(in, "versions", &list) || !bson_iter_init(&at, &list))
        return false;
    document->versions = memory_array(bson_count_keys(&list) + 1, sizeof *document->versions);
    bool ok = document->versions != NULL;
    while (ok && bson_iter_next(&at) && open_child(&at, &one))
        ok = read_version(&one, &document->versions[document->version_count++]);
    return ok;
}

static bool read_steps(const bson_t *in, struct fleet_document *document)
{
    bson_t list;
    bson_t one;
    bson_iter_t at;
    if (!open_field(in, "history", &list) || !bson_iter_init(&at, &list))
        return true; /* the reader did not ask for it */
    document->steps = memory_array(bson_count_keys(&list) + 1, sizeof *document->steps);
    bool ok = document->steps != NULL;
    while (ok && bson_iter_next(&at) && open_child(&at, &one))
        ok = read_step(&one, &document->steps[document->step_count++]);
    return ok;
}

/* Checks rules that the $jsonSchema cannot express. */
static bool check_references(const struct fleet_document *document, struct error *err)
{
    const struct fleet_state *state = &document->state;
    for (size_t i = 1; i < document->version_count; i++)
        if (document->versions[i - 1].number >= document->versions[i].number)
            return error_set(err, ERROR_BAD_VALUE, "the version numbers do not rise");
    for (size_t i = 0; i < state->accepted_count; i++) {
        int32_t number = state->accepted[i].version;
        if (fleet_version_find(document, number) == NULL)
            return error_set(err, ERROR_BAD_VALUE,
                             "state.accepted names version %d, which is not among versions",
                             number);
        for (size_t j = 0; j < i; j++)
            if (state->accepted[j].version == number)
                return error_set(err, ERROR_BAD_VALUE, "state.accepted names version %d twice",
                                 number);
    }
    if (state->accepted_count > 0 && state->accepted[0].until_ms != 0)
        return error_set(err, ERROR_BAD_VALUE, "the newest accepted version has an end (until)");
    if (state->candidate != 0 && fleet_version_find(document, state->candidate) == NULL)
        return error_set(err, ERROR_BAD_VALUE,
                         "state.candidate is version %d, which is not among versions",
                         state->candidate);
    return true;
}

static bool check_format(struct fleet_reader *reader, struct bytes bson, struct error *err)
{
    char reason[REGISTRY_REASON_BYTES] = "";
    struct build build;
    struct bytes info;
    struct error why = {0};
    enum schema_verdict verdict = schema_check(reader->format, reader->scratch, bson, &why);
    if (verdict == SCHEMA_VALID)
        return true;
    if (verdict != SCHEMA_INVALID)
        return error_set(err, ERROR_INVALID_BSON, "is not a document: %.200s", why.message);
    if (schema_explain(reader->format, reader->scratch, bson, &build, &info, &why))
        reason_write(info, reason);
    build_free(&build);
    return error_set(err, ERROR_DOCUMENT_VALIDATION_FAILURE,
                     "does not have the registry's form: %.200s", reason);
}

bool fleet_document_read(struct fleet_reader *reader, struct bytes bson,
                         struct fleet_document **out, struct error *err)
{
    bson_t in;
    bson_iter_t at;
    uint32_t len = 0;
    *out = NULL;
    if (!check_format(reader, bson, err))
        return false;
    if (!bson_init_static(&in, bson.pos, bytes_left(&bson)) || !find(&in, "_id", &at))
        return error_set(err, ERROR_INVALID_BSON, "is not a document");
    const char *ns = bson_iter_utf8(&at, &len);
    if (!fleet_is_namespace(ns, len))
        return error_set(err, ERROR_INVALID_NAMESPACE, "_id is not DATABASE.COLLECTION");
    struct fleet_document *document = fleet_document_new(ns);
    if (document == NULL)
        return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "cannot be read: out of memory");
    document->revision = read_number(&in, "revision");
    document->updated_ms = read_date(&in, "updated");
    bool ok = (read_state(&in, &document->state) && read_versions(&in, document) &&
               read_steps(&in, document)) ||
              error_set(err, ERROR_BAD_VALUE, "holds a text with a NUL, or memory is out");
    ok = ok && check_references(document, err);
    if (ok)
        *out = document;
    else
        fleet_document_free(document);
    return ok;
}

/* --- writing -----------------------------------------------------------------------------------
 */

static void write_state(bson_t *out, const char *name, const struct fleet_state *state)
{
    bson_t child;
    bson_t list;
    bson_t one;
    char index[16];
    const char *key = NULL;
    BSON_APPEND_DOCUMENT_BEGIN(out, name, &child);
    BSON_APPEND_UTF8(&child, "level", schema_level_names[state->level]);
    BSON_APPEND_UTF8(&child, "action", schema_action_names[state->action]);
    BSON_APPEND_UTF8(&child, "unproved", state->reject_unproved ? "reject" : "allow");
    BSON_APPEND_BOOL(&child, "allow_bypass", state->allow_bypass);
    BSON_APPEND_ARRAY_BEGIN(&child, "accepted", &list);
    for (size_t i = 0; i < state->accepted_count; i++) {
        (void)bson_uint32_to_string((uint32_t)i, &key, index, sizeof index);
        BSON_APPEND_DOCUMENT_BEGIN(&list, key, &one);
        BSON_APPEND_INT32(&one, "version", state->accepted[i].version);
        if (state->accepted[i].until_ms != 0)
            BSON_APPEND_DATE_TIME(&one, "until", state->accepted[i].until_ms);
        bson_append_document_end(&list, &one);
    }
    bson_append_array_end(&child, &list);
    if (state->candidate != 0)
        BSON_APPEND_INT32(&child, "candidate", state->candidate);
    bson_append_document_end(out, &child);
}

static void write_version(bson_t *out, const struct fleet_version *version)
{
    BSON_APPEND_INT32(out, "version", version->number);
    BSON_APPEND_UTF8(out, "dialect", schema_dialect_names[version->dialect]);
    BSON_APPEND_UTF8(out, "hash", version->hash);
    if (version->name != NULL)
        BSON_APPEND_UTF8(out, "name", version->name);
    BSON_APPEND_UTF8(out, "schema", version->text);
    BSON_APPEND_DATE_TIME(out, "at", version->at_ms);
    BSON_APPEND_UTF8(out, "by", version->by);
}

static void write_step(bson_t *out, const struct fleet_step *step)
{
    BSON_APPEND_INT64(out, "revision", step->revision);
    BSON_APPEND_DATE_TIME(out, "at", step->at_ms);
    BSON_APPEND_UTF8(out, "by", step->by);
    BSON_APPEND_UTF8(out, "action", fleet_action_names[step->action]);
    if (step->note != NULL)
        BSON_APPEND_UTF8(out, "note", step->note);
    write_state(out, "state", &step->state);
}

static size_t text_bytes(const struct fleet_document *document)
{
    size_t bytes = 0;
    for (size_t i = 0; i < document->version_count; i++)
        bytes += strlen(document->versions[i].text) + 1024;
    return bytes;
}

bool fleet_document_write(const struct fleet_document *document, bson_t *out, struct error *err)
{
    bson_t list;
    bson_t one;
    char index[16];
    const char *key = NULL;
    bson_init(out);
    if (text_bytes(document) > FLEET_BYTES_MAX)
        return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT,
                         "%s: its versions together exceed %zu MiB; retire some", document->ns,
                         FLEET_BYTES_MAX >> 20);
    BSON_APPEND_UTF8(out, "_id", document->ns);
    BSON_APPEND_INT32(out, "format", FLEET_FORMAT);
    BSON_APPEND_INT64(out, "revision", document->revision);
    BSON_APPEND_DATE_TIME(out, "updated", document->updated_ms);
    write_state(out, "state", &document->state);
    BSON_APPEND_ARRAY_BEGIN(out, "versions", &list);
    for (size_t i = 0; i < document->version_count; i++) {
        (void)bson_uint32_to_string((uint32_t)i, &key, index, sizeof index);
        BSON_APPEND_DOCUMENT_BEGIN(&list, key, &one);
        write_version(&one, &document->versions[i]);
        bson_append_document_end(&list, &one);
    }
    bson_append_array_end(out, &list);
    BSON_APPEND_ARRAY_BEGIN(out, "history", &list);
    for (size_t i = 0; i < document->step_count; i++) {
        (void)bson_uint32_to_string((uint32_t)i, &key, index, sizeof index);
        BSON_APPEND_DOCUMENT_BEGIN(&list, key, &one);
        write_step(&one, &document->steps[i]);
        bson_append_document_end(&list, &one);
    }
    bson_append_array_end(out, &list);
    return out->len <= FLEET_BYTES_MAX + (1 << 20) ||
           error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "%s: the document is too large",
                     document->ns);
}
