/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs and what the processor can. */
#include "nt/fault.h"
#include "nt/internal.h"

/* Of random numbers (RFC 9562, version 4): the simulated back end's come from its seed. */
NTSTATUS ExUuidCreate(UUID *Uuid)
{
    uint64_t one, two;

    NT_FAIL_STATUS(ExUuidCreate);
    NT_IRQL_MAX(PASSIVE_LEVEL);
    one = rt_random();
    two = rt_random();
    Uuid->Data1 = (ULONG)one;
    Uuid->Data2 = (USHORT)(one >> 32);
    Uuid->Data3 = (USHORT)((one >> 48 & 0x0fff) | 0x4000);
    memcpy(Uuid->Data4, &two, sizeof(Uuid->Data4));
    Uuid->Data4[0] = (UCHAR)((Uuid->Data4[0] & 0x3f) | 0x80);
    return STATUS_SUCCESS;
}

/* Of a processor as x64 Windows asks for at least. */
BOOLEAN ExIsProcessorFeaturePresent(ULONG ProcessorFeature)
{
    switch (ProcessorFeature) {
    case PF_COMPARE_EXCHANGE_DOUBLE:
    case PF_MMX_INSTRUCTIONS_AVAILABLE:
    case PF_XMMI_INSTRUCTIONS_AVAILABLE:
    case PF_XMMI64_INSTRUCTIONS_AVAILABLE:
    case PF_RDTSC_INSTRUCTION_AVAILABLE:
    case PF_PAE_ENABLED:
    case PF_NX_ENABLED:
    case PF_SSE3_INSTRUCTIONS_AVAILABLE:
    case PF_COMPARE_EXCHANGE128:
        return TRUE;
    default:
        return FALSE;
    }
}
