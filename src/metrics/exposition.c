#include "metrics/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void exposition_family(struct text *out, const char *name, const char *type, const char *help)
{
    text_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_label_value(struct text *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            text_add(out, "\\n");
        else if (*value == '"' || *value == '\\')
            text_format(out, "\\%c", *value);
        else
            text_add_bytes(out, value, 1);
    }
}

static void add_labels(struct text *out, const struct exposition_label *labels, size_t count)
{
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        if (labels[i].name == NULL)
            continue;
        text_format(out, "%s%s=\"", first ? "{" : ",", labels[i].name);
        add_label_value(out, labels[i].value);
        text_add(out, "\"");
        first = false;
    }
    text_add(out, first ? " " : "} ");
}

void exposition_count(struct text *out, const char *name, struct exposition_label label,
                      uint64_t value)
{
    text_add(out, name);
    add_labels(out, &label, 1);
    text_format(out, "%" PRIu64 "\n", value);
}

void exposition_labelled(struct text *out, const char *name, const struct exposition_label *labels,
                         size_t count, double value)
{
    text_add(out, name);
    add_labels(out, labels, count);
    text_format(out, "%.17g\n", value);
}

void exposition_real(struct text *out, const char *name, struct exposition_label label,
                     double value)
{
    exposition_labelled(out, name, &label, 1, value);
}

void exposition_single(struct text *out, const char *name, const char *type, const char *help,
                       double value)
{
    exposition_family(out, name, type, help);
    exposition_real(out, name, (struct exposition_label){0}, value);
}

/* The newest of the slots from `from` to `to`; NULL: none. */
static const struct exemplar *find_exemplar(const struct exemplar *exemplars, size_t from,
                                            size_t to)
{
    const struct exemplar *newest = NULL;
    for (size_t i = from; exemplars != NULL && i <= to && i < EXEMPLAR_SLOTS; i++)
        if (exemplars[i].wall_ms > (newest == NULL ? 0 : newest->wall_ms))
            newest = &exemplars[i];
    return newest;
}

static void add_hex(struct text *out, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text_format(out, "%02x", ((const uint8_t *)bytes)[i]);
}

static void add_exemplar(struct text *out, const struct exemplar *exemplar, double scale)
{
    text_add(out, " # {trace_id=\"");
    add_hex(out, exemplar->trace_id, sizeof exemplar->trace_id);
    text_add(out, "\",span_id=\"");
    add_hex(out, &exemplar->span_id, sizeof exemplar->span_id);
    text_format(out, "\"} %.10g %.3f", (double)exemplar->value * scale,
                (double)exemplar->wall_ms / 1000);
}

static void add_bucket(struct text *out, const char *name, struct exposition_label label,
                       const char *bound, uint64_t seen)
{
    struct exposition_label labels[] = {label, {"le", bound}};
    text_format(out, "%s_bucket", name);
    add_labels(out, labels, 2);
    text_format(out, "%" PRIu64, seen);
}

/* Ends the line of a bucket. */
static void end_bucket(struct text *out, struct exposition_buckets buckets, size_t from, size_t to)
{
    const struct exemplar *exemplar = find_exemplar(buckets.exemplars, from, to);
    if (exemplar != NULL)
        add_exemplar(out, exemplar, buckets.scale);
    text_add(out, "\n");
}

void exposition_histogram(struct text *out, const char *name, struct exposition_label label,
                          const struct histogram_totals *totals, struct exposition_buckets buckets)
{
    uint64_t seen = 0;
    size_t at = 0;
    for (unsigned log2 = buckets.from_log2; log2 <= buckets.to_log2; log2++) {
        uint64_t bound = UINT64_C(1) << log2;
        char text[32];
        for (; at < HISTOGRAM_BUCKETS && histogram_bound(at) <= bound; at++)
            seen += totals->buckets[at];
        (void)snprintf(text, sizeof text, "%.10g", (double)bound * buckets.scale);
        add_bucket(out, name, label, text, seen);
        end_bucket(out, buckets, log2 == buckets.from_log2 ? 0 : log2, log2);
    }
    add_bucket(out, name, label, "+Inf", totals->count);
    end_bucket(out, buckets, buckets.to_log2 + 1, EXEMPLAR_SLOTS);
    text_format(out, "%s_sum", name);
    add_labels(out, &label, 1);
    text_format(out, "%.17g\n%s_count", (double)totals->sum * buckets.scale, name);
    add_labels(out, &label, 1);
    text_format(out, "%" PRIu64 "\n", totals->count);
}

/* The length of the family's name in a HELP or TYPE line; 0 for other lines. */
static size_t family_length(const char *line, size_t len)
{
    enum { FRONT = 7 }; /* "# HELP " */
    if (len <= FRONT || line[0] != '#')
        return 0;
    const char *space = memchr(line + FRONT, ' ', len - FRONT);
    return space == NULL ? 0 : (size_t)(space - line) - FRONT;
}

void exposition_to_openmetrics(const struct text *from, struct text *out)
{
    static const char suffix[] = "_total";
    enum { FRONT = 7, SUFFIX = sizeof suffix - 1 };
    size_t len = 0;
    for (size_t at = 0; at < from->len; at += len) { /* an empty text may have no bytes at all */
        const char *line = from->data + at;
        const char *newline = memchr(line, '\n', from->len - at);
        len = newline == NULL ? from->len - at : (size_t)(newline - line) + 1;
        size_t name = family_length(line, len);
        size_t cut = 0;
        if (name > SUFFIX && memcmp(line + FRONT + name - SUFFIX, suffix, SUFFIX) == 0)
            cut = SUFFIX;
        size_t kept = name == 0 ? 0 : FRONT + name - cut;
        text_add_bytes(out, line, kept);
        text_add_bytes(out, line + kept + cut, len - kept - cut);
    }
    text_add(out, "# EOF\n");
    out->cut |= from->cut;
}
