/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reading back of JSON lines: a file gives a story of the flow asked for, with lines that are its
 * own, or fails with a line that says where.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report/report.h"

#include "stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_story(const struct report_story *s)
{
    size_t i;
    json_t *line;

    REQUIRE(json_is_object(s->header));
    REQUIRE(json_array_size(s->lines) <= REPORT_STORY_LINES);
    json_array_foreach(s->lines, i, line)
    {
        const char *event = json_string_value(json_object_get(line, "event"));

        REQUIRE(event != NULL);
        REQUIRE(strcmp(event, "policy") == 0 || strcmp(event, "classify") == 0 ||
                strcmp(event, "frame") == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report_error error;
    struct report_story story;
    char path[64];
    int fd = memfd_create("events", 0), err;

    REQUIRE(fd >= 0);
    REQUIRE(write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (UINT64 flow = 1; flow < 4; flow++) {
        err = report_story_read(path, flow, &story, &error);
        REQUIRE(err == 0 || err == -EINVAL || err == -ESRCH);
        REQUIRE((err == 0) == (error.text[0] == '\0'));
        if (err != 0)
            REQUIRE(strncmp(error.text, path, strlen(path)) == 0 && strchr(error.text, '\n') == NULL);
        else
            check_story(&story);
        report_story_free(&story);
    }
    close(fd);
    return 0;
}
