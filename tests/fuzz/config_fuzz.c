/* The YAML loader and the code behind it: any bytes give a configuration or an error with a text,
 * and no redacted value appears in the listing. */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct error err = {0};
    struct text listing = text_growing();
    if (!config_load_yaml("fuzz.yaml", data, size, &config, &err)) {
        check(config == NULL && err.code != ERROR_NONE && err.message[0] != '\0');
        return 0;
    }
    config_write_listing(config, &listing);
    check(!listing.cut);
    const char *at = strrchr(config->upstream, '@');
    if (at != NULL)
        check(strstr(listing.data, "://<redacted>@") != NULL);
    text_release(&listing);
    config_release(config);
    return 0;
}
