/* SPDX-License-Identifier: Apache-2.0 */
#include "shown.h"

void shown_bytes(uint64_t *h, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        *h = (*h ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull;
}

void shown_number(uint64_t *h, uint64_t n)
{
    shown_bytes(h, &n, sizeof(n));
}

void shown_value(uint64_t *h, const FWP_VALUE0 *v)
{
    shown_number(h, v->type);
    switch (v->type) {
    case FWP_EMPTY:
        break;
    case FWP_UINT8:
        shown_number(h, v->uint8);
        break;
    case FWP_UINT16:
        shown_number(h, v->uint16);
        break;
    case FWP_UINT32:
        shown_number(h, v->uint32);
        break;
    case FWP_UINT64:
        shown_number(h, *v->uint64);
        break;
    case FWP_BYTE_ARRAY6_TYPE:
        shown_bytes(h, v->byteArray6, 6);
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        shown_bytes(h, v->byteArray16, 16);
        break;
    default: /* of its owner, or the host's: the same for both sides */
        shown_number(h, (uintptr_t)v->byteBlob);
        break;
    }
}

void shown_metadata(uint64_t *h, const FWPS_INCOMING_METADATA_VALUES0 *m)
{
    const uint64_t numbers[] = {m->currentMetadataValues,
                                m->currentL2MetadataValues,
                                m->flowHandle,
                                m->ipHeaderSize,
                                m->transportHeaderSize,
                                m->compartmentId,
                                m->pathMtu,
                                m->transportEndpointHandle,
                                m->parentEndpointHandle,
                                m->remoteScopeId.Value,
                                m->icmpIdAndSequence,
                                m->packetDirection,
                                m->processId,
                                m->token,
                                (uintptr_t)m->processPath,
                                (uintptr_t)m->subProcessTag,
                                m->fragmentMetadata.fragmentIdentification,
                                m->discardMetadata.discardReason,
                                m->discardMetadata.filterId,
                                m->ethernetMacHeaderSize,
                                m->completionHandle != NULL};

    shown_bytes(h, numbers, sizeof(numbers));
}

void shown_list(uint64_t *h, const NET_BUFFER_LIST *list)
{
    const NET_BUFFER *nb = list->FirstNetBuffer;
    unsigned information = 0;

    shown_number(h, nb->DataOffset);
    shown_number(h, nb->DataLength);
    shown_number(h, nb->CurrentMdlOffset);
    shown_number(h, nb->Next == NULL && list->Next == NULL && list->Context == NULL &&
                        list->ParentNetBufferList == NULL);
    shown_number(h, list->NblFlags);
    shown_number(h, (uint64_t)list->Status);
    shown_number(h, (uintptr_t)list->Scratch);
    shown_number(h, (uintptr_t)nb->ProtocolReserved[0]);
    for (unsigned i = 0; i < MaxNetBufferListInfo; i++)
        if (list->NetBufferListInfo[i] != NULL)
            information = information * 64 + i;
    shown_number(h, information);
    for (const MDL *mdl = nb->MdlChain; mdl != NULL; mdl = mdl->Next) {
        shown_number(h, mdl->ByteCount);
        shown_number(h, mdl->MdlFlags);
        shown_number(h, (uint8_t *)mdl->StartVa + mdl->ByteOffset == mdl->MappedSystemVa);
        shown_bytes(h, mdl->MappedSystemVa, mdl->ByteCount);
    }
}
