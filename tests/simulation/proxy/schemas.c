/* The schemas of the simulated proxy: their files, and the moments at which it enforces them. */
#include <bson/bson.h>
#include <stdio.h>
#include <string.h>

#include "../net/process.h"
#include "application.h"
#include "in_force.h"
#include "parts.h"
#include "session/schemas_in_force.h"

#define NAMESPACE APPLICATION_DATABASE "." APPLICATION_CHECKED

unsigned schema_file_write(struct world *world, bool strict, char out[SCHEMA_FILE_BYTES])
{
    const char *schema = strict ? APPLICATION_SCHEMA_STRICT : APPLICATION_SCHEMA_LOOSE;
    unsigned number = in_force_number(world);
    (void)snprintf(out, SCHEMA_FILE_BYTES,
                   "{\"ns\": \"" NAMESPACE "\", \"schema\": {\"description\": "
                   "\"" APPLICATION_SCHEMA_NUMBER "\", %s}",
                   number, schema + 1);
    return number;
}

/* Reads the schema that the workers get, not the file: a file may be broken or not read yet. */
static void note(const struct registry *registry)
{
    const struct registry_entry *entry = registry_find(registry, NAMESPACE, strlen(NAMESPACE));
    unsigned number = 0;
    bson_t schema;
    bson_iter_t iter;
    if (entry == NULL) {
        in_force_begin(the_process->world, 0, false);
        return;
    }
    struct bytes source = schema_source(schema_file_newest(&entry->file));
    if (!bson_init_static(&schema, source.pos, bytes_left(&source)) ||
        !bson_iter_init_find(&iter, &schema, "description") ||
        sscanf(bson_iter_utf8(&iter, NULL), APPLICATION_SCHEMA_NUMBER, &number) != 1)
        world_fail(the_process->world, "schema holds", "the proxy enforces an unknown schema");
    in_force_begin(the_process->world, number, bson_iter_init_find(&iter, &schema, "properties"));
}

void __real_schemas_in_force_publish(struct schemas_in_force *in_force, struct registry *registry);
void __wrap_schemas_in_force_publish(struct schemas_in_force *in_force, struct registry *registry);

/* A published set takes effect at once, for all workers. */
void __wrap_schemas_in_force_publish(struct schemas_in_force *in_force, struct registry *registry)
{
    note(registry);
    __real_schemas_in_force_publish(in_force, registry);
}
