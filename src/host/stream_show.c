/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_show: what a callout is shown: FWPS_STREAM_CALLOUT_IO_PACKET0 over lists in documented shapes
 * (STR-01..04).
 *
 *   queue:   chunk ----------> hole --> chunk ---------> chunk (permitted already) | mark
 *   chain:   list  ------------------>  list             the run ends here
 *            [gone on|data]             [data]
 *                    ^ dataOffset
 *
 * Each chunk of the run has a list of its own, over bytes that all who show them share; the lists are linked
 * while the callout runs. What of the first chunk has gone on already its list still shows: dataOffset says where
 * the data begin. No headers are there (STR-02). A mark is an empty list (STR-04).
 */
#include "host/stream_inside.h"

static UINT32 flag_of(int dir, UINT32 send, UINT32 receive)
{
    return dir == 0 ? send : receive;
}

/* HOST_STREAM_* as the layer has it (STR-03). */
static UINT32 flags_of(int dir, UINT32 flags)
{
    UINT32 f = flag_of(dir, FWPS_STREAM_FLAG_SEND, FWPS_STREAM_FLAG_RECEIVE);

    if ((flags & HOST_STREAM_END) != 0)
        f |= flag_of(dir, FWPS_STREAM_FLAG_SEND_DISCONNECT, FWPS_STREAM_FLAG_RECEIVE_DISCONNECT);
    if ((flags & HOST_STREAM_ABORT) != 0)
        f |= flag_of(dir, FWPS_STREAM_FLAG_SEND_ABORT, FWPS_STREAM_FLAG_RECEIVE_ABORT);
    if ((flags & HOST_STREAM_URGENT) != 0)
        f |= flag_of(dir, FWPS_STREAM_FLAG_SEND_EXPEDITED, FWPS_STREAM_FLAG_RECEIVE_EXPEDITED);
    if ((flags & HOST_STREAM_PUSH) != 0)
        f |= flag_of(dir, 0, FWPS_STREAM_FLAG_RECEIVE_PUSH);
    if ((flags & HOST_STREAM_NODELAY) != 0)
        f |= flag_of(dir, FWPS_STREAM_FLAG_SEND_NODELAY, 0);
    return f;
}

static inline NET_BUFFER_LIST *list_of(const struct stream_run *r, struct stream_chunk *c, bool first)
{
    if (c->store == NULL) { /* a mark's */
        c->store = ndis_store_take(0);
        if (c->store == NULL)
            return NULL;
    }
    if (c->slice == NULL) {
        c->slice = ndis_slice_take(c->store);
        if (c->slice == NULL)
            return NULL;
    }
    ndis_slice_tag(c->slice, r->st->id << 1 | (unsigned)r->dir); /* of a chunk used again, too */
    return ndis_slice_show(c->slice, first ? c->begin : c->at, c->at + c->size,
                           r->host->config.knobs.split_mdl);
}

/* From the beginning of the chain on, of `size` bytes. One by one, as stream_run_make(). */
static inline void describe(struct stream_shown *out, NET_BUFFER_LIST *chain, UINT32 flags, UINT64 missed)
{
    FWPS_STREAM_DATA_OFFSET0 *at = &out->data.dataOffset;
    NET_BUFFER *nb = chain->FirstNetBuffer;

    out->data.flags = flags;
    at->netBufferList = chain;
    at->netBuffer = nb;
    at->mdl = nb->CurrentMdl;
    at->mdlOffset = at->netBufferOffset = 0;
    at->streamDataOffset = 0;
    out->data.dataLength = (SIZE_T)out->size;
    out->data.netBufferListChain = chain;
    out->io.streamData = &out->data;
    out->io.missedBytes = (SIZE_T)missed;
    out->io.countBytesRequired = 0;
    out->io.countBytesEnforced = 0;
    out->io.streamAction = FWPS_STREAM_ACTION_NONE;
}

bool stream_show(struct stream_run *r, unsigned k, struct stream_shown *out)
{
    struct stream_place *p = &r->st->dir[r->dir].places[k];
    struct stream_chunk *first = p->head;
    NET_BUFFER_LIST *chain = NULL, *list, *last = NULL;
    UINT32 flags = first->flags;

    out->size = 0;
    for (struct stream_chunk *c = first; c != NULL; c = c->next) {
        if (c->kind == STREAM_HOLE)
            continue;
        if (c->through > k || (c->kind == STREAM_MARK && c != first))
            break;
        list = list_of(r, c, c == first);
        if (list == NULL)
            return false;
        if (last == NULL)
            chain = list;
        else
            last->Next = list;
        last = list;
        out->size += c->size;
        flags |= c->flags;
        if (c->kind == STREAM_MARK)
            break;
    }
    describe(out, chain, flags_of(r->dir, flags), p->missed);
    out->data.dataOffset.mdlOffset = first->at - first->begin;
    out->data.dataOffset.netBufferOffset = first->at - first->begin;
    out->data.dataOffset.streamDataOffset = first->at - first->begin;
    while (out->data.dataOffset.mdl != NULL && out->data.dataOffset.mdl->Next != NULL &&
           out->data.dataOffset.mdlOffset >= out->data.dataOffset.mdl->ByteCount) {
        out->data.dataOffset.mdlOffset -= out->data.dataOffset.mdl->ByteCount;
        out->data.dataOffset.mdl = out->data.dataOffset.mdl->Next;
    }
    return true;
}

bool stream_show_one(struct stream_run *r, struct stream_chunk *c, UINT64 missed, struct stream_shown *out)
{
    NET_BUFFER_LIST *list = list_of(r, c, true);

    if (list == NULL)
        return false;
    out->size = c->size;
    describe(out, list,
             c->flags == 0 ? flag_of(r->dir, FWPS_STREAM_FLAG_SEND, FWPS_STREAM_FLAG_RECEIVE)
                           : flags_of(r->dir, c->flags),
             missed);
    return true;
}

/* The lists stand alone again: a clone may keep one of them. */
void stream_hide(struct stream_run *r, unsigned k)
{
    for (struct stream_chunk *c = r->st->dir[r->dir].places[k].head; c != NULL; c = c->next)
        if (c->slice != NULL)
            ndis_slice_list(c->slice)->Next = NULL;
}
