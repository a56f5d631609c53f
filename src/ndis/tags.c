/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags: contexts that drivers hang at a packet to follow it (NBL-21). They go with the packet: to its clones,
 * to what re-enters the stack, until it leaves. A list's tags belong to the thread that has the list.
 */
#include <stdlib.h>

#include "fwpstypes.h"

#include "ndis/inside.h"
#include "rt/rt.h"

enum ndis_tag_result ndis_tag_add(NET_BUFFER_LIST *nbl, const struct ndis_tag *tag)
{
    struct ndis_block *b = ndis_block_of(nbl);
    struct ndis_tag *t;

    if (b == NULL)
        return NDIS_TAG_NOT_OURS;
    for (t = b->tags; t != NULL; t = t->next)
        if (t->tag == tag->tag)
            return NDIS_TAG_EXISTS;
    t = malloc(sizeof(*t));
    if (t == NULL)
        return NDIS_TAG_NO_MEMORY;
    *t = *tag;
    t->next = b->tags;
    b->tags = t;
    return NDIS_TAG_OK;
}

enum ndis_tag_result ndis_tag_find(NET_BUFFER_LIST *nbl, uint64_t tag, bool take, struct ndis_tag *out)
{
    struct ndis_block *b = ndis_block_of(nbl);

    if (b == NULL)
        return NDIS_TAG_NOT_OURS;
    for (struct ndis_tag **at = &b->tags; *at != NULL; at = &(*at)->next) {
        struct ndis_tag *t = *at;

        if (t->tag != tag)
            continue;
        *out = *t;
        out->next = NULL;
        if (take) {
            *at = t->next;
            free(t);
        }
        return NDIS_TAG_OK;
    }
    return NDIS_TAG_NONE;
}

bool ndis_tags_any(const NET_BUFFER_LIST *nbl)
{
    const struct ndis_block *b = ndis_block_of(nbl);

    return b != NULL && b->tags != NULL;
}

void ndis_tag_tell(const struct ndis_tag *t, NET_BUFFER_LIST *nbl, unsigned event, NET_BUFFER_LIST *other,
                   uint16_t layer)
{
    const FWPS_NET_BUFFER_LIST_EVENT_TYPE0 type = (FWPS_NET_BUFFER_LIST_EVENT_TYPE0)event;
    struct rt_context *before = t->owner != NULL ? rt_set_current(t->owner) : rt_current();

    if (t->version == 0)
        ((FWPS_NET_BUFFER_LIST_NOTIFY_FN0)t->notify)(type, nbl, other, layer, t->context, t->tag);
    else
        (void)((FWPS_NET_BUFFER_LIST_NOTIFY_FN1)t->notify)(type, nbl, other, layer, t->context, t->tag);
    rt_set_current(before);
}

void ndis_tags_tell(NET_BUFFER_LIST *nbl, unsigned event, NET_BUFFER_LIST *other, uint16_t layer)
{
    struct ndis_block *b = ndis_block_of(nbl);

    if (b == NULL)
        return;
    for (struct ndis_tag *t = b->tags, *next; t != NULL; t = next) {
        const struct ndis_tag copy = *t; /* it may remove itself */

        next = t->next;
        ndis_tag_tell(&copy, nbl, event, other, layer);
    }
}

void ndis_tags_copy(NET_BUFFER_LIST *to, NET_BUFFER_LIST *from)
{
    const struct ndis_block *b = ndis_block_of(from);

    if (b == NULL)
        return;
    for (const struct ndis_tag *t = b->tags; t != NULL; t = t->next)
        (void)ndis_tag_add(to, t);
}

void ndis_tags_drop(NET_BUFFER_LIST *nbl)
{
    struct ndis_block *b = ndis_block_of(nbl);
    struct ndis_tag *t;

    if (b == NULL)
        return;
    t = b->tags;
    b->tags = NULL;
    while (t != NULL) {
        struct ndis_tag *next = t->next;

        free(t);
        t = next;
    }
}
