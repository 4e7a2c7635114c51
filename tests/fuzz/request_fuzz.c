/* Any document as a command's body: all that is read of it lies inside it. */
#include <stdlib.h>

#include "bson/scan.h"
#include "session/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_inside(const void *at, size_t len, struct bytes body)
{
    const uint8_t *start = at;
    if (start < body.pos || start > body.end || len > (size_t)(body.end - start))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request request;
    struct error err = {0};
    struct bytes body = bytes_of(data, size);
    bool ok = request_read(body, 0, &request, &err);
    if (ok != (err.code == ERROR_NONE) || request.name == NULL)
        abort();
    if (request.name_len > 0)
        require_inside(request.name, request.name_len + 1, body);
    if (request.lsid != NULL)
        require_inside(request.lsid, LSID_BYTES, body);
    if (bytes_left(&request.database) > 0)
        require_inside(request.database.pos, bytes_left(&request.database) + 1, body);
    if (request.command != command_name_find(request.name, request.name_len))
        abort();
    (void)request_error_labels(&request);
    return 0;
}
