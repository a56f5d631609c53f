/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture that is no file's: interfaces that somebody made up, for a writer of packets that were never read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture_inside.h"

int capture_made(const char *name, struct capture **out)
{
    struct capture *c = calloc(1, sizeof(*c));

    *out = NULL;
    if (c == NULL || (c->name = strdup(name)) == NULL) {
        free(c);
        return -ENOMEM;
    }
    source_open_memory(&c->source, (const uint8_t *)"", 0);
    *out = c;
    return 0;
}

int capture_made_interface(struct capture *c, uint16_t link_type, const char *name, const uint8_t mac[6])
{
    static const uint8_t nanoseconds = 9;
    const size_t length = strlen(name);
    struct interface *i;
    uint8_t *at;

    if (c->interface_count == CAPTURE_INTERFACES_MAX || length > UINT16_MAX)
        return -EINVAL;
    i = capture_interface_new(c, link_type, 0);
    if (i == NULL)
        return -ENOMEM;
    i->options = malloc(option_room(length) + option_room(6) + option_room(1));
    i->is.name = strdup(name);
    if (i->options == NULL || i->is.name == NULL) {
        capture_interface_drop(c);
        return -ENOMEM;
    }
    at = option_put(i->options, OPTION_IF_NAME, name, length);
    at = option_put(at, OPTION_IF_MAC, mac, 6);
    at = option_put(at, OPTION_IF_RESOLUTION, &nanoseconds, 1);
    i->options_size = (uint32_t)(at - i->options);
    memcpy(i->is.mac, mac, 6);
    i->is.has_mac = true;
    (void)capture_interface_resolution(i, nanoseconds);
    return 0;
}
