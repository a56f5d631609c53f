/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a packet that was blocked, and kept, says of itself.
 */
#include "internal.h"

const char *report_comment(struct report_names *n, const struct host_outcome *o, char *out, size_t size)
{
    const struct report_filter *f;
    size_t used;

    if (size == 0)
        return out;
    if (o->fate != HOST_BLOCKED && o->fate != HOST_ABSORBED) {
        snprintf(out, size, "weir: %s%s%s", host_fate_name(o->fate), o->note != HOST_NOTE_NONE ? ": " : "",
                 o->note != HOST_NOTE_NONE ? host_note_words(o->note) : "");
    } else if (o->layer == NULL) {
        snprintf(out, size, "weir: %s with the first fragment of its datagram", host_fate_name(o->fate));
    } else if ((f = report_names_filter(n, o->filter_id)) == NULL) {
        snprintf(out, size, "weir: %s at %s, not by a filter", host_fate_name(o->fate), o->layer->name);
    } else {
        snprintf(out, size, "weir: %s at %s by filter %llu \"%s\" %s", host_fate_name(o->fate),
                 o->layer->name, (unsigned long long)o->filter_id, f->name, f->key);
    }
    /* no half a character at the end */
    used = strlen(out);
    if (used + 1 == size) {
        size_t at = used;

        while (at > 0 && ((unsigned char)out[at - 1] & 0xc0) == 0x80)
            at--;
        if (at > 0 && (unsigned char)out[at - 1] >= 0xc0) {
            unsigned char lead = (unsigned char)out[at - 1];
            size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

            if (used - (at - 1) < want)
                out[at - 1] = '\0';
        }
    }
    return out;
}
