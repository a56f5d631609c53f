/* SPDX-License-Identifier: Apache-2.0 */
/* What drivers take for granted of the kit's headers: min() and max() from ntddk.h, who may open a device
 * from wdf.h, IP's protocols, questions to addresses, arithmetic that tells an overflow by HRESULT,
 * assumptions about locks. */
#define INITGUID
#include <ntddk.h>
#include <wdf.h>
#include <fwpsk.h>
#include <ws2ipdef.h>
#include <in6addr.h>
#include <ip2string.h>
#include "intsafe.h"

#include "check.h"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;
_Dispatch_type_(IRP_MJ_CREATE) DRIVER_DISPATCH Create;

static KSPIN_LOCK lock;

NTSTATUS Create(_In_ PDEVICE_OBJECT device, _Inout_ PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    irp->IoStatus.Status = STATUS_SUCCESS;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    UNREFERENCED_PARAMETER(object);
    _Analysis_assume_lock_not_held_(lock);
}

static void addresses(void)
{
    IN6_ADDR loopback = IN6ADDR_LOOPBACK_INIT;
    IN_ADDR group;
    PWSTR end;
    WCHAR text[INET6_ADDRSTRLEN] = L"224.0.0.251";

    CHECK(IN6_IS_ADDR_LOOPBACK(&loopback) && !IN6_IS_ADDR_UNSPECIFIED(&loopback));
    CHECK(loopback.s6_addr[15] == 1 && loopback.u.Byte[14] == 0);
    CHECK(NT_SUCCESS(RtlIpv4StringToAddressW(text, TRUE, (PCWSTR *)&end, &group)));
    CHECK(group.S_un.S_un_b.s_b1 == 224);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    volatile LONG64 count = 7;
    ULONG_PTR pointer = 0;
    UCHAR small = 0;

    UNREFERENCED_PARAMETER(path);
    KeInitializeSpinLock(&lock);
    CHECK(min(3, 4) == 3 && max(3, 4) == 4);
    CHECK(SDDL_DEVOBJ_KERNEL_ONLY.Length != 0);
    CHECK(IPPROTO_TCP == 6 && IPPROTO_ICMPV6 == 58);
    CHECK(ULongLongToULongPtr(0x123456789abcdefULL, &pointer) == S_OK && pointer == 0x123456789abcdefULL);
    CHECK(ULongToUChar(256, &small) == INTSAFE_E_ARITHMETIC_OVERFLOW && small == 0xff);
    CHECK(ReadNoFence64(&count) == 7);
    addresses();
    object->MajorFunction[IRP_MJ_CREATE] = Create;
    object->DriverUnload = Unload;
    return checked;
}
