/* Feeds files to a fuzz target without libFuzzer: each argument is a file, or a folder of files.
 * Fails if it fed no file, so that a lost corpus is noticed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    size_t size = 0;
    size_t room = 1 << 16;
    uint8_t *data = malloc(room);
    while (data != NULL && !feof(file) && !ferror(file)) {
        if (size == room)
            data = realloc(data, room *= 2); /* the program ends on failure, below */
        if (data != NULL)
            size += fread(data + size, 1, room - size, file);
    }
    (void)fclose(file);
    if (data == NULL)
        return -1;
    uint8_t *exact =
        malloc(size == 0 ? 1 : size); /* so that a sanitizer sees a read past the end */
    if (exact == NULL) {
        free(data);
        return -1;
    }
    for (size_t i = 0; i < size; i++)
        exact[i] = data[i];
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    free(data);
    return 1;
}

static int feed_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        perror(path);
        return -1;
    }
    int fed = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char name[4096];
        struct stat info;
        int len = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof name || stat(name, &info) != 0 ||
            !S_ISREG(info.st_mode))
            continue;
        if (feed_file(name) < 0) {
            (void)closedir(folder);
            return -1;
        }
        fed++;
    }
    (void)closedir(folder);
    return fed;
}

int main(int argc, char **argv)
{
    int fed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (stat(argv[i], &info) != 0) {
            perror(argv[i]);
            return 1;
        }
        int n = S_ISDIR(info.st_mode) ? feed_folder(argv[i]) : feed_file(argv[i]);
        if (n < 0)
            return 1;
        fed += n;
    }
    printf("%d inputs replayed\n", fed);
    return fed > 0 ? 0 : 1;
}
