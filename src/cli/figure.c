#include "cli/figure.h"

#include <string.h>

#include "bson/number.h"
#include "bson/scan.h"

enum { PATH_BYTES = 64 };

/* "connections.phases.idle" */
static bool find(struct bytes document, const char *path, struct scan_element *element)
{
    char name[PATH_BYTES];
    for (;;) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof name || bytes_left(&document) == 0)
            return false;
        memcpy(name, path, len);
        name[len] = 0;
        if (!scan_find(document, name, element))
            return false;
        if (path[len] == 0)
            return true;
        document = element->value;
        path += len + 1;
    }
}

double figure_number(struct bytes document, const char *path)
{
    struct scan_element element;
    int64_t integer = 0;
    if (!find(document, path, &element))
        return 0;
    if (element.kind == BSON_KIND_DOUBLE)
        return number_load_double(element.value.pos);
    return scan_as_int64(&element, &integer) ? (double)integer : 0;
}

const char *figure_text(struct bytes document, const char *path)
{
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    return find(document, path, &element) && scan_as_string(&element, &text, &len) ? text : "";
}

struct bytes figure_part(struct bytes document, const char *path)
{
    struct scan_element element;
    if (find(document, path, &element) &&
        (element.kind == BSON_KIND_ARRAY || element.kind == BSON_KIND_OBJECT))
        return element.value;
    return (struct bytes){0};
}

bool figure_flag(struct bytes document, const char *path)
{
    struct scan_element element;
    return find(document, path, &element) && scan_is_true(&element);
}
