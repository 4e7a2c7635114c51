/* Nanoseconds a document of the schema evaluator on one core.
 *
 *   schema_bench SCHEMA.bson DOCUMENTS.bson [ROUNDS]
 *
 * DOCUMENTS.bson holds one BSON document behind the other; all are checked in turn, again and
 * again, for ROUNDS rounds of about 2 ms. Prints one line of JSON with the fastest and the median
 * round, and how many of the documents are valid. schema_bench.py makes the files and the
 * comparison. */
#include "rounds.h"
#include "schema/schema.h"

#include <stdio.h>
#include <stdlib.h>

#define DOCUMENTS_MAX 4096
#define ROUND_NS      2e6 /* short, so that some rounds are undisturbed on a busy machine */

static uint8_t *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    long size = ftell(file);
    rewind(file);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    if (data == NULL || size < 0 || fread(data, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(1);
    }
    (void)fclose(file);
    *len = (size_t)size;
    return data;
}

static size_t split(struct bytes all, struct bytes *documents)
{
    size_t count = 0;
    while (bytes_left(&all) >= 5 && count < DOCUMENTS_MAX) {
        int32_t len = bytes_load_i32(all.pos);
        if (len < 5 || !bytes_take(&all, (size_t)len, &documents[count]))
            break;
        count++;
    }
    return count;
}

static size_t check_all(const struct schema *schema, struct schema_scratch *scratch,
                        const struct bytes *documents, size_t count)
{
    size_t valid = 0;
    struct error err;
    for (size_t i = 0; i < count; i++)
        valid += schema_check(schema, scratch, documents[i], &err) == SCHEMA_VALID;
    return valid;
}

int main(int argc, char **argv)
{
    static struct bytes documents[DOCUMENTS_MAX];
    size_t schema_len = 0;
    size_t documents_len = 0;
    struct error err = {0};
    if (argc < 3) {
        (void)fprintf(stderr, "usage: %s SCHEMA.bson DOCUMENTS.bson [ROUNDS]\n", argv[0]);
        return 2;
    }
    int rounds = argc > 3 ? atoi(argv[3]) : 400;
    uint8_t *schema_data = read_file(argv[1], &schema_len);
    uint8_t *data = read_file(argv[2], &documents_len);
    struct schema *schema =
        schema_compile(bytes_of(schema_data, schema_len), SCHEMA_MONGODB, NULL, NULL, &err);
    struct schema_scratch *scratch = schema_scratch_new();
    size_t count = split(bytes_of(data, documents_len), documents);
    double *times = malloc(sizeof(double) * (size_t)(rounds > 0 ? rounds : 1));
    if (schema == NULL || scratch == NULL || count == 0 || times == NULL || rounds < 1) {
        (void)fprintf(stderr, "schema_bench: %s\n", err.code != 0 ? err.message : "nothing to do");
        free(times);
        return 1;
    }
    size_t valid = check_all(schema, scratch, documents, count);
    double start = now_ns();
    for (int i = 0; i < 10; i++)
        (void)check_all(schema, scratch, documents, count);
    int repeats = (int)(ROUND_NS / ((now_ns() - start) / 10)) + 1;
    for (int round = 0; round < rounds; round++) {
        start = now_ns();
        for (int i = 0; i < repeats; i++)
            valid = check_all(schema, scratch, documents, count);
        times[round] = (now_ns() - start) / repeats / (double)count;
    }
    qsort(times, (size_t)rounds, sizeof *times, compare_doubles);
    printf("{\"ns\": %.1f, \"median_ns\": %.1f, \"documents\": %zu, \"valid\": %zu, "
           "\"bytes\": %zu}\n",
           times[0], times[rounds / 2], count, valid, documents_len / count);
    free(times);
    schema_scratch_free(scratch);
    schema_free(schema);
    free(data);
    free(schema_data);
    return 0;
}
