#include "wire/query.h"

#include "bson/scan.h"

bool wire_query_read(struct bytes payload, struct wire_query *out, struct error *err)
{
    int32_t flags = 0;
    const char *ns = NULL;
    size_t ns_len = 0;
    struct scan scan;
    struct scan_element first;
    if (!bytes_read_i32(&payload, &flags) || !bytes_read_cstring(&payload, &ns, &ns_len) ||
        !bytes_skip(&payload, 8) || !scan_open(&scan, payload))
        return error_set(err, ERROR_PROTOCOL, "OP_QUERY is malformed");
    static const char suffix[] = ".$cmd";
    size_t suffix_len = sizeof suffix - 1;
    *out = (struct wire_query){.flags = (uint32_t)flags};
    out->is_find =
        ns_len <= suffix_len || memcmp(ns + ns_len - suffix_len, suffix, suffix_len) != 0;
    if (out->is_find)
        return true;
    out->database = bytes_of(ns, ns_len - suffix_len);
    out->command = bytes_of(payload.pos, (size_t)bytes_load_i32(payload.pos));
    if (scan_next(&scan, &first) && first.kind == BSON_KIND_OBJECT &&
        (scan_name_is(&first, "$query") || scan_name_is(&first, "query")))
        out->command = first.value;
    return true;
}

bool wire_reply_read(struct bytes payload, struct bytes *document, struct error *err)
{
    struct scan scan;
    if (!bytes_skip(&payload, 20) || !scan_open(&scan, payload))
        return error_set(err, ERROR_PROTOCOL, "OP_REPLY is malformed");
    *document = bytes_of(payload.pos, (size_t)bytes_load_i32(payload.pos));
    return true;
}
