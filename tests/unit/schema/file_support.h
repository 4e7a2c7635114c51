/* Schema files, for tests. */
#ifndef SLUICE_TESTS_SCHEMA_FILE_SUPPORT_H
#define SLUICE_TESTS_SCHEMA_FILE_SUPPORT_H

#include "schema/file.h"
#include "support.h"

static inline bool parse(const char *text, struct schema_file *file, struct error *err)
{
    return schema_file_parse(text, strlen(text), NULL, NULL, file, err);
}

#endif
