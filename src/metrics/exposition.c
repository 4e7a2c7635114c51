#include "metrics/exposition.h"

#include <inttypes.h>
#include <stdio.h>

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

static void add_bucket(struct text *out, const char *name, struct exposition_label label,
                       const char *bound, uint64_t seen)
{
    struct exposition_label labels[] = {label, {"le", bound}};
    text_format(out, "%s_bucket", name);
    add_labels(out, labels, 2);
    text_format(out, "%" PRIu64 "\n", seen);
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
    }
    add_bucket(out, name, label, "+Inf", totals->count);
    text_format(out, "%s_sum", name);
    add_labels(out, &label, 1);
    text_format(out, "%.17g\n%s_count", (double)totals->sum * buckets.scale, name);
    add_labels(out, &label, 1);
    text_format(out, "%" PRIu64 "\n", totals->count);
}
