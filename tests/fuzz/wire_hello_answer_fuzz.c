/* Any hello of a client, answered from any reply of a server: the answer is well-formed where the
 * reply is, has no member's real address, and names only compressors that the client offered.
 * Input: a byte with the server's compressors, the client's command, then the reply. */
#include "fail_memory.h"
#include "hello_members.h"
#include "wire/compressed.h"

enum { DEPTH_MAX = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_well_formed(struct bytes document, unsigned depth)
{
    struct scan scan;
    struct scan_element element;
    if (depth == 0 || !scan_open(&scan, document))
        return false;
    while (scan_next(&scan, &element))
        if ((element.kind == BSON_KIND_OBJECT || element.kind == BSON_KIND_ARRAY) &&
            !is_well_formed(element.value, depth - 1))
            return false;
    return !scan.broken;
}

static void require_request(const struct wire_hello_request *request)
{
    require(request->compressor_count <= WIRE_HELLO_COMPRESSORS_MAX);
    for (unsigned i = 0; i < request->compressor_count; i++) {
        require(request->compressors[i] > WIRE_COMPRESSOR_NOOP &&
                request->compressors[i] <= WIRE_COMPRESSOR_ZSTD);
        for (unsigned j = 0; j < i; j++)
            require(request->compressors[i] != request->compressors[j]);
    }
}

static void require_answer(struct bytes document, const struct wire_hello_answer *answer)
{
    struct scan scan;
    struct scan_element element;
    require(scan_open(&scan, document));
    while (scan_next(&scan, &element)) {
        const char *text = NULL;
        size_t len = 0;
        if (scan_name_is(&element, "me") && scan_as_string(&element, &text, &len))
            require(len > 0 && text[0] == 'q');
        require(!scan_name_is(&element,
                              answer->request->legacy_name ? "isWritablePrimary" : "ismaster"));
        if (!answer->request->hello_ok)
            require(!scan_name_is(&element, "helloOk"));
    }
    require(!scan.broken);
    require(scan_find(document, "extra", &element) || bytes_left(&answer->extra) == 0);
    unsigned offered = 0;
    for (unsigned i = 0; i < answer->request->compressor_count; i++)
        offered |= 1U << answer->request->compressors[i];
    require((wire_hello_compressors(document) & ~(offered & answer->compressors)) == 0);
}

/* The version in the reply, beside the client's. */
static void check_version(struct bytes reply, const struct wire_hello_request *request)
{
    struct wire_topology_version version;
    if (!wire_hello_version(reply, &version))
        return;
    require(wire_topology_version_equal(&version, &version));
    if (request->has_version && wire_topology_version_equal(&version, &request->version))
        require(version.counter == request->version.counter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t extra[] = {17, 0, 0, 0, 16, 'e', 'x', 't', 'r', 'a', 0, 0, 1, 0, 0, 0, 0};
    struct scan scan;
    struct wire_command command;
    struct wire_hello_request request;
    struct error err;
    struct build build;
    struct bytes out;
    if (size < 1 || !scan_open(&scan, bytes_of(data + 1, size - 1)))
        return 0;
    size_t command_len = (size_t)bytes_load_i32(data + 1);
    struct bytes body = bytes_of(data + 1, command_len);
    struct bytes reply = bytes_of(body.end, size - 1 - command_len);
    if (!wire_command_read_legacy(body, bytes_of("admin", 5), &command, &err) ||
        !wire_hello_is_command(command.known) ||
        wire_hello_request_read(&command, &request) == WIRE_HELLO_OTHER)
        return 0;
    require_request(&request);
    struct wire_hello_rules rules = {.map_address = map_address, .max_message_bytes = 48000000};
    struct wire_hello_answer answer = {.request = &request,
                                       .compressors = data[0] & 0x0F,
                                       .connection_id = (data[0] & 0x10) != 0 ? 7 : INT64_MAX,
                                       .elapsed_ms = 7};
    if ((data[0] & 0x20) != 0)
        answer.extra = bytes_of(extra, sizeof extra);
    check_version(reply, &request);
    bool ok = wire_hello_answer(reply, &answer, &rules, &build, &out);
    if (ok) {
        require_answer(out, &answer);
        require(!is_well_formed(reply, DEPTH_MAX) || is_well_formed(out, DEPTH_MAX));
    }
    build_free(&build);
    if (fail_memory_for(data, size)) {
        (void)wire_hello_answer(reply, &answer, &rules, &build, &out);
        build_free(&build);
    }
    memory_fail_never();
    return 0;
}
