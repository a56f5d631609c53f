/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target on the inputs kept in its corpus without libFuzzer, in the build that all other tests have: each input
 * once as it is, then broken a few times (bits turned over, bytes set, a piece left out, said twice or cut off), from a seed
 * that is the input's place in the sorted folder: the same run each time. A fault ends the program (the sanitizers say where,
 * the last line printed which input was next), and so fails the test. Searching for new inputs is scripts/fuzz's.
 *
 * usage: kept_NAME CORPUS-FOLDER    prints TAP, a test an input
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST   16384 /* bytes of an input: scripts/fuzz's -max_len */
#define BROKEN 8     /* times each input is broken */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t next(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The target gets memory of just its size, so that what is read behind it is found. */
static void once(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size != 0 ? size : 1);

    if (exact == NULL)
        return;
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

/* One to four changes. Returns the new size: at most MOST. */
static size_t broken(uint8_t *data, size_t size, uint64_t *seed)
{
    for (uint64_t changes = 1 + next(seed) % 4; changes != 0 && size != 0; changes--) {
        size_t at = next(seed) % size, length = 1 + next(seed) % (size - at);

        switch (next(seed) % 5) {
        case 0:
            data[at] ^= (uint8_t)(1u << next(seed) % 8);
            break;
        case 1:
            data[at] = (uint8_t)next(seed);
            break;
        case 2:
            memmove(data + at, data + at + length, size - at - length);
            size -= length;
            break;
        case 3:
            if (length > MOST - size)
                break;
            memmove(data + at + length, data + at, size - at);
            size += length;
            break;
        default:
            size = at;
        }
    }
    return size;
}

/* 0, or what reading it failed with. */
static int run(const char *folder, const char *name, uint64_t seed)
{
    static uint8_t data[MOST], changed[MOST];
    char path[4096];
    FILE *file;
    size_t size;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (file == NULL)
        return errno;
    size = fread(data, 1, sizeof(data), file);
    fclose(file);
    once(data, size);
    for (int i = 0; i < BROKEN; i++) {
        memcpy(changed, data, size);
        once(changed, broken(changed, size, &seed));
    }
    return 0;
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **inputs;
    int count = argc == 2 ? scandir(argv[1], &inputs, is_input, alphasort) : -1, failed = 0;

    if (count <= 0) {
        fprintf(stderr, "%s: expected a folder with kept inputs, found %s\n", argv[0],
                argc == 2 ? argv[1] : "no argument");
        return 2;
    }
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        int error;

        printf("# %s\n", inputs[i]->d_name);
        fflush(stdout);
        error = run(argv[1], inputs[i]->d_name, (uint64_t)i);
        printf("%sok %d - kept input %s%s%s\n", error == 0 ? "" : "not ", i + 1, inputs[i]->d_name,
               error == 0 ? "" : ": ", error == 0 ? "" : strerror(error));
        failed += error != 0;
        free(inputs[i]);
    }
    free(inputs);
    return failed != 0;
}
