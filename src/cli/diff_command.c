#include <getopt.h>
#include <stdio.h>

#include "cli/diff_report.h"
#include "cli/subcommands.h"

enum { DIFF_BACKWARD, DIFF_REFUSES, DIFF_TROUBLE, DIFF_UNKNOWN };

static const char usage[] =
    "usage: mongosluice schema diff OLD NEW [--json]\n"
    "Compares two schema files (- for standard input). Prints the effect of each change, with a\n"
    "document as proof: narrower (OLD accepts it, NEW refuses it), wider (NEW accepts it, OLD\n"
    "refuses it), both, none, or unknown. The verdict is full, backward (NEW accepts all that OLD\n"
    "accepts), forward (OLD accepts all that NEW accepts), incompatible or unknown.\n"
    "Exit codes: 0 backward or full, 1 NEW refuses a document that OLD accepts, 2 wrong usage or\n"
    "a file with errors, 3 unknown.\n";

static bool load(const char *path, struct schema_file *file)
{
    struct error err = {0};
    if (schema_file_load(path, NULL, NULL, file, &err))
        return true;
    (void)fprintf(stderr, "mongosluice: %s: %s\n", path, err.message);
    return false;
}

static int compare_files(const struct schema_file *old_file, const struct schema_file *new_file,
                         const struct diff_names *names, bool json)
{
    static const int codes[] = {DIFF_UNKNOWN, DIFF_BACKWARD, DIFF_REFUSES};
    struct text out = text_growing();
    struct error err = {0};
    enum compatibility_answer backward = COMPATIBILITY_UNKNOWN;
    bool ok = diff_report(old_file, new_file, names, json, &out, &backward, &err);
    if (ok)
        (void)fputs(out.data, stdout);
    else
        (void)fprintf(stderr, "mongosluice: %s\n", err.message);
    text_release(&out);
    return ok ? codes[backward] : DIFF_TROUBLE;
}

int command_schema_diff(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct schema_file old_file;
    struct schema_file new_file;
    bool json = false;
    int option = 0;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'j') {
            (void)fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : DIFF_TROUBLE;
        }
        json = true;
    }
    if (argc - optind != 2) {
        (void)fprintf(stderr, "mongosluice schema diff: name two schema files\n%s", usage);
        return DIFF_TROUBLE;
    }
    struct diff_names names = {argv[optind], argv[optind + 1]};
    if (!load(names.old_name, &old_file))
        return DIFF_TROUBLE;
    if (!load(names.new_name, &new_file)) {
        schema_file_release(&old_file);
        return DIFF_TROUBLE;
    }
    int code = compare_files(&old_file, &new_file, &names, json);
    schema_file_release(&old_file);
    schema_file_release(&new_file);
    return code;
}
