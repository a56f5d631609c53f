/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: lists hold buffers, buffers hold MDLs, and the data begins somewhere in the middle (stream.h):
 *
 *   NET_BUFFER_LIST --> NET_BUFFER --> MDL --> MDL        dataOffset names the list, the buffer, the MDL and the byte
 *        |                  |        [..#####][####.]     in it; dataLength says how far it goes, over buffers
 *        v                  v                             and lists. An MDL may reach beyond its buffer's data.
 *   NET_BUFFER_LIST     NET_BUFFER --> MDL
 */
#include "stream.h"

struct place {
    NET_BUFFER_LIST *list;
    NET_BUFFER *buffer;
    MDL *mdl;
    ULONG at;   /* in the MDL */
    ULONG left; /* of the buffer's data */
};

static BOOLEAN next_buffer(struct place *place)
{
    place->buffer = NET_BUFFER_NEXT_NB(place->buffer);
    while (place->buffer == NULL) {
        place->list = NET_BUFFER_LIST_NEXT_NBL(place->list);
        if (place->list == NULL)
            return FALSE;
        place->buffer = NET_BUFFER_LIST_FIRST_NB(place->list);
    }
    place->mdl = NET_BUFFER_CURRENT_MDL(place->buffer);
    place->at = NET_BUFFER_CURRENT_MDL_OFFSET(place->buffer);
    place->left = NET_BUFFER_DATA_LENGTH(place->buffer);
    return TRUE;
}

static void first_place(struct place *place, const FWPS_STREAM_DATA_OFFSET *offset)
{
    ULONG before = 0; /* of the buffer's data, in front of the place */

    place->list = offset->netBufferList;
    place->buffer = offset->netBuffer;
    place->mdl = offset->mdl;
    place->at = offset->mdlOffset;
    for (MDL *mdl = NET_BUFFER_CURRENT_MDL(place->buffer); mdl != place->mdl && mdl != NULL; mdl = mdl->Next)
        before += MmGetMdlByteCount(mdl);
    before = before + place->at - NET_BUFFER_CURRENT_MDL_OFFSET(place->buffer);
    place->left = NET_BUFFER_DATA_LENGTH(place->buffer) - before;
}

NTSTATUS stream_visit(const FWPS_STREAM_DATA *data,
                      BOOLEAN (*visit)(void *context, const UCHAR *bytes, ULONG size), void *context)
{
    SIZE_T left = data->dataLength;
    struct place place;

    if (left == 0)
        return STATUS_SUCCESS;
    first_place(&place, &data->dataOffset);
    while (left != 0) {
        ULONG size;
        UCHAR *bytes;

        if (place.left == 0 || place.mdl == NULL) {
            if (!next_buffer(&place))
                break;
            continue;
        }
        size = MmGetMdlByteCount(place.mdl) - place.at;
        size = size < place.left ? size : place.left;
        size = size < left ? size : (ULONG)left;
        if (size != 0) {
            bytes = MmGetSystemAddressForMdlSafe(place.mdl, NormalPagePriority);
            if (bytes == NULL)
                return STATUS_INSUFFICIENT_RESOURCES;
            if (!visit(context, bytes + place.at, size))
                break;
        }
        left -= size;
        place.left -= size;
        place.mdl = place.mdl->Next;
        place.at = 0;
    }
    return STATUS_SUCCESS;
}
