#define PCRE2_CODE_UNIT_WIDTH 8
#include "schema/pattern.h"

#include "base/memory.h"
#include "schema/byte_class.h"

#include <pcre2.h>
#include <stdbool.h>

/* pcre2_compile has its own error code for it. */
#define OUT_OF_MEMORY 121

#define JIT_STACK_MIN ((size_t)32 * 1024)
#define JIT_STACK_MAX ((size_t)512 * 1024)

struct pattern {
    struct byte_class_row *row; /* owned; if it is set, code is not used */
    pcre2_code *code;           /* owned */
    bool jit;
};

struct pattern_scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    uint64_t document_steps; /* left for the document */
    uint64_t *command_steps; /* borrowed: left for the command; NULL: no limit */
    const char *cut_off;
};

static void *pcre_alloc(size_t size, void *unused)
{
    (void)unused;
    return memory_alloc(size);
}

static void pcre_release(void *block, void *unused)
{
    (void)unused;
    memory_free(block);
}

/* Servers before 6.1 have PCRE 8, which accepts two forms that PCRE2 refuses. */
static const char *older_meaning(int code)
{
    static const char bad_escape[] =
        "; MongoDB before 6.1 (PCRE 8) takes the letter itself, later servers (PCRE2) refuse it: "
        "leave out the backslash";
    static const char bad_range[] =
        "; MongoDB before 6.1 (PCRE 8) takes the hyphen itself, later servers (PCRE2) refuse it: "
        "write \\- for a hyphen";
    return code == 103 ? bad_escape : code == 150 ? bad_range : "";
}

static pcre2_code *compile(const char *text, size_t len, enum pattern_flavour flavour,
                           struct error *err)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    uint32_t options = PCRE2_UTF;
    if (flavour == PATTERN_PYDANTIC)
        options |= PCRE2_UCP | PCRE2_DOLLAR_ENDONLY;
    if (flavour == PATTERN_MONGODB_NAMES)
        options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP; /* the pattern itself must not enable them */
    pcre2_general_context *memory = pcre2_general_context_create(pcre_alloc, pcre_release, NULL);
    pcre2_compile_context *context = memory == NULL ? NULL : pcre2_compile_context_create(memory);
    pcre2_code *compiled = NULL;
    if (context != NULL)
        compiled = pcre2_compile((PCRE2_SPTR)text, len, options, &code, &offset, context);
    if (compiled == NULL && (context == NULL || code == OUT_OF_MEMORY)) {
        (void)error_no_memory(err, "a compiled pattern");
    } else if (compiled == NULL) {
        PCRE2_UCHAR why[160] = "";
        (void)pcre2_get_error_message(code, why, sizeof why);
        (void)error_set(err, ERROR_INVALID_REGEX,
                        "Regular expression is invalid: %s (at character %zu of the pattern)%s",
                        (const char *)why, (size_t)offset,
                        flavour == PATTERN_PYDANTIC ? "" : older_meaning(code));
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    return compiled;
}

struct pattern *pattern_new(const char *text, size_t len, enum pattern_flavour flavour,
                            struct error *err)
{
    struct pattern *pattern = memory_zalloc(sizeof *pattern);
    if (pattern == NULL) {
        (void)error_no_memory(err, "a compiled pattern");
        return NULL;
    }
    pattern->code = compile(text, len, flavour, err);
    if (pattern->code == NULL) {
        memory_free(pattern);
        return NULL;
    }
    pattern->row = byte_class_compile(text, len, flavour == PATTERN_PYDANTIC);
    pattern->jit =
        pattern->row == NULL && pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE) == 0;
    return pattern;
}

void pattern_free(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    byte_class_free(pattern->row);
    pcre2_code_free(pattern->code);
    memory_free(pattern);
}

size_t pattern_bytes(const struct pattern *pattern)
{
    size_t code = 0;
    size_t jit = 0;
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_SIZE, &code);
    (void)pcre2_pattern_info(pattern->code, PCRE2_INFO_JITSIZE, &jit);
    return sizeof *pattern + code + jit + byte_class_bytes(pattern->row);
}

