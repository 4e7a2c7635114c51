/* The schemas of an audit, from a folder or a registry. */
#ifndef SLUICE_CLI_AUDIT_SCHEMAS_H
#define SLUICE_CLI_AUDIT_SCHEMAS_H

#include "schema/file.h"
#include "upstream/uri.h"

struct audit_schema {
    struct schema_file file; /* with a namespace */
    char *source;            /* owned: the file, or the registry */
};

struct audit_schema_list {
    struct audit_schema *of; /* owned; sorted by namespace */
    size_t count;
};

/* Zero-initialised means empty. */
void audit_schemas_release(struct audit_schema_list *list);

/* Reads all *.json files of a folder, or one file. False with the error and its place. */
bool audit_schemas_of_folder(const char *path, struct audit_schema_list *list, struct error *err);
/* Reads all namespaces of a registry with an accepted version. */
bool audit_schemas_of_registry(const struct uri *uri, const char *ns,
                               struct audit_schema_list *list, struct error *err);

#endif