const struct byte_class_row *pattern_row(const struct pattern *pattern)
{
    return pattern->row;
}

struct pattern_scratch *pattern_scratch_new(void)
{
    struct pattern_scratch *scratch = memory_zalloc(sizeof *scratch);
    if (scratch == NULL)
        return NULL;
    pcre2_general_context *memory = pcre2_general_context_create(pcre_alloc, pcre_release, NULL);
    if (memory != NULL) {
        scratch->data = pcre2_match_data_create(1, memory);
        scratch->context = pcre2_match_context_create(memory);
        scratch->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, memory);
        pcre2_general_context_free(memory);
    }
    if (scratch->data == NULL || scratch->context == NULL) {
        pattern_scratch_free(scratch);
        return NULL;
    }
    if (scratch->stack != NULL)
        pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
    pattern_scratch_reset(scratch);
    return scratch;
}

void pattern_scratch_free(struct pattern_scratch *scratch)
{
    if (scratch == NULL)
        return;
    pcre2_match_data_free(scratch->data);
    pcre2_match_context_free(scratch->context);
    pcre2_jit_stack_free(scratch->stack);
    memory_free(scratch);
}

void pattern_scratch_reset(struct pattern_scratch *scratch)
{
    scratch->document_steps = PATTERN_DOCUMENT_STEPS;
}

void pattern_scratch_share(struct pattern_scratch *scratch, uint64_t *steps)
{
    scratch->command_steps = steps;
}

const char *pattern_cut_off_reason(const struct pattern_scratch *scratch)
{
    return scratch->cut_off;
}

static int run(const struct pattern *pattern, const uint8_t *text, size_t len,
               struct pattern_scratch *scratch, uint32_t limit)
{
    (void)pcre2_set_match_limit(scratch->context, limit);
    if (pattern->jit)
        return pcre2_jit_match(pattern->code, text, len, 0, 0, scratch->data, scratch->context);
    return pcre2_match(pattern->code, text, len, 0, PCRE2_NO_UTF_CHECK, scratch->data,
                       scratch->context);
}

/* Charges these steps; false if not enough are left. */
static bool charge(struct pattern_scratch *scratch, uint64_t steps)
{
    if (scratch->document_steps < steps)
        scratch->cut_off = "patterns need more steps than are allowed for one document; make them "
                           "simpler, or the document smaller";
    else if (scratch->command_steps != NULL && *scratch->command_steps < steps)
        scratch->cut_off = "patterns need more steps than are allowed for one command; make them "
                           "simpler, or write fewer documents at once";
    else {
        scratch->document_steps -= steps;
        if (scratch->command_steps != NULL)
            *scratch->command_steps -= steps;
        return true;
    }
    return false;
}

static enum pattern_result cut_off(struct pattern_scratch *scratch)
{
    scratch->cut_off =
        "a pattern needs more steps than are allowed for one string; make it simpler";
    return PATTERN_CUT_OFF;
}

enum pattern_result pattern_match(const struct pattern *pattern, const uint8_t *text, size_t len,
                                  struct pattern_scratch *scratch)
{
    static const uint32_t limits[] = {PATTERN_CHEAP_LIMIT, PATTERN_MATCH_LIMIT};
    if (pattern->row != NULL)
        return byte_class_match(pattern->row, text, len, len) ? PATTERN_YES : PATTERN_NO;
    uint32_t tried = PATTERN_FREE_STEPS + PATTERN_FREE_STEPS_A_BYTE * (uint32_t)len;
    int result = run(pattern, text, len, scratch, tried);
    for (size_t i = 0; i < 2 && result == PCRE2_ERROR_MATCHLIMIT; i++) {
        if (limits[i] <= tried)
            continue;
        if (!charge(scratch, limits[i]))
            return PATTERN_CUT_OFF;
        tried = limits[i];
        result = run(pattern, text, len, scratch, tried);
    }
    if (result >= 0)
        return PATTERN_YES;
    return result == PCRE2_ERROR_NOMATCH ? PATTERN_NO : cut_off(scratch);
}
